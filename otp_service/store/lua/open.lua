-- Opens a verification: all of it, or none of it and the budget that refused. Looked at only, it opens nothing.
local record, codes, details, operation, number, failures, outbox = unpack(KEYS)
local hash, sealed = ARGV[4], ARGV[5]

local existing = read(record)
local seen, result = 'new'
if a.keyed then
  seen, result = recall(operation)
end
if seen == 'mismatch' or seen == 'busy' then
  return reply(seen, result)
elseif existing.a and seen == 'done' then
  return reply('done', status(existing), flatten(existing), existing.x or redis.call('GET', details))
elseif existing.a and seen == 'again' and status(existing) == 'p' then
  if a.look then
    return reply('free')
  end
  -- The run before this one died somewhere in its send: same id, new code, and the old one stays live.
  local live = existing.k == a.key_id and redis.call('GET', codes) or ''
  if string.sub(live, 1, #hash) ~= hash then
    live = string.sub(hash .. live, 1, a.live_bytes)
  end
  redis.call('HSET', record, 'k', a.key_id, 'l', a.length)
  redis.call('SET', codes, live, 'PX', existing.c + existing.t - now)
  if existing.x then
    redis.call('HSET', record, 'x', sealed)
  else
    redis.call('SET', details, sealed, 'PX', a.record_ttl)
  end
  return reply('open', tonumber(existing.c), {})
elseif existing.a and not a.keyed then
  return reply('open', tonumber(existing.c), {}) -- a random id that exists is this very call, its reply lost
end

local refusal, tightest = weigh(number)
refusal = shut(failures) or refusal
if refusal then
  return reply('refused', refusal)
elseif a.look then
  return reply('free')
end

redis.call('DEL', record) -- one that nobody was told of and that ran out
redis.call('HSET', record, 'a', a.app, 'p', a.purpose, 's', 'p', 'c', now, 't', a.ttl, 'k', a.key_id,
  'l', a.length, 'n', 0, 'm', 1, 'w', a.cooldown)
redis.call('PEXPIRE', record, a.record_ttl)
redis.call('SET', codes, hash, 'PX', a.ttl)
if #sealed > 64 then -- a longer field would cost the whole record its compact form
  redis.call('SET', details, sealed, 'PX', a.record_ttl)
else
  redis.call('HSET', record, 'x', sealed)
end
if a.test then
  redis.call('HSET', record, 'j', 1)
end
if a.client then
  redis.call('HSET', record, 'i', a.client)
end
if a.keyed then
  remember(operation, 'n', 1)
end
spend(number)
tell(outbox, 'verification.started')
return reply('open', now, tightest)
