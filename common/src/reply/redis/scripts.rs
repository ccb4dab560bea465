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
local function is_closed()
  return redis.call('HEXISTS', state, 'closed') == 1
end
local function is_void(deadline)
  local standing = redis.call('HGET', state, 'deadline')
  return standing and tonumber(deadline) < tonumber(standing)
end
local function close()
  redis.call('HSET', state, 'closed', 1)
  redis.call('PUBLISH', stream .. ':end', '')
end
-- Counts the processes that begin a try of a message: one that begins it twice
-- has lived to do so. Answers how many have before, or -1 when they are too many.
local function crashes(message, attempt, process, most)
  local field = 'begun:' .. message
  local count, last = 0, ''
  local begun = redis.call('HGET', state, field)
  if begun then
    local tried, counted, by = string.match(begun, '^(%d+) (%d+) (.*)$')
    if tried == attempt then count, last = tonumber(counted), by end
  end
  if last ~= process then count = count + 1 end
  if count > tonumber(most) then return -1 end
  redis.call('HSET', state, field, attempt .. ' ' .. count .. ' ' .. process)
  return math.max(count - 1, 0)
end
-- By the process that has it, which then counts again when it begins again; or
-- by another, of an earlier begin.
local function let_go(message, process)
  local field = 'begun:' .. message
  local begun = redis.call('HGET', state, field)
  if not begun then return end
  local attempt, count, by = string.match(begun, '^(%d+) (%d+) (.*)$')
  count = math.max(tonumber(count) - 1, 0)
  if by == process then by = '' end
  redis.call('HSET', state, field, attempt .. ' ' .. count .. ' ' .. by)
end
-- Only what begins with its acceptance can be read.
local function is_lost(stage, run)
  if redis.call('EXISTS', state) == 0 then return true end
  return run ~= '' and redis.call('HEXISTS', state, 'run:' .. stage) == 0
end
-- An older run that still has something to tell has lived after all.
local function is_superseded(stage, run)
  if run == '' then return false end
  local newest = redis.call('HGET', state, 'run:' .. stage)
  if not newest or newest == run then return false end
  let_go(stage)
  return true
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

/// ARGV: ttl in ms, accepted entry, stage, started entry, deadline, message,
/// attempt, process, most runs.
pub static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
open(ARGV[2])
if is_closed() or is_void(ARGV[5]) then return {'closed', 0, '', 0} end
local done = redis.call('HGET', state, 'done:' .. ARGV[3])
if done then return {'completed', take(), done, 0} end
local before = crashes(ARGV[6], ARGV[7], ARGV[8], ARGV[9])
if before < 0 then return {'crashes', 0, '', 0} end
local run = redis.call('HINCRBY', state, 'run:' .. ARGV[3], 1)
redis.call('HDEL', state, 'step:' .. ARGV[3])
add(ARGV[4])
publish(ARGV[1])
return {'started', run, '', before}
",
    )
});

/// ARGV: ttl in ms, '1' when the last entry ends the log, stage or `''`, its run
/// or `''`, its turn when it completes or `''`, how often the answer is begun
/// anew, the step of the run or `''`, entries…
pub static APPEND: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if is_closed() then return 'closed' end
if is_lost(ARGV[3], ARGV[4]) then return 'lost' end
if is_superseded(ARGV[3], ARGV[4]) then return 'superseded' end
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
if ARGV[2] == '1' then close() end
publish(ARGV[1])
return 'recorded'
",
    )
});

/// Without a log there is nothing to withdraw. Answers 0 when the log is closed.
pub static RESUBMIT: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if is_closed() then return 0 end
if redis.call('EXISTS', state) == 1 then redis.call('HSET', state, 'resubmitted', 1) end
return 1
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
if not is_closed() then
  if redis.call('HEXISTS', state, 'resubmitted') == 1 then return 'resubmitted' end
  add(ARGV[2])
  close()
  publish(ARGV[1])
end
return 'ended'
",
    )
});

