-- Settles reservations, as what was really sent, or releases them. What is not reserved any more is left as it
-- is, unless its lease was over before it could be settled.
local over = now >= a.till
local reached = {}

-- How many countries a client's address has sent to in a day, when they are too many with this one.
local function spread(row)
  local countries = 0
  for region, at in pairs(read(KEYS[row.g])) do
    if now - at < DAY then
      countries = countries + 1
    else
      redis.call('HDEL', KEYS[row.g], region)
    end
  end
  local new = redis.call('HSET', KEYS[row.g], row.region, now) == 1
  redis.call('PEXPIRE', KEYS[row.g], DAY)
  return new and countries + 1 > row.countries and countries + 1
end

for i, row in ipairs(a.rows) do
  local taken = take(row, a.member)
  if a.event and row.e and (taken or over) then
    redis.call('ZADD', KEYS[row.e], now, a.event)
    redis.call('PEXPIRE', KEYS[row.e], row.memory)
    if row.starts then
      add(KEYS[row.c], 's', 1, current)
    end
    local countries = row.region and spread(row)
    if countries then
      reached[#reached + 1] = {i - 1, countries}
    end
  elseif a.event and row.p and (taken or over) then
    local spent, before = a.spent[row.rule] or 1, counts(KEYS[row.c], 's')
    if spent > 0 then
      add(KEYS[row.c], 's', spent, current)
    end
    -- The warning comes with the last send that fits below its line.
    local room = row.line and row.line - row.amount - before
    if room and room >= 0 and room < spent then
      reached[#reached + 1] = {i - 1, before + spent}
    end
  end
end
return reply('ok', reached)
