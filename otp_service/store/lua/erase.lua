-- Erases keys of one shard; says how many there were.
return reply('ok', redis.call('DEL', unpack(KEYS)))
