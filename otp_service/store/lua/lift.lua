-- Opens a block that was closed, with nothing held against it.
return reply('ok', redis.call('DEL', KEYS[1]))
