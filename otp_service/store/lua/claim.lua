-- Claims an Idempotency-Key for one request, and notes which runs hold the claim; a key seen before gives back
-- what was kept.
local claim = KEYS[1]

local i = read(claim)
if i.d and now >= i.c + a.ttl then -- over, though Redis has not collected it yet
  redis.call('DEL', claim)
  i = {}
end
if not i.d then
  redis.call('HSET', claim, 'd', a.digest, 'c', now, 'w' .. a.run, 1)
  redis.call('PEXPIRE', claim, a.ttl)
  return reply('new', now)
elseif i.d ~= a.digest then
  return reply('mismatch')
elseif i.b then
  return reply('kept', tonumber(i.c), i.k, i.b)
end
redis.call('HSET', claim, 'w' .. a.run, 1)
return reply('again', tonumber(i.c))
