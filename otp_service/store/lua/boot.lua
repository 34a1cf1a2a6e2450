-- Writes down what every process must agree on, or gives back what was agreed on before.
local meta = KEYS[1]

local agreed = {}
for field, value in pairs(a.agree) do
  redis.call('HSETNX', meta, field, value)
  agreed[#agreed + 1] = field
  agreed[#agreed + 1] = redis.call('HGET', meta, field)
end
return reply('ok', agreed)
