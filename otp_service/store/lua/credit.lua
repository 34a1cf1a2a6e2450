-- Gives back what an approval gives back: the sends of its verification, and one to the conversion.
for _, row in ipairs(a.rows) do
  if row.e then
    for _, member in ipairs(redis.call('ZRANGE', KEYS[row.e], 0, -1)) do
      if string.sub(member, 1, #a.sends) == a.sends then
        redis.call('ZREM', KEYS[row.e], member)
      end
    end
  end
  if row.d and redis.call('SET', KEYS[row.d], '', 'NX', 'PX', a.repeats) then
    counts(KEYS[row.c], 'a')
    add(KEYS[row.c], 'a', 1, math.floor(a.began / HALF_HOUR))
  end
  if row.v then
    redis.call('HSET', KEYS[row.v], row.number, day)
    redis.call('PEXPIRE', KEYS[row.v], row.verified_days * DAY)
  end
end
return reply('ok')
