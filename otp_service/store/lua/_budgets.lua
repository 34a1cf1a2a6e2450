-- Budgets of one subject, as rows {name, prefix, group, member, windows {{limit, ms}}}. Its events are a sorted
-- set by time; a row counts those that begin with its prefix, events of one group (so many characters after
-- the prefix) once. Windows slide.
local function tally(events, row, since)
  local newest, groups = {}, {}
  for i = 1, #events, 2 do
    local member, at = events[i], tonumber(events[i + 1])
    if at > since and string.sub(member, 1, #row.prefix) == row.prefix then
      local group = row.group > 0 and string.sub(member, #row.prefix + 1, #row.prefix + row.group) or member
      if not newest[group] then
        groups[#groups + 1] = group
      end
      newest[group] = at
    end
  end
  table.sort(groups, function(left, right) return newest[left] < newest[right] end)
  return newest, groups
end

-- The refusal that lasts longest, or nil; and the tightest window, as {name, limit, ms, left, reset in ms}.
local function weigh(key)
  local events = redis.call('ZRANGEBYSCORE', key, now - a.memory, '+inf', 'WITHSCORES')
  local refusal, tightest
  for _, row in ipairs(a.budgets) do
    for _, window in ipairs(row.windows) do
      local limit, length = window[1], window[2]
      local newest, groups = tally(events, row, now - length)
      local own = row.group > 0 and newest[string.sub(row.member, #row.prefix + 1, #row.prefix + row.group)]
      local left = limit - #groups - (own and 0 or 1)
      local leaves = left < 0 and -left or 1
      local reset = groups[leaves] and newest[groups[leaves]] + length - now or length
      local state = {row.name, limit, length, math.max(left, 0), reset}
      if left < 0 and (not refusal or reset > refusal[5]) then
        refusal = state
      elseif row.spends and (not tightest or left < tightest[4]) then
        tightest = state
      end
    end
  end
  return refusal, tightest or {}
end

local function spend(key)
  if #a.budgets == 0 then
    return
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - a.memory)
  for _, row in ipairs(a.budgets) do
    if row.spends then
      redis.call('ZADD', key, now, row.member)
    end
  end
  redis.call('PEXPIRE', key, a.memory)
end

-- Too many failed checks in a row: closed until then, whatever the windows say.
local function shut(failures)
  local until_ = tonumber(redis.call('HGET', failures, 'u') or '0')
  return until_ > now and {'failed_checks_per_number', a.failures_in_row, a.failures_closed, 0, until_ - now}
end
