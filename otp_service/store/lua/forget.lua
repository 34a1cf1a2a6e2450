-- Forgets that a number was verified: it is trusted no more than any other.
return reply('ok', redis.call('HDEL', KEYS[1], a.number))
