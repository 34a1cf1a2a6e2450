-- Writes down what the providers answered to one send; the verification fails when a start reached nobody.
local record, codes, operation, number, outbox = unpack(KEYS)

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
if a.given_back then -- nobody took it, so nothing was spent
  redis.call('ZREM', number, a.given_back)
end
if redis.call('EXISTS', operation) == 1 then
  redis.call('HSET', operation, 'r', a.send)
end
v = read(record)
return reply('ok', status(v), flatten(v))
