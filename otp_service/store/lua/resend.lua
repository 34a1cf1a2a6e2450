-- Adds a send and its code to a pending verification, within its own budgets and those of the number.
local record, codes, _, operation, number, failures, outbox = unpack(KEYS)
local hash = ARGV[4]

local v = read(record)
if not visible(v) then
  return reply('missing')
end
local seen, result = recall(operation)
if seen == 'mismatch' or seen == 'busy' then
  return reply(seen, result)
elseif seen == 'done' then
  return reply('done', tonumber(result))
elseif status(v) ~= 'p' or v.z then
  return reply('closed', status(v))
elseif v.k ~= a.key_id then
  return reply('rotated')
end

-- One hash more than may be live: the oldest goes when the providers have taken the newest.
local live = redis.call('GET', codes) or ''
local left = v.c + v.t - now
if seen == 'again' and a.look then
  return reply('free')
elseif seen == 'again' then
  redis.call('SET', codes, hash .. string.sub(live, #hash + 1), 'PX', left) -- in place of the run that died
  return reply('sent', tonumber(result), {})
end

local sends = tonumber(v.m)
if sends >= a.max_sends or a.after_receipt and tonumber(v.f or '0') >= a.max_after_receipt then
  return reply('refused', {'sends_per_verification', a.max_sends, tonumber(v.t), 0, left})
end
if a.after_receipt and sends ~= a.after_receipt then
  return reply('superseded') -- the person has asked again since; that message is the one to wait for
end
local cooled = v.c + v.w
if now < cooled and not a.after_receipt then
  return reply('refused', {'cooldown', 1, a.cooldowns[math.min(sends, #a.cooldowns)], 0, cooled - now})
end
for _, row in ipairs(a.budgets) do -- named here: who asks at the same time has read the same number of sends
  row.member = a.send_prefix .. (sends + 1)
end
local refusal, tightest = weigh(number)
if refusal then
  return reply('refused', refusal)
elseif a.look then
  return reply('free')
end

local wait = a.cooldowns[math.min(sends + 1, #a.cooldowns)] or 0
redis.call('HSET', record, 'm', sends + 1, 'w', now - v.c + wait)
if a.after_receipt then
  redis.call('HINCRBY', record, 'f', 1)
end
redis.call('SET', codes, string.sub(hash .. live, 1, a.live_bytes + #hash), 'PX', left)
remember(operation, 'n', sends + 1)
spend(number)
tell(outbox, 'verification.resent')
return reply('sent', sends + 1, tightest)
