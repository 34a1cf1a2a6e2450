-- Hands out all locks, unless they are those of a version that is known already.
local locks = KEYS[1]

local version = redis.call('HGET', locks, 'v') or '0'
if version == a.known then
  return reply('same')
end
local found = read(locks)
found.v = nil
return reply('changed', version, flatten(found))
