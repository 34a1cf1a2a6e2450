-- Locks a number or a prefix, in place of an older lock of the same; those that are over go. The locks are a
-- hash, by subject:  until,reason  and  v  their version: a moment, not a count, which would come again after
-- a loss of writes.
local locks = KEYS[1]

for subject, lock in pairs(read(locks)) do
  local till = tonumber(string.match(lock, '^(%d+),') or 0)
  if till > 0 and till <= now then
    redis.call('HDEL', locks, subject)
  end
end
local till = a.lasts and now + a.lasts or 0
redis.call('HSET', locks, a.subject, till .. ',' .. a.reason, 'v', clock[1] .. '.' .. clock[2])
return reply('ok', till)
