-- Locks a number or a prefix, in place of an older lock of the same; those that are over go. The locks are a
-- hash, by subject:  until,reason  and  v  their version.
local locks = KEYS[1]

for subject, lock in pairs(read(locks)) do
  local till = tonumber(string.match(lock, '^(%d+),') or 0)
  if till > 0 and till <= now then
    redis.call('HDEL', locks, subject)
  end
end
local till = a.lasts and now + a.lasts or 0
redis.call('HSET', locks, a.subject, till .. ',' .. a.reason)
redis.call('HINCRBY', locks, 'v', 1)
return reply('ok', till)
