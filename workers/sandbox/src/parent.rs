//! The parent's side: children started ahead, one request to each, and what became of it.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    marker::PhantomData,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};
use tracing::warn;

use crate::{Limits, Outcome, Task, child, frame};

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the input needs more than {0} bytes of memory")]
    OutOfMemory(u64),
    #[error("the input needs more processor time than {0:?}")]
    OutOfTime(Duration),
    #[error("the input makes more than {0} bytes")]
    TooMuchOutput(u64),
    #[error("the parser panicked")]
    Panicked,
    /// By a signal that a defect of the parser raises, such as a segmentation fault.
    #[error("the parser crashed (signal {0})")]
    Crashed(i32),
    /// Not by the sandbox: an operator did it, or the system for want of memory.
    #[error("the process was killed")]
    Killed,
    #[error("the machine gave the process too little time: not done within {0:?}")]
    Starved(Duration),
    #[error("the process could not do its work: {0}")]
    Broken(String),
    #[error("the process could not be started: {0}")]
    NotStarted(#[source] io::Error),
}

impl SandboxError {
    /// Whether the same input will fail in the same way again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::OutOfMemory(_)
            | Self::OutOfTime(_)
            | Self::TooMuchOutput(_)
            | Self::Panicked
            | Self::Crashed(_) => true,
            Self::Killed | Self::Starved(_) | Self::Broken(_) | Self::NotStarted(_) => false,
        }
    }
}

/// Runs `T`, each time in a process of its own.
pub struct Sandbox<T> {
    ahead: Arc<Ahead>,
    /// How many work at the same time.
    places: usize,
    room: Semaphore,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> Sandbox<T> {
    /// With this program as its own child: its `main` calls [`crate::child_role`]. Must be called within a runtime.
    pub fn new() -> Self {
        // Also right when the file was replaced by a newer version since this process started.
        let own = Path::new("/proc/self/exe");
        let program = match own.exists() {
            true => own.to_owned(),
            false => std::env::current_exe().unwrap_or_default(),
        };
        Self::of_program(program)
    }

    /// With another program as the child, which knows the task.
    pub fn of_program(program: PathBuf) -> Self {
        say_what_is_missing();
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let ahead = Ahead {
            program,
            task: T::NAME,
            spare: processors.min(4),
            children: Mutex::default(),
        };
        ahead.fill();
        let places = processors * T::PER_PROCESSOR;
        Self {
            ahead: Arc::new(ahead),
            places,
            room: Semaphore::new(places),
            task: PhantomData,
        }
    }

    /// How many inputs are worked on at the same time.
    pub fn places(&self) -> usize {
        self.places
    }

    /// What `T` makes of `bytes`. Waits while as many are at work as may be.
    ///
    /// # Errors
    ///
    /// See [`SandboxError`].
    pub async fn run(
        &self,
        request: &T::Request,
        bytes: &[u8],
    ) -> Result<Outcome<T::Reply>, SandboxError> {
        let _room = self.room.acquire().await.map_err(broken)?;
        let json = serde_json::to_vec(request).map_err(broken)?;
        let limits = T::limits(request, bytes.len());
        let mut child = self.ahead.take().map_err(SandboxError::NotStarted)?;
        let exchange = exchange(&mut child, &json, bytes, &limits);
        let exchanged = timeout(limits.wall(), exchange).await;
        // The next one is started when nobody waits for it.
        let ahead = Arc::clone(&self.ahead);
        tokio::spawn(async move { ahead.fill() });
        let (json, bytes) = exchanged.map_err(|_| SandboxError::Starved(limits.wall()))??;
        Ok(Outcome {
            reply: serde_json::from_slice(&json).map_err(broken)?,
            bytes,
        })
    }
}

/// Children that are started and wait for a request.
struct Ahead {
    program: PathBuf,
    task: &'static str,
    /// How many are kept.
    spare: usize,
    children: Mutex<VecDeque<Child>>,
}

impl Ahead {
    fn take(&self) -> io::Result<Child> {
        loop {
            let Some(mut child) = self.children().pop_front() else {
                return start(&self.program, self.task);
            };
            // Someone may have ended it while it waited.
            if matches!(child.try_wait(), Ok(None)) {
                return Ok(child);
            }
        }
    }

