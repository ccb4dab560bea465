//! Our programs as processes of their own, each with its log, started as often
//! as they are ended.

use std::{
    os::unix::process::ExitStatusExt as _, path::PathBuf, process::Stdio, sync::PoisonError,
    time::Duration,
};

use anyhow::Context as _;
use common::testing::process::Watchdog;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, timeout},
};

/// Beyond its grace, for a program to end in order.
const TO_END: Duration = Duration::from_secs(30);

/// For a program to listen to signals, on a busy machine.
const TO_BEGIN: Duration = Duration::from_secs(5);

const SIGTERM: i32 = 15;

/// How to start a program.
pub struct Part {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub settings: Vec<(String, String)>,
    /// It is appended to, over all its starts.
    pub log: PathBuf,
    /// How likely it is to be chosen for a fault.
    pub weight: usize,
}

pub struct Program {
    pub part: Part,
    running: Mutex<Option<Running>>,
    complaints: std::sync::Mutex<Vec<String>>,
}

struct Running {
    child: Child,
    since: Instant,
    _watchdog: Watchdog,
}

impl Program {
    pub fn of(part: Part) -> Self {
        Self {
            part,
            running: Mutex::default(),
            complaints: std::sync::Mutex::default(),
        }
    }

    /// Starts it, unless it runs.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.as_mut()
            && !self.ended_by_itself(&mut running.child)
        {
            return Ok(());
        }
        *running = Some(self.spawn()?);
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Running> {
        let part = &self.part;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&part.log)?;
        let child = Command::new(&part.program)
            .args(&part.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .envs(part.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", part.program.display()))?;
        let _watchdog = Watchdog::over(child.id().context("it has ended already")?);
        Ok(Running {
            child,
            since: Instant::now(),
            _watchdog,
        })
    }

    /// As `kill -9` does.
    pub async fn kill(&self) {
        if let Some(mut running) = self.running.lock().await.take()
            && !self.ended_by_itself(&mut running.child)
        {
            // It may have ended in this moment.
            let _ = running.child.kill().await;
        }
    }

    /// By SIGTERM, and waits for the end.
    pub async fn terminate(&self) {
        if let Some(mut running) = self.running.lock().await.take()
            && !self.ended_by_itself(&mut running.child)
            && let Err(complaint) = end_in_order(&mut running).await
        {
            self.complain(complaint);
            let _ = running.child.kill().await;
        }
    }

    fn ended_by_itself(&self, child: &mut Child) -> bool {
        let Ok(Some(status)) = child.try_wait() else {
            return false;
        };
        self.complain(format!("ended by itself: {status}"));
        true
    }

    fn complain(&self, what: String) {
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaints.push(format!("{}: {what}", self.part.name));
    }

    /// How it ended otherwise than it should have.
    pub async fn complaints(&self) -> Vec<String> {
        if let Some(running) = self.running.lock().await.as_mut() {
            self.ended_by_itself(&mut running.child);
        }
        let complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaints.clone()
    }
}

async fn end_in_order(running: &mut Running) -> Result<(), String> {
    let Some(id) = running.child.id() else {
        return Ok(());
    };
    let may_not_listen_yet = running.since.elapsed() < TO_BEGIN;
    let signalled = Command::new("kill")
        .args(["-TERM", &id.to_string()])
        .status()
        .await;
    signalled.map_err(|error| format!("could not be signalled: {error}"))?;
    match timeout(TO_END, running.child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) if may_not_listen_yet && status.signal() == Some(SIGTERM) => Ok(()),
        Ok(Ok(status)) => Err(format!("ended after SIGTERM with {status}")),
        Ok(Err(error)) => Err(format!("could not be waited for: {error}")),
        Err(_) => Err(format!("did not end within {TO_END:?} of SIGTERM")),
    }
}
