-- Takes a timer off the list once its work is done.
redis.call('ZREM', KEYS[1], a.timer)
return reply('ok')
