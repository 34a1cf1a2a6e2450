-- Moves a delivery's receipt forward; when all messages of the latest send have failed, another is due now.
-- Receipts never change a verification's status: they can be forged by whoever holds a provider's secret.
local record, timers = unpack(KEYS)

local v = read(record)
if not v.a then
  return reply('missing')
end
local rank = {sent = 1, delivered = 2, failed = 2, again = 2}
local before = v[a.receipt]
if before and rank[a.state] <= rank[before] then
  return reply('stale')
end
redis.call('HSET', record, a.receipt, a.state)
v[a.receipt] = a.state
local waits = status(v) == 'p' and tonumber(v.m) == a.send and tonumber(v.f or '0') < a.max_after_receipt
if waits and lost(v, a.send) then
  redis.call('ZADD', timers, now, a.timer .. ':' .. v.a)
  return reply('due')
end
return reply('ok')
