-- Put before every script. ARGV[1] skew of the clock in ms (0 in production), ARGV[2] the moment in ms after
-- which this call changes nothing, ARGV[3] the named arguments as JSON, ARGV[4...] binary ones.
--
-- A record is a hash:  a app  p purpose  s status (p a c m f)  c created  t lifetime  k key id  l code length
--   n checks counted  y checks settled  z when the last check counted closes it  m sends  w cool-down left
--   after the last send (from c)  f sends that receipts caused  x sealed target  d1.1 delivery  r1.1 receipt:
--   sent, delivered, failed, or again (failed, and worth another send)  g when it was approved
--   i tag of the client's address  j there where a test key began it
-- An operation is a hash:  d digest of the request  q the run at work  u until when  n check or send number
--   r result. All times in milliseconds.
local clock = redis.call('TIME')
local raw = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local now = raw + tonumber(ARGV[1])
local a = cjson.decode(ARGV[3])

local function reply(...)
  return {raw, now, ...}
end

if raw > tonumber(ARGV[2]) then
  return reply('late')
end

local function read(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

local function flatten(fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

-- Another app's record, one that keys of the other kind began, and one past its time, read as none. Who asks
-- with neither true nor false is the worker, which knows both kinds.
local function visible(v)
  return v.a == a.app and a.test ~= (v.j == nil) and now < v.c + a.record_ttl
end

local function status(v)
  if v.s ~= 'p' then
    return v.s
  elseif v.z and now >= tonumber(v.z) then
    return 'm'
  elseif now >= v.c + v.t then
    return 'e'
  end
  return 'p'
end

-- An operation seen before: 'new'; 'mismatch', of another request; 'done', result; 'busy', ms to wait; or
-- 'again': the same run asks twice because a reply was lost, or a run died and this one goes on.
local function recall(key)
  local o = read(key)
  if not o.d then
    return 'new'
  elseif o.d ~= a.digest then
    return 'mismatch'
  elseif o.r then
    return 'done', o.r
  elseif o.q ~= a.run and now < tonumber(o.u) then
    return 'busy', o.u - now
  end
  redis.call('HSET', key, 'q', a.run, 'u', now + a.lease)
  return 'again', o.n
end

local function remember(key, ...)
  redis.call('HSET', key, 'd', a.digest, 'q', a.run, 'u', now + a.lease, ...)
  redis.call('PEXPIRE', key, a.op_ttl)
end

-- Whether every message of a send that may have gone out is known to have failed, so that another is worth it.
local function lost(v, send)
  local again = false
  for name, value in pairs(v) do
    local attempt = string.match(name, '^d' .. send .. '%.(%d+)$')
    local outcome = attempt and string.match(value, '^[^,]*,(%d)')
    if outcome == a.accepted or outcome == a.unknown then
      local receipt = v['r' .. send .. '.' .. attempt]
      if receipt ~= 'failed' and receipt ~= 'again' then
        return false
      end
      again = again or receipt == 'again'
    end
  end
  return again
end

-- Tells whoever listens for this app; in the same script as the change, so neither exists without the other.
local function tell(outbox, what)
  if a.tell then
    redis.call('XADD', outbox, 'MAXLEN', '~', a.outbox_length, '*',
      'type', what, 'app', a.app, 'id', a.id, 'at', now)
  end
end

-- Ends a verification: its codes go at once, and it no longer counts as live.
local function close(letter, record, codes, number)
  redis.call('HSET', record, 's', letter)
  redis.call('DEL', codes)
  for _, member in ipairs(redis.call('ZRANGE', number, 0, -1)) do
    if string.sub(member, 1, #a.live_prefix) == a.live_prefix
      and string.sub(member, -#a.live_suffix) == a.live_suffix then
      redis.call('ZREM', number, member)
    end
  end
end
