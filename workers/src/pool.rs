//! Some stages, running in this process.

use std::sync::Arc;

use common::pipeline::Stage;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use crate::{kit::Kit, relay, runner, stages};

pub struct Pool {
    stop: CancellationToken,
    members: Vec<Member>,
    running: TaskTracker,
}

/// One stage of a pool.
struct Member {
    stage: Stage,
    state: watch::Receiver<MemberState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// Waiting for what it works with.
    Preparing,
    Consuming,
    /// The broker is away.
    Disconnected,
    /// It cannot begin, for this reason.
    Failed(String),
}

impl Pool {
    /// Each stage begins as soon as it has what it needs.
    pub fn start(kit: &Arc<Kit>, stages: &[Stage]) -> Self {
        let stop = CancellationToken::new();
        let running = TaskTracker::new();
        let start = |stage: &Stage| {
            let (sender, state) = watch::channel(MemberState::Preparing);
            running.spawn(run(*stage, Arc::clone(kit), stop.clone(), sender));
            Member {
                stage: *stage,
                state,
            }
        };
        let members = stages.iter().map(start).collect();
        running.spawn(relay::run(kit.backends.clone(), stop.clone()));
        Self {
            stop,
            members,
            running,
        }
    }

    pub fn states(&self) -> Vec<(Stage, MemberState)> {
        self.members
            .iter()
            .map(|member| (member.stage, member.state.borrow().clone()))
            .collect()
    }

    /// How `stage` is, for as long as the pool runs.
    pub fn watch(&self, stage: Stage) -> Option<watch::Receiver<MemberState>> {
        self.members
            .iter()
            .find(|member| member.stage == stage)
            .map(|member| member.state.clone())
    }

    /// Takes no more messages, and finishes those in work.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }

    /// Waits for the first stage that cannot begin.
    pub async fn first_failure(&self) -> String {
        let failures = self.members.iter().map(|member| {
            let mut state = member.state.clone();
            Box::pin(async move {
                let failed = |state: &MemberState| matches!(state, MemberState::Failed(_));
                match state.wait_for(failed).await.as_deref() {
                    Ok(MemberState::Failed(reason)) => reason.clone(),
                    _ => std::future::pending().await,
                }
            })
        });
        futures::future::select_all(failures).await.0
    }
}

async fn run(
    stage: Stage,
    kit: Arc<Kit>,
    stop: CancellationToken,
    state: watch::Sender<MemberState>,
) {
    let handler = tokio::select! {
        handler = stages::handler(stage, &kit) => handler,
        () = stop.cancelled() => return,
    };
    let handler = match handler {
        Ok(handler) => handler,
        Err(error) => {
            error!(%stage, %error, "the stage cannot begin");
            state.send_replace(MemberState::Failed(error.to_string()));
            return;
        }
    };
    let config = kit.config.of(stage);
    let running = runner::start(config, handler, kit.backends.clone(), stop).await;
    let mut consuming = running.consuming.clone();
    let follow = async {
        loop {
            let now = if *consuming.borrow_and_update() {
                MemberState::Consuming
            } else {
                MemberState::Disconnected
            };
            state.send_replace(now);
            if consuming.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = running.stopped() => {}
        () = follow => {}
    }
}
