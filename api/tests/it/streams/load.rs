//! Many streams at once; measures, and therefore runs only when asked for:
//!
//! ```text
//! cargo test -p itb-api --test it streams::load -- --ignored --nocapture
//! ```
//!
//! `LOAD_STREAMS` (1000) and `LOAD_RATE` (50 events a second each) set what is
//! asked of one front door. The writers of the logs and the readers of the
//! streams share the machine with it: embedded its threads as well, distributed
//! it is a process of its own, whose processor time is told apart.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{pipeline::Route, reply::Event, testing::servers::shared};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::doors::{Doors, path};
use crate::deployment::{KEY, eventually, start_api};

const SECONDS: u64 = 10;

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Reads one stream to its end; the delay of each event, in microseconds.
async fn read(address: String, path: String, epoch: Instant) -> Vec<u64> {
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "GET {path}/events HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(socket).lines();
    let mut delays = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, text)) = line.split_once("\"text\":\"") {
            let sent: u64 = text.trim_end_matches("\"}").parse().unwrap();
            delays.push(micros(epoch).saturating_sub(sent));
        }
    }
    delays
}

fn micros(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_micros()).unwrap()
}

async fn measure(mode: &str, doors: Doors, address: String) {
    let (streams, rate) = (setting("LOAD_STREAMS", 1_000), setting("LOAD_RATE", 50));
    let (doors, epoch) = (Arc::new(doors), Instant::now());
    let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
    for _ in 0..streams {
        let job = doors.accept(Route::Text).await;
        readers.spawn(read(address.clone(), path(&job, ""), epoch));
        let doors = Arc::clone(&doors);
        writers.spawn(async move {
            let mut clock = interval(Duration::from_micros(1_000_000 / rate));
            clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..rate * SECONDS {
                clock.tick().await;
                let text = micros(epoch).to_string();
                doors.append(&job, &[Event::AnswerDelta { text }]).await;
            }
            doors.append(&job, &[Event::Cancelled]).await;
        });
    }
    let begun = Instant::now();
    writers.join_all().await;
    let written = begun.elapsed();
    let mut delays: Vec<u64> = readers.join_all().await.concat();
    let read = begun.elapsed();
    assert_eq!(delays.len() as u64, streams * rate * SECONDS);
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{mode}: {streams} streams at {rate}/s: written in {written:.1?}, read in {read:.1?} \
         ({:.0} events/s); delay p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        delays.len() as f64 / read.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn embedded() {
    let doors = Doors::embedded().await;
    let address = doors.address(0);
    measure("embedded", doors, address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn distributed() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    let (door, url) = start_api(&settings);
    let address = url.trim_start_matches("http://").to_owned();
    let listening = || async { TcpStream::connect(&address).await.is_ok() };
    eventually("listening", listening).await;
    let doors = Doors::on(&settings).await;
    let before = processor_time(door.id());
    measure("distributed", doors, address).await;
    let spent = processor_time(door.id()) - before;
    println!("the front door took {spent:.1} s of processor time");
}

/// Seconds; fields 14 and 15 of `/proc/[pid]/stat`, in hundredths (proc(5)).
fn processor_time(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
