-- Lifts the lock of a number or a prefix; says whether there was one.
local locks = KEYS[1]

local lifted = redis.call('HDEL', locks, a.subject)
redis.call('HINCRBY', locks, 'v', lifted)
return reply('ok', lifted)
