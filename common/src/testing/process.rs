//! Processes that never outlive the test that started them.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Kills the process `pid` when the test process ends, however it ends, or when
/// this is dropped.
pub struct Watchdog(Child);

impl Watchdog {
    pub fn over(pid: u32) -> Self {
        let watchdog = Command::new("sh")
            .args([
                "-c",
                r#"read -r _; kill -KILL "$1""#,
                "sh",
                &pid.to_string(),
            ])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(watchdog.expect("sh starts"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A process group that dies with this process: its leader, a shell, waits for
/// the end of a pipe that only we hold, and clears the servers' folder away too
/// unless it is told to keep it.
pub struct Group(Child);

const WATCHDOG: &str = r#"
folder=$1; shift
"$@" </dev/null >/dev/null 2>&1 &
read -r word
[ "$word" = keep ] || rm -rf "$folder"
kill -KILL 0
"#;

impl Group {
    /// Starts `command`; `folder` is the one to clear away.
    pub fn start(folder: &Path, command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let mut watchdog = Command::new("sh");
        watchdog
            .arg("-c")
            .arg(WATCHDOG)
            .arg("sh")
            .arg(folder)
            .arg(program)
            .args(command.get_args())
            .process_group(0)
            .stdin(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => watchdog.env(name, value),
                None => watchdog.env_remove(name),
            };
        }
        Self(watchdog.spawn().expect("sh starts"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"keep\n");
        }
        let _ = self.0.wait();
    }
}
