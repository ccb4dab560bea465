//! The child's side: binds itself, reads one request, works, replies, ends.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::{Limits, Task, frame};

/// The first argument of a program that is started as a child; the name of the task follows.
pub(crate) const ROLE: &str = "sandboxed";

/// How a child ends that has not replied.
pub(crate) const OUT_OF_TIME: u8 = 10;
pub(crate) const PANICKED: u8 = 11;
pub(crate) const TOO_MUCH_OUTPUT: u8 = 12;
/// It could not bind itself, or its pipes broke.
pub(crate) const UNFIT: u8 = 13;

/// How often the time that was used is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(20);

/// Processor time after which a child makes way for everything else, results or not. Decoding a spoken question takes
/// less.
const AT_FULL_PRIORITY: Duration = Duration::from_millis(50);

/// `nice(2)`: about a tenth of what others get of a processor that they share.
pub(crate) const LOW_PRIORITY: i32 = 10;

/// A task that a program can be started for.
pub struct Entry {
    name: &'static str,
    serve: fn() -> Result<(), u8>,
}

impl Entry {
    pub const fn of<T: Task>() -> Self {
        Self {
            name: T::NAME,
            serve: serve::<T>,
        }
    }
}

/// Takes over when this process was started as a child for one of `tasks`. `arguments` are those after the program's
/// name.
pub fn child_role(arguments: &[OsString], tasks: &[Entry]) -> Option<ExitCode> {
    let [role, name] = arguments else {
        return None;
    };
    if role != ROLE {
        return None;
    }
    let served = match tasks.iter().find(|task| name == task.name) {
        Some(task) => (task.serve)(),
        None => Err(UNFIT),
    };
    Some(served.map_or_else(ExitCode::from, |()| ExitCode::SUCCESS))
}

/// What a task has achieved, in processor time that it may use for it.
///
/// Work in proportion to its result goes on; work without any ends at [`Limits::cpu`].
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Adds to the time that may be used, up to [`Limits::cpu_ceiling`].
    pub fn earn(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    fn earned(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The error is the code to exit with.
fn serve<T: Task>() -> Result<(), u8> {
    let mut replies = take_stdout().map_err(unfit)?;
    leave_terminal();
    let mut requests = io::stdin().lock();
    let mut lengths = [0; frame::LENGTHS];
    requests.read_exact(&mut lengths).map_err(unfit)?;
    let (json, length) = frame::parse(lengths);
    let request = frame::read(&mut requests, json).map_err(unfit)?;
    let request: T::Request = serde_json::from_slice(&request).map_err(unfit)?;
    let size = usize::try_from(length).map_err(unfit)?;
    let limits = T::limits(&request, size);
    let progress = bind(&limits)?;
    let bytes = frame::read(&mut requests, length).map_err(unfit)?;
    let work = AssertUnwindSafe(|| T::run(request, bytes, &progress));
    let outcome = catch_unwind(work).map_err(|_| PANICKED)?;
    let json = serde_json::to_vec(&outcome.reply).map_err(unfit)?;
    if (json.len() + outcome.bytes.len()) as u64 > limits.output {
        return Err(TOO_MUCH_OUTPUT);
    }
    reply(&mut replies, &json, &outcome.bytes).map_err(unfit)
}

fn unfit<E>(_: E) -> u8 {
    UNFIT
}

fn reply(to: &mut impl Write, json: &[u8], bytes: &[u8]) -> io::Result<()> {
    to.write_all(&frame::lengths(json.len(), bytes.len()))?;
    to.write_all(json)?;
    to.write_all(bytes)
}

/// Keeps standard output for replies alone: what a parser prints goes nowhere.
fn take_stdout() -> io::Result<File> {
    let replies = io::stdout().as_fd().try_clone_to_owned()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    Ok(replies.into())
}

/// Signals of a terminal are for the parent, which ends its children itself. When the system runs out of memory, a child
/// goes before any other process. Each fails where it does not apply.
fn leave_terminal() {
    let _ = rustix::process::setsid();
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// From here on the limits hold. The watch is the last thread that is started.
fn bind(limits: &Limits) -> Result<Progress, u8> {
    // What a panic says can quote the input.
    std::panic::set_hook(Box::new(|_| {}));
    let progress = Progress::default();
    watch(*limits, progress.clone()).map_err(unfit)?;
    limits.bind().map_err(unfit)?;
    // A kernel without seccomp leaves the limits above; the parent has said so at its start.
    #[cfg(target_os = "linux")]
    let _ = crate::filter::bind();
    Ok(progress)
}

/// Ends the process when it has used more time than it may, or its parent is gone. Before that it makes way for others.
fn watch(limits: Limits, progress: Progress) -> io::Result<()> {
    let parent = rustix::process::getppid();
    // A session of its own is scheduled as one where the kernel does that; nothing can be opened later.
    let mut group = File::options()
        .write(true)
        .open("/proc/self/autogroup")
        .ok();
    let (running, runs) = mpsc::sync_channel(1);
    let watch = move || {
        let _ = running.send(());
        let mut yields = false;
        loop {
            thread::sleep(WATCH_EVERY);
            let used = used();
            if used > (limits.cpu + progress.earned()).min(limits.cpu_ceiling) {
                std::process::exit(OUT_OF_TIME.into());
            }
            if !yields && used > AT_FULL_PRIORITY {
                make_way(group.as_mut());
                yields = true;
            }
            if rustix::process::getppid() != parent {
                std::process::exit(UNFIT.into());
            }
        }
    };
    thread::Builder::new()
        .name("sandbox-watch".into())
        .stack_size(64 * 1024)
        .spawn(watch)?;
    // How a thread begins is not among what the filter allows.
    runs.recv().map_err(io::Error::other)
}

/// Lowers the priority of the thread that works, and of the session. `sched(7)`: which of the two counts is the kernel's.
fn make_way(group: Option<&mut File>) {
    let _ = rustix::process::setpriority_process(Some(rustix::process::getpid()), LOW_PRIORITY);
    if let Some(group) = group {
        let _ = write!(group, "{LOW_PRIORITY}");
    }
}

/// Processor time of this process.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
