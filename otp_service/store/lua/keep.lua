-- Keeps the sealed answer to a claimed request, or lets go of the claim when there is none to keep.
local claim = KEYS[1]
local sealed = ARGV[4]

if redis.call('HGET', claim, 'd') ~= a.digest then
  return reply('missing')
elseif a.release then
  redis.call('DEL', claim)
else
  redis.call('HSET', claim, 'k', a.key_id, 'b', sealed)
end
return reply('ok')
