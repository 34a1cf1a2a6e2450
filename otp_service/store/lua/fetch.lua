-- Reads a verification as it stands now; changes nothing.
local record, details = unpack(KEYS)

local v = read(record)
if not visible(v) then
  return reply('missing')
end
return reply('ok', status(v), flatten(v), v.x or redis.call('GET', details))
