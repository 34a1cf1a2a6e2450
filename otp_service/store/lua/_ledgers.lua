-- Ledgers: what is counted about one subject that is not a number. a.rows has one for each, with its rule and
-- the places of its keys in KEYS:
--   e  sends by time: a sorted set; one that is only reserved begins with ~ and has the end of its lease for time
--   p  reservations, member:amount, by the end of their lease: a sorted set
--   c  counts of a day, a hash:  s sent  a approved, as sums and by half-hours (s912345)  o the half-hour that
--      the sums begin with  r reserved  x closed until, when y of z had been approved  w no warning before
--   v  numbers verified, and when: a hash
--   g  countries that a client's address has sent to, and when last: a hash
--   d  there for as long as an approval could be told twice
local HALF_HOUR = 1800000
local DAY = 48 * HALF_HOUR
local current = math.floor(now / HALF_HOUR)
local day = math.floor(now / DAY)
local first = current - 48 -- a whole day, and what has passed of this half-hour

-- Values of a hash of counts as numbers, after taking from its sums what has left the day.
local function counts(key, ...)
  local values = redis.call('HMGET', key, 'o', ...)
  if values[1] and tonumber(values[1]) < first then
    for field, value in pairs(read(key)) do
      local letter, half_hour = string.match(field, '^([sa])(%d+)$')
      if letter and tonumber(half_hour) < first then
        redis.call('HINCRBY', key, letter, -value)
        redis.call('HDEL', key, field)
      end
    end
    redis.call('HSET', key, 'o', first)
    values = redis.call('HMGET', key, 'o', ...)
  end
  for i = 2, #values do
    values[i] = tonumber(values[i] or 0)
  end
  return unpack(values, 2)
end

local function add(key, letter, amount, half_hour)
  if half_hour >= first then
    redis.call('HINCRBY', key, letter, amount)
    if redis.call('HINCRBY', key, letter .. half_hour, amount) == amount then
      redis.call('HSETNX', key, 'o', first)
      redis.call('PEXPIRE', key, DAY + 2 * HALF_HOUR)
    end
  end
end

-- Takes a reservation off; false when it was taken off before.
local function take(row, member)
  if row.e then
    return redis.call('ZREM', KEYS[row.e], '~' .. member) == 1
  elseif redis.call('ZREM', KEYS[row.p], member .. ':' .. row.amount) == 1 then
    redis.call('HINCRBY', KEYS[row.c], 'r', -row.amount)
    return true
  end
  return false
end
