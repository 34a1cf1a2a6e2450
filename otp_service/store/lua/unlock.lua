-- Lifts the lock of a number or a prefix; says whether there was one.
local locks = KEYS[1]

local lifted = redis.call('HDEL', locks, a.subject)
if lifted == 1 then
  redis.call('HSET', locks, 'v', clock[1] .. '.' .. clock[2])
end
return reply('ok', lifted)
