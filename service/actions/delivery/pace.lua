-- The pace of one sender, kept in Redis for all workers. Times are Redis's own, in seconds. See pace.py.
-- KEYS[1]: the state of the sender; KEYS[2]: what each worker holds and has not begun to send.
-- ARGV: verb, the set rate (messages a second, 0: none), then what the verb needs.
local state, held = KEYS[1], KEYS[2]
local verb, base = ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function number(name)
  return tonumber(redis.call('HGET', state, name) or '') or 0
end

local function put(...)
  redis.call('HSET', state, ...)
  redis.call('EXPIRE', state, 86400)
end

-- Messages a second that may begin now; 0 is no limit. After "slow down" it grows back in about a minute.
local function pace()
  local limit, ceiling = number('limit'), number('ceiling')
  if limit == 0 then return base end
  limit = limit + (now - number('limit_at')) * ceiling * 0.01
  if limit >= ceiling then
    redis.call('HDEL', state, 'limit', 'limit_at', 'ceiling')
    return base
  end
  return base > 0 and math.min(base, limit) or limit
end

-- How many began in this second, or in the one before: what "half of it" means where no rate is set.
local function seen(more)
  local second, count, before = math.floor(now), number('seen'), number('seen_before')
  local age = second - number('second')
  if age == 1 then count, before = 0, count elseif age ~= 0 then count, before = 0, 0 end
  put('second', second, 'seen', count + more, 'seen_before', before)
  return math.max(count + more, before)
end

local function rest()
  return math.max(0, math.min(number('rest') - now, 3600))
end

if verb == 'reserve' then
  local want, holder, lane = tonumber(ARGV[3]), ARGV[4], ARGV[5]
  local ahead, lease = tonumber(ARGV[6]), tonumber(ARGV[7])
  local busy, taken = 0, 0
  local all = redis.call('HGETALL', held)
  for i = 1, #all, 2 do
    local n, its_lane, ends = string.match(all[i + 1], '^(%-?%d+) (%w+) ([%d.]+)$')
    if not ends or tonumber(ends) < now then
      redis.call('HDEL', held, all[i])
    elseif all[i] ~= holder then
      busy = busy + 1
      if its_lane == lane then taken = taken + math.max(tonumber(n), 0) end
    end
  end
  local rate, size = pace(), want
  if rate > 0 and ahead > 0 then
    -- Half of what is free: the next worker finds something too.
    local free = math.floor(rate * ahead) - taken
    if taken == 0 then free = math.max(free, 1) end
    size = math.min(want, math.ceil(free / 2))
  end
  if rest() > 0 then size = 0 end
  if size > 0 then
    redis.call('HSET', held, holder, string.format('%d %s %.6f', size, lane, now + lease))
    redis.call('EXPIRE', held, 3600)
  else
    redis.call('HDEL', held, holder)
  end
  return {math.max(size, 0), tostring(rate), tostring(rest()), busy + 1}
end

if verb == 'turn' then
  local n, holder, lane, left = tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
  local slack, lookahead = tonumber(ARGV[7]), tonumber(ARGV[8])
  if rest() > 0 then return {0, tostring(rest())} end
  local rate = pace()
  local wait = 0
  if rate > 0 then
    local gap = 1 / rate
    local next_at = number('next')
    local since, reach = number('since'), math.max(lookahead, n * gap)
    -- Nothing is known: the bucket is empty, and what was given before a flush may still be about to leave. The same
    -- if time has jumped.
    if next_at == 0 or next_at > now + math.max(60, 20 * n * gap) then
      next_at = now + gap + 3 * lookahead
      put('next', string.format('%.6f', next_at))
    end
    next_at = math.max(next_at, now - slack)
    if lane == 'replies' then
      since = since + n
      reach = 2 * reach + n * gap
    elseif since >= 4 * n then
      reach = 2 * reach + n * gap  -- replies have had four times as many: now it is the others' turn
    elseif number('replies_until') > now then
      return {0, tostring(math.min(gap, 0.05))}
    end
    wait = next_at - now
    if wait > reach then return {0, tostring(wait - reach)} end
    wait = math.max(wait, 0)
    if lane == 'replies' then
      put('next', string.format('%.6f', next_at + n * gap), 'since', since,
          'replies_until', string.format('%.6f', left > 0 and now + wait + 1.5 * n * gap or 0))
    else
      put('next', string.format('%.6f', next_at + n * gap), 'since', 0)
    end
  end
  seen(n)
  local mine = redis.call('HGET', held, holder)
  if mine then
    local count, its_lane, ends = string.match(mine, '^(%-?%d+) (%w+) ([%d.]+)$')
    redis.call('HSET', held, holder, string.format('%d %s %s', tonumber(count) - n, its_lane, ends))
  end
  return {n, tostring(wait), tostring(rate)}
end

if verb == 'slow' then
  local asked = tonumber(ARGV[3])
  put('rest', string.format('%.6f', math.max(number('rest'), now + asked)))
  -- Many answers say the same within a second: that is one reason to slow down, not many.
  if now - number('slowed_at') >= 1 then
    local was = pace()
    if was == 0 then was = math.max(seen(0), 2) end
    local ceiling = base > 0 and base or math.max(2 * was, number('ceiling'))
    put('limit', tostring(math.max(was / 2, ceiling / 20)), 'limit_at', string.format('%.6f', now),
        'ceiling', tostring(ceiling), 'slowed_at', string.format('%.6f', now))
  end
  return {0, tostring(pace())}
end

if verb == 'look' then
  return {redis.call('HLEN', held), tostring(pace()), tostring(rest())}
end
return redis.error_reply('no such verb')
