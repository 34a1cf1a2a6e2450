-- Says of each record which provider carried one of its codes, and how long ago: the codes that were live are
-- those of the newest sends that may have gone out. Nothing where that cannot be told.
local carriers = {}
for i, record in ipairs(KEYS) do
  local v = read(record)
  local newer, carrier = a.newer[i], {}
  for send = tonumber(v.m or 0), 1, -1 do
    local attempt, found = 1, nil
    while v['d' .. send .. '.' .. attempt] do -- the last try that may have gone is the one that ended the send
      local delivery = v['d' .. send .. '.' .. attempt]
      local provider, outcome, at = string.match(delivery, '^([^,]*),(%d),[^,]*,[^,]*,(%d+)')
      if outcome == a.accepted or outcome == a.unknown then
        found = {provider, now - v.c - at}
      end
      attempt = attempt + 1
    end
    if found then
      carrier = found
      if newer == 0 then
        break
      end
      newer = newer - 1
    end
  end
  carriers[i] = carrier
end
return reply('ok', carriers)
