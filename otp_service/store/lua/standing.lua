-- Says how a number stands with its budgets, and changes nothing: for each window of each row how many are
-- counted and when one leaves; then its failed checks in a row, and until when it is closed for them.
local number, failures = unpack(KEYS)

local events = redis.call('ZRANGEBYSCORE', number, now - a.memory, '+inf', 'WITHSCORES')
local windows = {}
for _, row in ipairs(a.budgets) do
  for _, window in ipairs(row.windows) do
    local limit, length = window[1], window[2]
    local newest, groups = tally(events, row, now - length)
    local reset = groups[1] and newest[groups[1]] + length - now or 0
    windows[#windows + 1] = {row.name, limit, length, #groups, reset}
  end
end
local row, till = unpack(redis.call('HMGET', failures, 'n', 'u'))
return reply('ok', windows, tonumber(row or 0), math.max(0, tonumber(till or 0) - now))
