-- Writes down what the providers answered to one send. A start that reached nobody fails; a resend that did
-- takes its code back, and the one that it would have pushed out counts again.
local record, codes, operation, number, timers, outbox = unpack(KEYS)
local hash = ARGV[4]

local v = read(record)
if not v.a then
  return reply('missing')
end
for _, delivery in ipairs(a.deliveries) do
  redis.call('HSET', record, delivery[1], delivery[2])
end
if a.failed and v.s == 'p' then
  close('f', record, codes, number)
  tell(outbox, 'verification.failed')
end
local live = redis.call('GET', codes)
if live then
  if a.given_back and string.sub(live, 1, #hash) == hash then
    live = string.sub(live, #hash + 1)
  end
  redis.call('SET', codes, string.sub(live, 1, a.live_bytes), 'KEEPTTL')
end
if a.given_back then -- nobody took it, so nothing was spent
  redis.call('ZREM', number, a.given_back)
end
if redis.call('EXISTS', operation) == 1 then
  redis.call('HSET', operation, 'r', a.send)
end
v = read(record)
if status(v) == 'p' and lost(v, a.send) then -- a receipt was faster than this
  redis.call('ZADD', timers, now, a.timer)
end
return reply('ok', status(v), tonumber(v.n))
