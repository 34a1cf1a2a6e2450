-- Reserves a send in ledgers: in all of them, or in none, with what refused. A refusal, what would have been one,
-- and what somebody should know of, are {rule, figure, limit, window in ms, wait in ms}.
local refusals, recorded, noted, tightest, trust = {}, {}, {}, {}, 0

local function refuse(row, rule, ...)
  if row.mode == 'enforce' then
    refusals[#refusals + 1] = {rule, ...}
  elseif row.mode == 'record' then
    recorded[#recorded + 1] = {rule, ...}
  end
end

local function tighten(row, limit, window, left, reset)
  if row.mode == 'enforce' and (not tightest[4] or left < tightest[4]) then
    tightest = {row.rule, limit, window, left, reset}
  end
end

-- When sends were made, oldest first; reserved ones are as good as made.
local function moments(row)
  local found = {}
  local events = redis.call('ZRANGE', KEYS[row.e], 0, -1, 'WITHSCORES')
  for i = 1, #events, 2 do
    local reserved, at = string.byte(events[i]) == 126, tonumber(events[i + 1])
    if reserved and at <= now or at <= now - row.memory then
      redis.call('ZREM', KEYS[row.e], events[i])
    else
      found[#found + 1] = math.min(at, now)
    end
  end
  return found
end

local function weigh_windows(row)
  local sends = moments(row)
  for _, window in ipairs(row.windows) do
    local limit, length = window[1], window[2]
    local oldest = 1
    while sends[oldest] and sends[oldest] <= now - length do
      oldest = oldest + 1
    end
    local counted = #sends - oldest + 1
    local left = limit - counted - 1
    if left < 0 then
      refuse(row, row.rule, counted, limit, length, sends[oldest - left - 1] + length - now)
    else
      tighten(row, limit, length, left, (sends[oldest] or now) + length - now)
    end
  end
end

-- What is known of a ledger's conversion: verifications count once they are approved or their lifetime is over,
-- so those not approved that began in the newest half-hours do not yet.
local function converted(row)
  local before = current - 1
  local sent, approved, silent, s1, a1, s0, a0, reserved, closed, was, of = counts(KEYS[row.c], 's', 'a', 'w',
    's' .. current, 'a' .. current, 's' .. before, 'a' .. before, 'r', 'x', 'y', 'z')
  local open = math.max(0, s1 - a1)
  if current * HALF_HOUR + row.lifetime > now then
    open = open + math.max(0, s0 - a0)
  end
  local over = sent - open
  local below = function(percent)
    return over >= row.least and 100 * approved < percent * over
  end
  if below(row.warns) and now >= silent then
    redis.call('HSET', KEYS[row.c], 'w', now + row.closed)
    noted[#noted + 1] = {row.warning, math.floor(100 * approved / over), row.warns, DAY, 0}
  end
  return sent, approved, reserved, below(row.closes) and over, closed, was, of
end

-- A block too few of whose codes come back is closed for a while.
local function weigh_block(row)
  weigh_windows(row)
  local sent, approved, _, pumped, closed, was, of = converted(row)
  local verified = redis.call('HGET', KEYS[row.v], row.number)
  if verified and day - verified <= row.verified_days then
    trust = 2
  elseif sent - approved < approved then
    trust = 1
  end
  if now >= closed and pumped then -- it opens again with nothing held against it
    closed, was, of = now + row.closed, approved, pumped
    redis.call('DEL', KEYS[row.c])
    redis.call('HSET', KEYS[row.c], 'x', closed, 'y', was, 'z', of)
    redis.call('PEXPIRE', KEYS[row.c], row.closed)
    noted[#noted + 1] = {'block_closed', math.floor(100 * was / of), row.closes, DAY, row.closed}
  end
  if now < closed then
    refuse(row, 'pumping_suspected', math.floor(100 * was / of), row.closes, DAY, closed - now)
  end
end

-- When as many half-hours have left the day as must; reservations alone can be gone after their lease.
local function relief(key, sent, approved, fits)
  local fields = read(key)
  for half_hour = first, current do
    sent = sent - (fields['s' .. half_hour] or 0)
    approved = approved - (fields['a' .. half_hour] or 0)
    if fits(sent, approved) then
      return (half_hour + 49) * HALF_HOUR - now
    end
  end
  return a.lease
end

-- Gives back what is past its lease; once nothing is reserved, whatever the count says.
local function lapse(row)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[row.p], '-inf', now)) do
    redis.call('ZREM', KEYS[row.p], member)
    redis.call('HINCRBY', KEYS[row.c], 'r', -string.match(member, ':(%d+)$'))
  end
  if redis.call('EXISTS', KEYS[row.p]) == 0 and counts(KEYS[row.c], 'r') > 0 then
    redis.call('HSET', KEYS[row.c], 'r', 0)
  end
end

local function weigh_region(row)
  lapse(row)
  local sent, approved, reserved = converted(row)
  if not row.limit then
    return
  end
  local unconverted = sent - approved + reserved
  local limit = math.max(row.limit, approved)
  if unconverted + 1 > limit then
    refuse(row, row.rule, unconverted, limit, DAY, relief(KEYS[row.c], sent, approved, function(s, back)
      return s - back + reserved + 1 <= math.max(row.limit, back)
    end))
  else
    tighten(row, limit, DAY, limit - unconverted - 1, DAY)
  end
end

local function weigh_money(row)
  lapse(row)
  local sent, reserved = counts(KEYS[row.c], 's', 'r')
  if sent + reserved + row.amount > row.limit then
    refuse(row, row.rule, sent + reserved, row.limit, DAY, relief(KEYS[row.c], sent, 0, function(s)
      return s + reserved + row.amount <= row.limit
    end))
  end
end

local function reserve(row)
  local key = KEYS[row.e or row.p]
  redis.call('ZADD', key, now + a.lease, row.e and '~' .. a.member or a.member .. ':' .. row.amount)
  redis.call('PEXPIRE', key, a.lease + (row.memory or DAY)) -- not with the lease: lapse must find what is over
  if row.p then
    redis.call('HINCRBY', KEYS[row.c], 'r', row.amount)
    redis.call('PEXPIRE', KEYS[row.c], DAY + 2 * HALF_HOUR)
  end
end

local one = a.rows[1]
if redis.call('ZSCORE', KEYS[one.e or one.p], one.e and '~' .. a.member or a.member .. ':' .. one.amount) then
  return reply('reserved', {}, {}, {}, {}, 0) -- its reply was lost
end
local weigh = {windows = weigh_windows, block = weigh_block, region = weigh_region, money = weigh_money}
for _, row in ipairs(a.rows) do
  weigh[row.kind](row)
end
if #refusals == 0 and not a.look then
  for _, row in ipairs(a.rows) do
    reserve(row)
  end
end
return reply(#refusals == 0 and 'reserved' or 'refused', refusals, recorded, noted, tightest, trust)
