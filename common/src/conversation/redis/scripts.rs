//! What is changed of a conversation, each change as a whole.

use std::sync::LazyLock;

use redis::Script;

/// Functions shared by the scripts. KEYS: turns, line, accepted, forgotten, jobs, held.
const PRELUDE: &str = r"
local turns, line, accepted, forgotten, jobs, held = unpack(KEYS)
local function drop_overdue(now)
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', accepted, '-inf', now)) do
    redis.call('ZREM', line, job)
    redis.call('ZREM', accepted, job)
  end
end
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function is_next(job)
  local before = redis.call('ZRANK', line, job)
  return not before or before == 0
end
local function next_held()
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  return first and redis.call('HGET', held, first) or ''
end
local function stand_at_the_end(job, deadline, now)
  local last = redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', line, (last or 0) + 1, job)
  keep(line, math.max(deadline - now, 1))
end
local function know(job, until_then, now)
  redis.call('ZREMRANGEBYSCORE', jobs, '-inf', now)
  redis.call('ZADD', jobs, until_then, job)
  keep(jobs, math.max(until_then - now, 1))
end
local function may_run(job, deadline, now)
  redis.call('ZADD', accepted, deadline, job)
  keep(accepted, math.max(deadline - now, 1))
end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{PRELUDE}{body}"))
}

/// ARGV: job, its deadline, now, until when there may be data of it. Answers 1 when its turn has come.
pub(super) static ACCEPT: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[3])
know(ARGV[1], ARGV[4], ARGV[3])
if not redis.call('ZSCORE', accepted, ARGV[1]) then
  stand_at_the_end(ARGV[1], ARGV[2], ARGV[3])
  may_run(ARGV[1], ARGV[2], ARGV[3])
end
return is_next(ARGV[1]) and 1 or 0
",
    )
});

/// ARGV: job, its deadline, now, until when there may be data of it, when it was
/// accepted.
pub(super) static ACCEPT_AGAIN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[3])
know(ARGV[1], ARGV[4], ARGV[3])
local at = redis.call('GET', forgotten)
local is_forgotten = at and tonumber(at) >= tonumber(ARGV[5])
if not is_forgotten and not redis.call('ZSCORE', line, ARGV[1]) then
  stand_at_the_end(ARGV[1], ARGV[2], ARGV[3])
end
keep(line, math.max(ARGV[2] - ARGV[3], 1))
may_run(ARGV[1], ARGV[2], ARGV[3])
",
    )
});

/// ARGV: job, now, its message, how long to hold that in ms. Answers 1 when its turn has come.
pub(super) static HOLD: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[2])
if is_next(ARGV[1]) then return 1 end
redis.call('HSET', held, ARGV[1], ARGV[3])
keep(held, tonumber(ARGV[4]))
return 0
",
    )
});

/// ARGV: job, now. Answers the next message.
pub(super) static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[2])
redis.call('ZREM', line, ARGV[1])
return next_held()
",
    )
});

/// ARGV: now. Answers how many messages are held besides, and those that may go.
pub(super) static READY: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[1])
local messages = redis.call('HLEN', held)
local ready = {}
for _, job in ipairs(redis.call('HKEYS', held)) do
  if is_next(job) then table.insert(ready, redis.call('HGET', held, job)) end
end
table.insert(ready, 1, tostring(messages - #ready))
return ready
",
    )
});

/// ARGV: job.
pub(super) static PUBLISHED: LazyLock<Script> =
    LazyLock::new(|| script("redis.call('HDEL', held, ARGV[1])"));

/// ARGV: now, time to live of turns in ms. Answers the jobs that are known; one
/// that an earlier version accepted is in the line alone.
pub(super) static FORGET: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local known = redis.call('ZRANGE', jobs, 0, -1)
for _, job in ipairs(redis.call('ZRANGE', line, 0, -1)) do table.insert(known, job) end
redis.call('DEL', turns, line, held)
redis.call('SET', forgotten, ARGV[1], 'PX', ARGV[2])
return known
",
    )
});

/// ARGV: job, until when it is remembered that it adds no turn, now.
pub(super) static ERASE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
redis.call('ZREM', line, ARGV[1])
redis.call('HDEL', held, ARGV[1])
redis.call('ZREM', jobs, ARGV[1])
may_run(ARGV[1], ARGV[2], ARGV[3])
",
    )
});

/// ARGV: what the turns were when read, what they are to be. Answers 0 when they
/// were something else meanwhile.
pub(super) static SWAP: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('GET', turns) ~= ARGV[1] then return 0 end
redis.call('SET', turns, ARGV[2], 'KEEPTTL')
return 1
",
    )
});

/// ARGV: what the turns were when read, what they are to be, time to live in
/// ms, job, now. Answers 0 when they were something else meanwhile, and the next message.
pub(super) static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[5])
if redis.call('ZSCORE', accepted, ARGV[4]) and not redis.call('ZSCORE', line, ARGV[4]) then
  return {1, next_held()}
end
local kind = redis.call('TYPE', turns).ok
local now = ''
if kind == 'string' then now = redis.call('GET', turns) end
if now ~= ARGV[1] then return {0, ''} end
redis.call('SET', turns, ARGV[2], 'PX', ARGV[3])
redis.call('ZREM', line, ARGV[4])
return {1, next_held()}
",
    )
});
