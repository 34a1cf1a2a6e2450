-- Counts a check, then hands out the live hashes: nothing is compared that was not counted.
local record, codes, details, operation = unpack(KEYS)

local v = read(record)
if not visible(v) then
  return reply('missing')
end
local seen, result = recall(operation)
if seen == 'mismatch' or seen == 'busy' or seen == 'done' then
  return reply(seen, result, v.k, v.x or redis.call('GET', details))
end
local function hand_out(ordinal)
  local live = string.sub(redis.call('GET', codes) or '', 1, a.live_bytes)
  return reply('counted', ordinal, live, v.k, v.x or redis.call('GET', details), v.c, v.i or '')
end
if seen == 'again' then
  return hand_out(tonumber(result))
end

local counted = tonumber(v.n)
if status(v) ~= 'p' or counted >= a.max_checks then
  if a.keyed then
    remember(operation, 'r', 'closed:' .. status(v))
  end
  return reply('closed', status(v))
elseif a.length ~= tonumber(v.l) then
  return reply('length', tonumber(v.l))
end
local known = false
for _, id in ipairs(a.key_ids) do
  known = known or id == v.k
end
if not known then
  return reply('unkeyed') -- answered before anything is counted: never a wrong code
end

counted = redis.call('HINCRBY', record, 'n', 1)
if counted >= a.max_checks then
  redis.call('HSET', record, 'z', now + a.grace)
end
remember(operation, 'n', counted)
return hand_out(counted)
