-- Says what is counted in ledgers, and changes nothing. For each row:  how many each window counts;  sent,
-- approved and reserved;  verifications that are over, as conversion counts them;  how long a block is closed,
-- and for which part;  whether its number was verified before.
local function counted(row)
  local found = {}
  local events = row.e and redis.call('ZRANGE', KEYS[row.e], 0, -1, 'WITHSCORES') or {}
  for i, window in ipairs(row.windows or {}) do
    found[i] = 0
    for j = 1, #events, 2 do
      local reserved, at = string.byte(events[j]) == 126, tonumber(events[j + 1])
      if at > now - (reserved and 0 or window[2]) then
        found[i] = found[i] + 1
      end
    end
  end
  return found
end

local function figures(row)
  local c = row.c and read(KEYS[row.c]) or {}
  local sent, approved, open = 0, 0, 0
  for half_hour = first, current do
    local s, back = tonumber(c['s' .. half_hour] or 0), tonumber(c['a' .. half_hour] or 0)
    sent, approved = sent + s, approved + back
    if half_hour == current or half_hour == current - 1 and current * HALF_HOUR + (row.lifetime or 0) > now then
      open = open + math.max(0, s - back)
    end
  end
  local verified = row.v and redis.call('HGET', KEYS[row.v], row.number)
  local trusted = verified and day - verified <= row.verified_days
  local closed = math.max(0, tonumber(c.x or 0) - now)
  return {counted(row), sent, approved, tonumber(c.r or 0), sent - open, closed, tonumber(c.y or 0),
    tonumber(c.z or 0), trusted and 1 or 0}
end

local found = {}
for i, row in ipairs(a.rows) do
  found[i] = figures(row)
end
return reply('ok', found)
