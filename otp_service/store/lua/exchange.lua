-- Takes what one process found out about the providers, and hands out what all of them know.
--
-- Shared is a hash. By circuit, which is a provider or "provider:country":  o opened,until  p exchange whose
-- process may probe,until  c sends,approvals,when: both halve with every half-life since then.
local shared = KEYS[1]

local known = read(shared)

local function put(field, ...)
  known[field] = table.concat({...}, ',')
  redis.call('HSET', shared, field, known[field])
end

local function drop(field)
  known[field] = nil
  redis.call('HDEL', shared, field)
end

local function pair(field)
  local first, till = string.match(known[field] or '', '^(.*),(.*)$')
  return first, tonumber(till or 0)
end

local function decayed(circuit)
  local sends, approvals, at = string.match(known['c' .. circuit] or '0,0,0', '^(.*),(.*),(.*)$')
  local left = 0.5 ^ (math.max(0, now - at) / a.half_life)
  return sends * left, approvals * left
end

for _, each in ipairs(a.closed) do
  local circuit, opened = unpack(each)
  if pair('o' .. circuit) == opened then -- not one that opened since
    drop('o' .. circuit)
    drop('p' .. circuit)
  end
end
for _, each in ipairs(a.opened) do
  local circuit, length = unpack(each)
  local opened, till = pair('o' .. circuit)
  put('o' .. circuit, opened or now, math.max(till, now + length))
  drop('p' .. circuit)
end
local granted = {}
for _, circuit in ipairs(a.wanted) do
  local opened, till = pair('o' .. circuit)
  local holder, leased = pair('p' .. circuit)
  if opened and now >= till and (now >= leased or holder == a.run) then
    put('p' .. circuit, a.run, now + a.lease)
    granted[circuit] = 1
  end
end
for _, each in ipairs(a.conversions) do
  local circuit, more_sends, more_approvals = unpack(each)
  local sends, approvals = decayed(circuit)
  sends, approvals = sends + more_sends, approvals + more_approvals
  local kept = math.min(1, a.most / math.max(1, sends)) -- beyond that, the older give way to the newer
  put('c' .. circuit, sends * kept, approvals * kept, now)
end
redis.call('PEXPIRE', shared, a.memory)

local openings, conversions = {}, {}
for field in pairs(known) do
  local kind, circuit = string.match(field, '^(.)(.*)$')
  if kind == 'o' and now - select(2, pair(field)) > a.memory then
    drop(field) -- nobody has wanted it for a day
  elseif kind == 'o' then
    local opened, till = pair(field)
    openings[#openings + 1] = {circuit, opened, now - opened, till - now, granted[circuit] or 0}
  elseif kind == 'c' then
    local sends, approvals = decayed(circuit)
    if sends < a.least then
      redis.call('HDEL', shared, field)
    else
      conversions[#conversions + 1] = {circuit, tostring(sends), tostring(approvals)}
    end
  end
end
return reply('ok', openings, conversions)