    /// One that cannot be started now is started when it is needed, or says then why not.
    fn fill(&self) {
        while self.children().len() < self.spare
            && let Ok(child) = start(&self.program, self.task)
        {
            self.children().push_back(child);
        }
    }

    fn children(&self) -> MutexGuard<'_, VecDeque<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Task> Default for Sandbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn start(program: &Path, task: &str) -> io::Result<Child> {
    Command::new(program)
        .args([OsStr::new(child::ROLE), OsStr::new(task)])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// One request and its reply: the JSON and the bytes of it. A child that has replied is not waited for: it ends when it
/// is dropped.
async fn exchange(
    child: &mut Child,
    json: &[u8],
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Vec<u8>, Vec<u8>), SandboxError> {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(broken("its pipes are gone"));
    };
    // A child that ends early closes its input; why it did is known from its end.
    let _ = send(stdin, json, bytes).await;
    match receive(stdout, limits.output).await {
        Ok(reply) => Ok(reply),
        Err(Unreceived::TooMuch) => Err(SandboxError::TooMuchOutput(limits.output)),
        Err(Unreceived::Broken) => Err(why(child.wait().await.map_err(broken)?, limits)),
    }
}

async fn send(mut to: ChildStdin, json: &[u8], bytes: &[u8]) -> io::Result<()> {
    to.write_all(&frame::lengths(json.len(), bytes.len()))
        .await?;
    to.write_all(json).await?;
    to.write_all(bytes).await?;
    to.shutdown().await
}

enum Unreceived {
    /// It ended before it had said all.
    Broken,
    TooMuch,
}

/// The child is not believed: what it can send is bounded here too.
async fn receive(mut from: ChildStdout, most: u64) -> Result<(Vec<u8>, Vec<u8>), Unreceived> {
    let mut lengths = [0; frame::LENGTHS];
    let read = from.read_exact(&mut lengths).await;
    read.map_err(|_| Unreceived::Broken)?;
    let (json, bytes) = frame::parse(lengths);
    if json.checked_add(bytes).is_none_or(|all| all > most) {
        return Err(Unreceived::TooMuch);
    }
    Ok((
        read_exactly(&mut from, json).await?,
        read_exactly(&mut from, bytes).await?,
    ))
}

async fn read_exactly(from: &mut ChildStdout, length: u64) -> Result<Vec<u8>, Unreceived> {
    let mut bytes = Vec::new();
    let read = from.take(length).read_to_end(&mut bytes).await;
    match read {
        Ok(read) if read as u64 == length => Ok(bytes),
        _ => Err(Unreceived::Broken),
    }
}

/// What the end of a child says that gave no reply.
fn why(ended: ExitStatus, limits: &Limits) -> SandboxError {
    use rustix::process::Signal;
    let signals = |signal: Signal| ended.signal() == Some(signal.as_raw());
    let exited = |code: u8| ended.code() == Some(code.into());
    if exited(child::OUT_OF_TIME) || signals(Signal::XCPU) {
        SandboxError::OutOfTime(limits.cpu_ceiling)
    } else if exited(child::PANICKED) {
        SandboxError::Panicked
    } else if exited(child::TOO_MUCH_OUTPUT) {
        SandboxError::TooMuchOutput(limits.output)
    } else if signals(Signal::ABORT) {
        // What Rust does when an allocation fails or the stack is used up; panics are caught.
        SandboxError::OutOfMemory(limits.memory)
    } else if signals(Signal::KILL) || signals(Signal::TERM) {
        SandboxError::Killed
    } else {
        match ended.signal() {
            Some(signal) => SandboxError::Crashed(signal),
            None => broken(ended),
        }
    }
}

fn broken(reason: impl std::fmt::Display) -> SandboxError {
    SandboxError::Broken(reason.to_string())
}

/// Once for a process, so that an operator knows how much of the sandbox there is.
fn say_what_is_missing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // `proc_pid_status(5)`; kernels without seccomp have no such line.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !status.contains("\nSeccomp:") {
            warn!(
                "this system has no seccomp: uploads are decoded with limits of memory and time, and without a filter of system calls"
            );
        }
    });
}
