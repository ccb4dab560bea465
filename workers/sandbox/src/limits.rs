//! What a child may cost, set by itself before it sees the input.

use std::{io, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Standard streams and the pipe to the parent.
const OPEN_FILES: u64 = 8;

/// What one input may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space beyond those of the idle program. Enforced where the system does: on Linux.
    pub memory: u64,
    /// Bytes of stack, for parsers that recurse; at most about 100 MiB can be had.
    pub stack: u64,
    /// Processor time until the first result.
    pub cpu: Duration,
    /// The most processor time that results can earn.
    pub cpu_ceiling: Duration,
    /// Bytes of the reply.
    pub output: u64,
}

impl Limits {
    /// Time on the clock after which the machine is at fault rather than the input: it gives the child too little of its
    /// processors.
    pub(crate) fn wall(&self) -> Duration {
        self.cpu_ceiling * 4 + Duration::from_secs(10)
    }

    /// Binds this process. What is above a limit that it already has stays as it was.
    pub(crate) fn bind(&self) -> io::Result<()> {
        // A second for the watch to end the process in good order.
        let seconds = self.cpu_ceiling.as_secs() + 2;
        lower(Resource::Cpu, seconds)?;
        lower(Resource::Core, 0)?;
        lower(Resource::Fsize, 0)?;
        lower(Resource::Nofile, OPEN_FILES)?;
        raise_stack(self.stack)?;
        // Last: what comes after may need memory itself.
        lower(Resource::As, address_space() + self.memory + self.stack)
    }
}

fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let to = getrlimit(resource).maximum.map_or(to, |most| most.min(to));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(to),
            maximum: Some(to),
        },
    )?)
}

fn raise_stack(to: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::Stack).maximum;
    let current = maximum.map_or(to, |most| most.min(to));
    Ok(setrlimit(
        Resource::Stack,
        Rlimit {
            current: Some(current),
            maximum,
        },
    )?)
}

/// Bytes of address space that this process has now; `proc_pid_statm(5)`. Where there is no such file, addresses are
/// not limited either.
fn address_space() -> u64 {
    std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |pages| pages * rustix::param::page_size() as u64)
}
