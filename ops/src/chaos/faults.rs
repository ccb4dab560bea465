//! Carries the schedule out: breaks, waits, makes whole.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    proxy::Trouble,
    schedule::{Breaking, Ending, Fault, Lane, Server},
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

/// Plays one lane until `stop`; what is broken then is made whole before the
/// end.
pub async fn play(
    world: Arc<World>,
    lane: Lane,
    begun: Instant,
    stop: CancellationToken,
) -> anyhow::Result<Vec<Done>> {
    let mut done = Vec::new();
    for fault in lane {
        tokio::select! {
            () = sleep(fault.after) => {}
            () = stop.cancelled() => break,
        }
        done.push(carry_out(&world, &fault, begun, &stop).await?);
    }
    Ok(done)
}

async fn carry_out(
    world: &World,
    fault: &Fault,
    begun: Instant,
    stop: &CancellationToken,
) -> anyhow::Result<Done> {
    let from = begun.elapsed().as_secs_f64();
    let lasting = async {
        tokio::select! {
            () = sleep(fault.lasting) => {}
            () = stop.cancelled() => {}
        }
    };
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
        Breaking::Link(place, trouble) => {
            let proxy = &world.links[*place].proxy;
            proxy.trouble(*trouble);
            lasting.await;
            proxy.heal();
        }
    }
    Ok(Done {
        from,
        to: begun.elapsed().as_secs_f64(),
        kind: kind(&fault.breaking),
        what: name(world, &fault.breaking),
    })
}

fn kind(breaking: &Breaking) -> &'static str {
    match breaking {
        Breaking::Program(_, Ending::Killed) => "program killed",
        Breaking::Program(_, Ending::InOrder) => "program restarted",
        Breaking::Server(Server::RabbitMq, Ending::Killed) => "RabbitMQ killed",
        Breaking::Server(Server::RabbitMq, Ending::InOrder) => "RabbitMQ stopped",
        Breaking::Server(Server::Redis, Ending::Killed) => "Redis killed",
        Breaking::Server(Server::Redis, Ending::InOrder) => "Redis stopped",
        Breaking::Link(_, Trouble::Cut) => "link cut",
        Breaking::Link(_, Trouble::HalfOpen) => "link half open",
        Breaking::Link(_, Trouble::Delayed(_)) => "link delayed",
    }
}

fn name(world: &World, breaking: &Breaking) -> String {
    match breaking {
        Breaking::Program(place, _) => world.programs[*place].part.name.clone(),
        Breaking::Server(..) => String::new(),
        Breaking::Link(place, Trouble::Delayed(time)) => {
            format!("{} by {time:?}", world.links[*place].name)
        }
        Breaking::Link(place, _) => world.links[*place].name.clone(),
    }
}
