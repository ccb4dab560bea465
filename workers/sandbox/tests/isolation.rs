//! What a child can do to the rest, tried out. This program is its own child.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{TcpListener, TcpStream},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use sandbox::{Entry, Limits, Outcome, Progress, Sandbox, SandboxError, Task, child_role};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// Does what it is told, as a decoder might that hostile bytes have taken over.
struct Obey;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Order {
    Echo,
    Allocate(u64),
    Recurse(u64),
    Spin,
    /// Spins for that many milliseconds, in steps that earn twice as much.
    Work(u64),
    Panic,
    Print,
    Say(u64),
    TellOfItself,
    Connect(u16),
    Listen,
    ReadFile,
    WriteFile,
    StartProgram,
    Kill(u32),
    RaisePriority,
}

impl Task for Obey {
    const NAME: &'static str = "obey";
    const PER_PROCESSOR: usize = 1;
    type Request = Order;
    type Reply = String;

    fn limits(_: &Order, length: usize) -> Limits {
        Limits {
            memory: 64 * MIB + 2 * length as u64,
            stack: 16 * MIB,
            cpu: Duration::from_millis(300),
            cpu_ceiling: Duration::from_secs(3),
            output: 8 * MIB,
        }
    }

    fn run(order: Order, bytes: Vec<u8>, progress: &Progress) -> Outcome<String> {
        let reply = match order {
            Order::Echo => {
                return Outcome {
                    reply: "echo".into(),
                    bytes,
                };
            }
            Order::Allocate(size) => format!("{}", vec![1u8; size as usize].len()),
            Order::Recurse(depth) => recurse(depth).to_string(),
            Order::Spin => loop {
                std::hint::black_box(0);
            },
            Order::Work(millis) => work(millis, progress),
            Order::Panic => panic!("the parser's defect"),
            Order::Print => {
                println!("{}", "chatter ".repeat(100_000));
                eprintln!("{}", "chatter ".repeat(100_000));
                "printed".into()
            }
            Order::Say(size) => "a".repeat(size as usize),
            Order::TellOfItself => tell_of_itself(),
            Order::Connect(port) => outcome(TcpStream::connect(("127.0.0.1", port))),
            Order::Listen => outcome(TcpListener::bind("127.0.0.1:0")),
            Order::ReadFile => outcome(std::fs::read("/etc/passwd")),
            Order::WriteFile => outcome(std::fs::write("/tmp/itb-sandbox-escape", "x")),
            Order::StartProgram => outcome(Command::new("/bin/true").status()),
            Order::Kill(process) => {
                let process = rustix::process::Pid::from_raw(process as i32).unwrap();
                outcome(rustix::process::test_kill_process(process))
            }
            Order::RaisePriority => outcome(rustix::process::setpriority_process(None, -5)),
        };
        reply.into()
    }
}

fn outcome<T, E: std::fmt::Debug>(result: Result<T, E>) -> String {
    result.map_or_else(|error| format!("refused: {error:?}"), |_| "done".into())
}

fn recurse(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == 0 {
        0
    } else {
        recurse(depth - 1) + room[3] % 2
    }
}

fn work(millis: u64, progress: &Progress) -> String {
    for _ in 0..millis / 10 {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(10) {}
        progress.earn(Duration::from_millis(20));
    }
    "worked".into()
}

fn tell_of_itself() -> String {
    let variables = std::env::vars_os().count();
    // Asked of the kernel before the filter would be `getcwd`, which it refuses; the link in /proc too.
    let session = rustix::process::getpid().as_raw_nonzero();
    format!("{variables} variables, process {session}")
}

