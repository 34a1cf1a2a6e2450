-- Counts an app's failed checks, and says whether they are far above its usual: in the newest half to whole hour
-- at least as many as a floor, and a factor above the mean of an hour in the day before.
--
-- A hash:  f912345 failed checks of a half-hour  u alarmed until
local checks = KEYS[1]
local HALF_HOUR = 1800000
local DAY = 48
local current = math.floor(now / HALF_HOUR)

if a.failed > 0 then
  redis.call('HINCRBY', checks, 'f' .. current, a.failed)
  redis.call('PEXPIRE', checks, (DAY + 2) * HALF_HOUR)
end
local lately, before = 0, 0
local found = read(checks)
for field, value in pairs(found) do
  local half_hour = tonumber(string.match(field, '^f(%d+)$'))
  if half_hour and half_hour >= current - 1 then
    lately = lately + value
  elseif half_hour and half_hour >= current - 1 - DAY then
    before = before + value
  elseif half_hour then
    redis.call('HDEL', checks, field)
  end
end
local usual = 2 * before / DAY
local till, began = tonumber(found.u or 0), 0
if lately >= a.least and lately > a.factor * usual then
  began = now >= till and 1 or 0
  till = now + a.lasts
  redis.call('HSET', checks, 'u', till)
end
return reply('ok', now < till and 1 or 0, began, lately, math.floor(usual))
