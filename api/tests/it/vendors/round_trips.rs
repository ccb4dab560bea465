//! What one job asks of Redis, by what Redis itself says (`MONITOR`): each command of a program is a round trip, those of one
//! pipeline included, and the commands within a script are none.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::testing::servers::{RedisServer, shared, skipped};
use serde_json::Value;

use super::running::{Mode, Running, Vendors, result};
use crate::deployment::conversation;

/// Commands beside the ones that tell the words of the answer as they come.
const CHAT: usize = 18;
const SPOKEN: usize = 62;

/// The commands of programs, as they come.
struct Monitor {
    commands: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    fn start(port: u16) -> Self {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.write_all(b"MONITOR\r\n").unwrap();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&commands);
        std::thread::spawn(move || {
            for line in BufReader::new(connection).lines().map_while(Result::ok) {
                let is_of_a_job = ![
                    "lua]",
                    "\"PING\"",
                    "itb:probe",
                    "\"INFO\"",
                    "CLIENT",
                    "outbox",
                ]
                .iter()
                .any(|other| line.contains(other));
                if is_of_a_job && let Some((_, command)) = line.split_once("] ") {
                    heard.lock().unwrap().push(command.to_owned());
                }
            }
        });
        Self { commands }
    }

    /// Those since the last time, once no more come.
    async fn take(&self) -> Vec<String> {
        let count = || self.commands.lock().unwrap().len();
        let mut before = usize::MAX;
        while count() != before {
            before = count();
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        std::mem::take(&mut *self.commands.lock().unwrap())
    }
}

/// How often the log of `job` tells words of the answer.
async fn pieces(running: &Running, job: &Value) -> usize {
    let path = format!("/v1/jobs/{}/events", job["job_id"].as_str().unwrap());
    let events = running.deployment.get(&path).send().await.unwrap();
    let events = events.text().await.unwrap();
    events.matches("event: answer.delta").count()
}

#[tokio::test]
async fn a_job_asks_little_of_redis() {
    let (Some(shared), Some(redis)) = (shared(), RedisServer::start()) else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let vendors = Vendors::start().await;
    let url = redis.url();
    let more = [("REDIS_URL", url.as_str())];
    let running = Running::start(Mode::Distributed(shared), &vendors, &more).await;
    let monitor = Monitor::start(redis.port());
    let talk = conversation();
    for turn in ["written", "spoken"] {
        // The first one of each kind finds scripts and subscriptions missing.
        for time in 0..2 {
            monitor.take().await;
            let job = match turn {
                "written" => {
                    let answer = running.chat_in(&talk, "Apa syarat lulus sarjana?").await;
                    result(answer, turn).await
                }
                _ => result(running.say().await, turn).await,
            };
            let commands = monitor.take().await;
            let pieces = pieces(&running, &job).await;
            monitor.take().await;
            let most = if turn == "written" { CHAT } else { SPOKEN };
            let names: Vec<&str> = commands
                .iter()
                .map(|it| it.split(' ').next().unwrap())
                .collect();
            println!(
                "{turn}: {} commands for {pieces} pieces: {names:?}",
                commands.len()
            );
            assert!(
                time == 0 || commands.len() <= most + pieces,
                "{commands:#?}"
            );
        }
    }
}
