//! Carries the schedule out: breaks, waits, makes whole.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    proxy::Trouble,
    schedule::{Breaking, Ending, Fault, Hampering, Lane, Server},
    world::World,
};

/// A fault as it was.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    /// Seconds since the beginning of the load.
    pub from: f64,
    pub to: f64,
    pub kind: &'static str,
    pub what: String,
}

/// Plays a lane of the schedule.
pub struct Player {
    pub world: Arc<World>,
    pub begun: Instant,
    /// The order to end.
    pub stop: CancellationToken,
}

impl Player {
    /// Plays `lane` until the order to end, and `least` faults in any case; what
    /// is broken then is made whole before the end.
    pub async fn play(self, lane: Lane, least: usize) -> anyhow::Result<Vec<Done>> {
        let mut done = Vec::new();
        for fault in lane {
            if done.len() < least {
                sleep(fault.after).await;
            } else {
                self.sleep_or_stop(fault.after).await;
                if self.stop.is_cancelled() {
                    break;
                }
            }
            done.push(self.carry_out(&fault).await?);
        }
        Ok(done)
    }

    async fn sleep_or_stop(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn carry_out(&self, fault: &Fault) -> anyhow::Result<Done> {
        let from = self.begun.elapsed().as_secs_f64();
        let world = &self.world;
        let lasting = self.sleep_or_stop(fault.lasting);
        match &fault.breaking {
            Breaking::Program(place, ending) => {
                let program = &world.programs[*place];
                match ending {
                    Ending::Killed => program.kill().await,
                    Ending::InOrder => program.terminate().await,
                }
                lasting.await;
                program.start().await?;
            }
            Breaking::Server(server, ending) => {
                world.end(*server, *ending).await;
                lasting.await;
                world.start_again(*server).await;
            }
            Breaking::Hampered(how) => {
                world.hamper(*how).await;
                lasting.await;
                world.relieve(*how).await;
            }
            Breaking::Link(place, trouble) => {
                let proxy = &world.links[*place].proxy;
                proxy.trouble(*trouble);
                lasting.await;
                proxy.heal();
            }
        }
        Ok(Done {
            from,
            to: self.begun.elapsed().as_secs_f64(),
            kind: kind(&fault.breaking),
            what: name(world, &fault.breaking),
        })
    }
}

fn kind(breaking: &Breaking) -> &'static str {
    match breaking {
        Breaking::Program(_, Ending::Killed) => "program killed",
        Breaking::Program(_, Ending::InOrder) => "program restarted",
        Breaking::Server(Server::RabbitMq, Ending::Killed) => "RabbitMQ killed",
        Breaking::Server(Server::RabbitMq, Ending::InOrder) => "RabbitMQ stopped",
        Breaking::Server(Server::Redis, Ending::Killed) => "Redis killed",
        Breaking::Server(Server::Redis, Ending::InOrder) => "Redis stopped",
        Breaking::Hampered(Hampering::MemoryAlarm) => "RabbitMQ short of memory",
        Breaking::Hampered(Hampering::DiskAlarm) => "RabbitMQ short of disk",
        Breaking::Hampered(Hampering::FullQueues) => "queues full",
        Breaking::Hampered(Hampering::Replica) => "Redis a replica",
        Breaking::Hampered(Hampering::OtherPassword) => "Redis with another password",
        Breaking::Link(_, Trouble::Cut) => "link cut",
        Breaking::Link(_, Trouble::HalfOpen) => "link half open",
        Breaking::Link(_, Trouble::Delayed(_)) => "link delayed",
    }
}

fn name(world: &World, breaking: &Breaking) -> String {
    match breaking {
        Breaking::Program(place, _) => world.programs[*place].part.name.clone(),
        Breaking::Server(..) | Breaking::Hampered(_) => String::new(),
        Breaking::Link(place, Trouble::Delayed(time)) => {
            format!("{} by {time:?}", world.links[*place].name)
        }
        Breaking::Link(place, _) => world.links[*place].name.clone(),
    }
}
