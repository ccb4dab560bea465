//! What changes a log, each in one stroke. The fields are told in
//! [the module above](super).

use std::sync::LazyLock;

use redis::Script;

/// Functions shared by the scripts. KEYS: stream, state.
const PRELUDE: &str = r"
local stream, state = KEYS[1], KEYS[2]
local function add(entry)
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  redis.call('XADD', stream, seq .. '-0', 'e', entry)
  return seq
end
local function publish(ttl)
  redis.call('PEXPIRE', stream, ttl)
  redis.call('PEXPIRE', state, ttl)
  redis.call('PUBLISH', stream, '')
end
local function take()
  return tonumber(redis.call('HGET', state, 'take') or 1)
end
local function open(accepted)
  if redis.call('EXISTS', stream) == 0 then
    redis.call('DEL', state)
    add(accepted)
  end
end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{PRELUDE}{body}"))
}

/// ARGV: ttl in ms, accepted entry.
pub static OPEN: LazyLock<Script> =
    LazyLock::new(|| script("open(ARGV[2]) publish(ARGV[1]) return 1"));

/// ARGV: ttl in ms, accepted entry, stage, started entry.
pub static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
open(ARGV[2])
if redis.call('HEXISTS', state, 'closed') == 1 then return {'closed', 0, ''} end
local done = redis.call('HGET', state, 'done:' .. ARGV[3])
if done then return {'completed', take(), done} end
local run = redis.call('HINCRBY', state, 'run:' .. ARGV[3], 1)
redis.call('HDEL', state, 'step:' .. ARGV[3])
add(ARGV[4])
publish(ARGV[1])
return {'started', run, ''}
",
    )
});

/// ARGV: ttl in ms, what the last entry does to the log (`''` nothing, `end`,
/// `interrupt`), stage or `''`, its run or `''`, its turn when it completes or
/// `''`, how often the answer is begun anew, the step of the run or `''`,
/// entries…
pub static APPEND: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('HEXISTS', state, 'closed') == 1 then return 'closed' end
if ARGV[4] ~= '' then
  local newest = redis.call('HGET', state, 'run:' .. ARGV[3])
  if newest and newest ~= ARGV[4] then return 'superseded' end
end
if ARGV[7] ~= '' then
  local told = redis.call('HGET', state, 'step:' .. ARGV[3])
  if told and tonumber(told) >= tonumber(ARGV[7]) then return 'recorded' end
  redis.call('HSET', state, 'step:' .. ARGV[3], ARGV[7])
end
if ARGV[5] ~= '' and redis.call('HSETNX', state, 'done:' .. ARGV[3], ARGV[5]) == 0 then
  return 'recorded'
end
for i = 8, #ARGV do add(ARGV[i]) end
if ARGV[6] ~= '0' then
  redis.call('HSET', state, 'take', take() + ARGV[6])
  for _, field in ipairs(redis.call('HKEYS', state)) do
    if string.find(field, '^sentence:') or string.find(field, '^audio:') then
      redis.call('HDEL', state, field)
    end
  end
  redis.call('HDEL', state, 'announced', 'sentences')
end
if ARGV[2] ~= '' then redis.call('HSET', state, 'closed', 1) end
publish(ARGV[1])
if ARGV[2] == 'interrupt' then redis.call('PUBLISH', stream .. ':end', '') end
return 'recorded'
",
    )
});

/// ARGV: ttl in ms, terminal entry.
pub static WITHDRAW: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
for _, field in ipairs(redis.call('HKEYS', state)) do
  if string.find(field, '^run:') then return 'begun' end
end
if redis.call('HEXISTS', state, 'closed') == 0 then
  add(ARGV[2])
  redis.call('HSET', state, 'closed', 1)
  publish(ARGV[1])
  redis.call('PUBLISH', stream .. ':end', '')
end
return 'ended'
",
    )
});

/// Follows [`PRELUDE`] in the scripts about sentences.
const SENTENCES: &str = r"
local function is_over(of)
  return redis.call('HEXISTS', state, 'closed') == 1 or tonumber(of) < take()
end
local function number(n, last)
  if last == '1' then redis.call('HSET', state, 'sentences', n) end
end
local function spoken()
  local count = redis.call('HGET', state, 'sentences')
  local announced = tonumber(redis.call('HGET', state, 'announced') or 0)
  local written = redis.call('HGET', state, 'done:rag')
  if not (count and written) or announced < tonumber(count) then return {'spoken'} end
  local all = {'all', written}
  for n = 1, tonumber(count) do all[n + 2] = redis.call('HGET', state, 'sentence:' .. n) end
  return all
end
";

/// ARGV: ttl in ms, accepted entry, take, n, '1' when it is the last, started
/// entry, attempt.
pub static BEGIN_SENTENCE: LazyLock<Script> = LazyLock::new(|| {
    script(&format!(
        r"{SENTENCES}
open(ARGV[2])
if is_over(ARGV[3]) then return {{'over'}} end
number(ARGV[4], ARGV[5])
if redis.call('HEXISTS', state, 'sentence:' .. ARGV[4]) == 1 then return spoken() end
if redis.call('HSETNX', state, 'run:tts', 1) == 1 or ARGV[7] ~= '1' then
  add(ARGV[6])
  publish(ARGV[1])
end
return {{'missing'}}
"
    ))
});

/// ARGV: ttl in ms, take, n, '1' when it is the last, how it was spoken, its
/// announcement or ''.
pub static COMPLETE_SENTENCE: LazyLock<Script> = LazyLock::new(|| {
    script(&format!(
        r"{SENTENCES}
if is_over(ARGV[2]) then return {{'over'}} end
number(ARGV[3], ARGV[4])
if redis.call('HSETNX', state, 'sentence:' .. ARGV[3], ARGV[5]) == 0 then return spoken() end
if ARGV[6] ~= '' then redis.call('HSET', state, 'audio:' .. ARGV[3], ARGV[6]) end
local n = tonumber(redis.call('HGET', state, 'announced') or 0)
while redis.call('HEXISTS', state, 'sentence:' .. (n + 1)) == 1 do
  n = n + 1
  local audio = redis.call('HGET', state, 'audio:' .. n)
  if audio then
    add(audio)
    redis.call('HDEL', state, 'audio:' .. n)
  end
end
redis.call('HSET', state, 'announced', n)
publish(ARGV[1])
return spoken()
"
    ))
});
