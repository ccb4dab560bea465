//! Work on bytes from outside, in a child process of this program.
//!
//! A parser of hostile bytes can ask for more memory than there is, and a failed allocation ends the process: catching
//! panics isolates nothing. So each input is handed to a process of its own that is this same program in another role.
//!
//! # Guarantees
//!
//! * A child works on one input and ends. It carries nothing from one caller to the next.
//! * It holds no more memory than [`Limits::memory`] beyond what the idle program takes, and no more processor time than
//!   [`Limits::cpu`] and what it earns by its results ([`Progress`]).
//! * What uses more than a little processor time goes on at low priority, so that others hardly notice.
//! * Its environment is empty, its working folder is `/`, its session is its own, and it writes no files. On Linux a
//!   seccomp filter leaves it memory, clocks and the pipes to its parent: no files, no network, no processes.
//! * Whatever becomes of the child, the caller gets a reply or a [`SandboxError`] that says whether the input is at fault.
//! * Dropping the future ends the child.
//!
//! # Deliberately absent
//!
//! Reuse of a child for a second input: children are started ahead instead, so that starting costs the caller nothing.
//!
//! A program that uses a sandbox calls [`child_role`] before it does anything else.

mod child;
#[cfg(target_os = "linux")]
mod filter;
mod frame;
mod limits;
mod parent;

use serde::{Serialize, de::DeserializeOwned};

pub use child::{Entry, Progress, child_role};
pub use limits::Limits;
pub use parent::{Sandbox, SandboxError};

/// One kind of work on bytes from outside.
pub trait Task: 'static {
    /// Names the role of the child among the arguments of the program.
    const NAME: &'static str;
    /// How many are worked on at a time, for each processor that there is.
    const PER_PROCESSOR: usize;
    /// What is asked about the bytes.
    type Request: Serialize + DeserializeOwned + Send + Sync;
    /// What is found out about them, beside the bytes that are made of them.
    type Reply: Serialize + DeserializeOwned + Send;

    /// What the work on `length` bytes may cost.
    fn limits(request: &Self::Request, length: usize) -> Limits;

    /// The work: blocking, on one thread. A panic is caught and reported as [`SandboxError::Panicked`].
    fn run(request: Self::Request, bytes: Vec<u8>, progress: &Progress) -> Outcome<Self::Reply>;
}

/// What a task gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<Reply> {
    pub reply: Reply,
    /// Counted against [`Limits::output`] together with the encoded reply.
    pub bytes: Vec<u8>,
}

impl<Reply> From<Reply> for Outcome<Reply> {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            bytes: Vec::new(),
        }
    }
}
