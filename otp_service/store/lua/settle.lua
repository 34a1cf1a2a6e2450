-- Approves, once, or records the miss. The verification closes when the last check counted has been settled.
local record, codes, operation, number, failures, outbox = unpack(KEYS)

local seen, result = recall(operation)
if seen == 'done' then
  return reply('done', result)
end
local v = read(record)
if not v.a then
  return reply('missing')
end
local function settled(outcome)
  if seen ~= 'new' then
    redis.call('HSET', operation, 'r', outcome)
  end
  return reply('done', outcome)
end
local state = status(v)
if state == 'e' then
  state = 'p' -- counted in time; the comparison was ours to make
end
if state ~= 'p' then
  redis.call('HINCRBY', record, 'y', 1)
  return settled('closed:' .. state)
end

-- An approval gives its send back: the newest that still counts.
local function give_back()
  for send = tonumber(v.m), 1, -1 do
    if redis.call('ZREM', number, a.send_prefix .. send) == 1 then
      return
    end
  end
end

local misses = redis.call('HINCRBY', record, 'y', 1)
if a.matched then
  close('a', record, codes, number)
  redis.call('HSET', record, 'g', now)
  give_back()
  redis.call('HDEL', failures, 'n') -- but a number that is closed stays closed
  tell(outbox, 'verification.approved')
  return settled('approved:' .. a.ordinal .. ':' .. now)
end

redis.call('ZADD', number, now, a.failure_member)
redis.call('PEXPIRE', number, a.memory)
local row = redis.call('HINCRBY', failures, 'n', 1)
redis.call('PEXPIRE', failures, a.failures_memory)
local alarm = ''
if row >= a.failures_in_row then
  redis.call('HSET', failures, 'n', 0, 'u', now + a.failures_closed)
  alarm = ':alarm'
end
if tonumber(v.n) >= a.max_checks and misses >= tonumber(v.n) then
  close('m', record, codes, number)
  tell(outbox, 'verification.max_attempts_reached')
  state = 'm'
end
return settled('wrong:' .. a.ordinal .. ':' .. state .. alarm)