/// ARGV: ttl in ms, deadline, failed entry, stage, its run or `''`, by which
/// message or `''`, which beginning of the answer that is about or `''`, accepted
/// entry.
pub static FAIL: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
open(ARGV[8])
if is_closed() then return 'closed' end
if is_void(ARGV[2]) then return 'void' end
if ARGV[7] ~= '' and tonumber(ARGV[7]) < take() then return 'void' end
if is_superseded(ARGV[4], ARGV[5]) then return 'superseded' end
add(ARGV[3])
close()
if ARGV[6] ~= '' then redis.call('HSET', state, 'failed', ARGV[6]) end
publish(ARGV[1])
return 'recorded'
",
    )
});

/// ARGV: ttl in ms, deadline, expired entry, accepted entry.
pub static EXPIRE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
open(ARGV[4])
if is_closed() then return 'closed' end
if is_void(ARGV[2]) then return 'void' end
add(ARGV[3])
close()
publish(ARGV[1])
return 'recorded'
",
    )
});

/// ARGV: ttl in ms, deadline, resumed entry, how the job differs from then on,
/// now. The last entry tells how the job ended: whatever closed the log wrote
/// one. A resumption of which nothing came until its deadline is made anew, also
/// when that was noticed.
pub static RESUME: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('EXISTS', stream) == 0 then return {'gone', ''} end
if is_closed() then
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 2)
  local function event(back)
    return last[back] and cjson.decode(last[back][2][2]).event or {}
  end
  local ending = event(1)
  local has_lapsed = ending.type == 'job.expired' and event(2).type == 'job.resumed'
  local may_go_on = ending.type == 'job.failed'
    and ending.error.kind ~= 'unprocessable_input'
    and ending.error.stage
  if not (has_lapsed or may_go_on) then return {'over', ''} end
else
  local standing = redis.call('HGET', state, 'deadline')
  if not standing or tonumber(standing) > tonumber(ARGV[5]) then
    return {'under way', redis.call('HGET', state, 'resumption') or ''}
  end
end
-- Its sentences begin anew, as far as they are missing.
redis.call('HDEL', state, 'closed', 'failed', 'run:tts')
for _, field in ipairs(redis.call('HKEYS', state)) do
  if string.find(field, '^begun:') then redis.call('HDEL', state, field) end
end
redis.call('HSET', state, 'deadline', ARGV[2], 'resumption', ARGV[4])
add(ARGV[3])
publish(ARGV[1])
return {'under way', ARGV[4]}
",
    )
});

/// ARGV: ttl in ms, erased entry. Its number follows that of the last event, so
/// that whoever follows the log hears of it.
pub static ERASE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('EXISTS', stream) == 0 or redis.call('HEXISTS', state, 'erased') == 1 then return end
local seq = redis.call('HGET', state, 'seq') or 0
redis.call('DEL', stream, state)
redis.call('HSET', state, 'seq', seq, 'erased', 1)
add(ARGV[2])
close()
publish(ARGV[1])
",
    )
});

/// ARGV: message, process.
pub static LET_GO: LazyLock<Script> = LazyLock::new(|| script("let_go(ARGV[1], ARGV[2])"));

/// Follows [`PRELUDE`] in the scripts about sentences.
const SENTENCES: &str = r"
local function is_over(of)
  return is_closed() or tonumber(of) < take()
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
/// entry, deadline, message, attempt, process, most runs.
pub static BEGIN_SENTENCE: LazyLock<Script> = LazyLock::new(|| {
    script(&format!(
        r"{SENTENCES}
open(ARGV[2])
if is_over(ARGV[3]) or is_void(ARGV[7]) then return {{'over'}} end
number(ARGV[4], ARGV[5])
if redis.call('HEXISTS', state, 'sentence:' .. ARGV[4]) == 1 then return spoken() end
local before = crashes(ARGV[8], ARGV[9], ARGV[10], ARGV[11])
if before < 0 then return {{'crashes'}} end
if redis.call('HSETNX', state, 'run:tts', 1) == 1 or ARGV[9] ~= '1' then
  add(ARGV[6])
  publish(ARGV[1])
end
return {{'missing', tostring(before)}}
"
    ))
});

/// ARGV: ttl in ms, take, n, '1' when it is the last, how it was spoken, its
/// announcement or ''.
pub static COMPLETE_SENTENCE: LazyLock<Script> = LazyLock::new(|| {
    script(&format!(
        r"{SENTENCES}
if is_lost('tts', '') then return {{'lost'}} end
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
