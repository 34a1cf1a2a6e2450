-- Keeps the sealed answer to a claimed request, or lets go of the claim when there is none to keep; it is gone
-- when the last who held it lets go, because another may be in the middle of the same request.
local claim = KEYS[1]
local sealed = ARGV[4]

local i = read(claim)
if i.d ~= a.digest or i.b or tonumber(i.c) ~= a.since then
  return reply('missing')
elseif a.release then
  redis.call('HDEL', claim, 'w' .. a.run)
  i['w' .. a.run] = nil
  for field in pairs(i) do
    if string.sub(field, 1, 1) == 'w' then
      return reply('held')
    end
  end
  redis.call('DEL', claim)
else
  redis.call('HSET', claim, 'k', a.key_id, 'b', sealed)
end
return reply('ok')