type Check = (&'static str, fn() -> futures::Boxed);

mod futures {
    pub type Boxed = std::pin::Pin<Box<dyn Future<Output = ()>>>;
}

macro_rules! checks {
    ($($name:ident),+ $(,)?) => {
        const CHECKS: &[Check] = &[$((stringify!($name), || Box::pin($name()))),+];
    };
}

checks![
    bytes_and_replies_come_back_whole,
    an_allocation_beyond_the_limit_is_the_inputs_fault,
    a_stack_that_is_used_up_is_the_inputs_fault,
    work_without_result_ends_soon,
    work_with_results_goes_on_up_to_the_ceiling,
    a_panic_is_told_apart,
    chatter_of_a_parser_goes_nowhere,
    a_reply_beyond_its_bound_is_refused,
    there_is_no_environment,
    nothing_outside_can_be_reached,
    a_child_that_is_killed_is_not_the_inputs_fault,
    a_child_that_died_waiting_is_replaced,
    a_program_that_cannot_be_started_says_so,
    a_caller_that_goes_away_ends_its_child,
    many_at_once_do_not_disturb_each_other,
    who_takes_long_makes_way,
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(exit) = child_role(&arguments, &[Entry::of::<Obey>()]) {
        return exit;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in CHECKS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .find(|argument| !argument.starts_with('-'));
    let mut passed = 0;
    for (name, check) in CHECKS {
        if wanted.is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(check());
        println!("test {name} ... ok");
        passed += 1;
    }
    let filtered = CHECKS.len() - passed;
    println!(
        "\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; {filtered} filtered out"
    );
    ExitCode::SUCCESS
}

async fn run(order: Order) -> Result<String, SandboxError> {
    let outcome = Sandbox::<Obey>::new().run(&order, b"bytes").await?;
    Ok(outcome.reply)
}

async fn bytes_and_replies_come_back_whole() {
    let sandbox = Sandbox::<Obey>::new();
    for length in [0, 1, 65_536, 5_000_001] {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        let outcome = sandbox.run(&Order::Echo, &bytes).await.unwrap();
        assert!(
            outcome.bytes == bytes && outcome.reply == "echo",
            "{length}"
        );
    }
}

async fn an_allocation_beyond_the_limit_is_the_inputs_fault() {
    assert_eq!(
        run(Order::Allocate(48 * MIB)).await.unwrap(),
        (48 * MIB).to_string()
    );
    for size in [100 * MIB, 4096 * MIB, 1 << 46] {
        let error = run(Order::Allocate(size)).await.unwrap_err();
        assert!(
            matches!(error, SandboxError::OutOfMemory(_)),
            "{size}: {error}"
        );
        assert!(error.is_permanent());
    }
}

async fn a_stack_that_is_used_up_is_the_inputs_fault() {
    run(Order::Recurse(10_000)).await.unwrap();
    let error = run(Order::Recurse(10_000_000)).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}

async fn work_without_result_ends_soon() {
    let error = run(Order::Spin).await.unwrap_err();
    assert!(matches!(error, SandboxError::OutOfTime(_)), "{error}");
}

async fn work_with_results_goes_on_up_to_the_ceiling() {
    assert_eq!(run(Order::Work(1_000)).await.unwrap(), "worked");
    let error = run(Order::Work(60_000)).await.unwrap_err();
    assert!(matches!(error, SandboxError::OutOfTime(_)), "{error}");
}

async fn a_panic_is_told_apart() {
    let error = run(Order::Panic).await.unwrap_err();
    assert!(matches!(error, SandboxError::Panicked), "{error}");
}

async fn chatter_of_a_parser_goes_nowhere() {
    assert_eq!(run(Order::Print).await.unwrap(), "printed");
}

async fn a_reply_beyond_its_bound_is_refused() {
    let error = run(Order::Say(9 * MIB)).await.unwrap_err();
    assert!(matches!(error, SandboxError::TooMuchOutput(_)), "{error}");
}

async fn there_is_no_environment() {
    let told = run(Order::TellOfItself).await.unwrap();
    assert!(told.starts_with("0 variables"), "{told}");
}

#[cfg(target_os = "linux")]
async fn nothing_outside_can_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for order in [
        Order::Connect(port),
        Order::Listen,
        Order::ReadFile,
        Order::WriteFile,
        Order::StartProgram,
        Order::Kill(std::process::id()),
        Order::RaisePriority,
    ] {
        let told = run(order.clone()).await.unwrap();
        assert!(told.starts_with("refused"), "{order:?}: {told}");
    }
}

#[cfg(not(target_os = "linux"))]
async fn nothing_outside_can_be_reached() {}

/// The children of this process that do not wait for input: their states are `R` or `S` alike, so all are taken.
fn children() -> Vec<u32> {
    let own = std::process::id();
    let path = format!("/proc/{own}/task/{own}/children");
    let of_main = std::fs::read_to_string(path).unwrap_or_default();
    let mut all: Vec<u32> = of_main
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect();
    // Each thread has its own list.
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(
            list.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn kill_all_children() {
    for id in children() {
        let id = rustix::process::Pid::from_raw(id as i32).unwrap();
        let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    }
}

async fn a_child_that_is_killed_is_not_the_inputs_fault() {
    let sandbox = Sandbox::<Obey>::new();
    let spinning = sandbox.run(&Order::Work(2_500), b"");
    let killing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        kill_all_children();
    };
    let (ended, ()) = tokio::join!(spinning, killing);
    let error = ended.unwrap_err();
    assert!(matches!(error, SandboxError::Killed), "{error}");
    assert!(!error.is_permanent());
}

async fn a_child_that_died_waiting_is_replaced() {
    let sandbox = Sandbox::<Obey>::new();
    kill_all_children();
    // The kernel tells of a death a moment later.
    while children().iter().any(|id| !is_dead(*id)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(sandbox.run(&Order::Echo, b"a").await.unwrap().bytes, b"a");
}

fn is_dead(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

async fn a_program_that_cannot_be_started_says_so() {
    let sandbox = Sandbox::<Obey>::of_program("/nonexistent/program".into());
    let error = sandbox.run(&Order::Echo, b"").await.unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted(_)), "{error}");
    let sandbox = Sandbox::<Obey>::of_program("/bin/true".into());
    let error = sandbox.run(&Order::Echo, b"").await.unwrap_err();
    assert!(!error.is_permanent(), "{error}");
}

async fn a_caller_that_goes_away_ends_its_child() {
    let sandbox = Sandbox::<Obey>::new();
    let cut = tokio::time::timeout(
        Duration::from_millis(100),
        sandbox.run(&Order::Work(2_900), b""),
    );
    assert!(cut.await.is_err());
    drop(sandbox);
    while children().iter().any(|id| !is_dead(*id)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn many_at_once_do_not_disturb_each_other() {
    let sandbox = std::sync::Arc::new(Sandbox::<Obey>::new());
    let runs: Vec<_> = (0..60)
        .map(|number: u32| {
            let sandbox = std::sync::Arc::clone(&sandbox);
            tokio::spawn(async move {
                if number.is_multiple_of(3) {
                    let order = Order::Allocate(1 << 40);
                    assert!(sandbox.run(&order, b"").await.is_err());
                } else {
                    let bytes = number.to_le_bytes();
                    let outcome = sandbox.run(&Order::Echo, &bytes).await.unwrap();
                    assert_eq!(outcome.bytes, bytes);
                }
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap();
    }
}

#[cfg(target_os = "linux")]
async fn who_takes_long_makes_way() {
    let sandbox = Sandbox::<Obey>::new();
    for order in [Order::Work(600), Order::Spin] {
        let mut lowest = 0;
        let run = sandbox.run(&order, b"");
        tokio::pin!(run);
        while tokio::time::timeout(Duration::from_millis(5), &mut run)
            .await
            .is_err()
        {
            lowest = children().into_iter().map(niceness).fold(lowest, i32::max);
        }
        assert_eq!(lowest, 10, "{order:?}");
    }
}

#[cfg(not(target_os = "linux"))]
async fn who_takes_long_makes_way() {}

/// `proc_pid_stat(5)`, field 19; the name of the program, which may hold blanks, is field 2.
#[cfg(target_os = "linux")]
fn niceness(process: u32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = after_name.split(' ').nth(16);
    field.and_then(|it| it.parse().ok()).unwrap_or_default()
}
