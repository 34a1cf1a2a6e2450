-- Hands out timers that are due and puts them off by the lease: a worker that dies gives them back by that.
local timers = KEYS[1]

local due = redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, a.most)
for _, timer in ipairs(due) do
  redis.call('ZADD', timers, now + a.lease, timer)
end
return reply('ok', due)
