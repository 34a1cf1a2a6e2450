-- Cancels a pending verification.
local record, codes, details, operation, number, outbox = unpack(KEYS)

local v = read(record)
if not visible(v) then
  return reply('missing')
end
local seen, result = recall(operation)
if seen == 'mismatch' then
  return reply(seen)
end
if seen ~= 'done' then
  result = status(v)
  if result == 'p' then
    close('c', record, codes, number)
    tell(outbox, 'verification.canceled')
    result = 'c'
    v.s = 'c'
  else
    result = 'closed:' .. result
  end
  remember(operation, 'r', result)
end
return reply(seen, result, flatten(v), v.x or redis.call('GET', details))
