//! All that takes part: the servers, our programs, the links between them, the
//! vendors and the front doors.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use common::{
    pipeline::Stage,
    testing::servers::{RabbitServer, RedisServer, free_port},
};
use tokio::time::{Instant, sleep};

use super::{
    callers::doors::Doors,
    fleet::{Part, Program},
    ledger::Queue,
    proxy::Proxy,
    schedule::{Cast, Ending, Hampering, Server},
    vendors::Vendors,
};

mod settings;

const KEY: &str = "kunci-uji";
const FRONT_DOORS: usize = 2;
const WORKERS_OF_A_STAGE: usize = 2;

/// Time for all to be ready.
const READY: Duration = Duration::from_secs(120);

pub struct World {
    pub programs: Vec<Program>,
    pub links: Vec<Link>,
    pub doors: Arc<Doors>,
    pub vendors: Vendors,
    rabbitmq: Arc<Mutex<RabbitServer>>,
    redis: Arc<Mutex<RedisServer>>,
}

pub struct Link {
    pub name: String,
    pub proxy: Proxy,
}

/// Where things are, and what is asked of them.
pub struct Premises<'a> {
    /// The folder of our programs.
    pub programs: &'a Path,
    /// For logs and what else is written.
    pub folder: &'a Path,
    pub seed: u64,
    /// What our workers are to do wrong on purpose.
    pub sabotage: Option<&'a str>,
}

impl World {
    /// Starts everything, and waits until it is ready.
    pub async fn start(premises: &Premises<'_>) -> anyhow::Result<Self> {
        let servers = tokio::task::spawn_blocking(|| (RabbitServer::start(), RedisServer::start()));
        let (Some(rabbitmq), Some(redis)) = servers.await? else {
            anyhow::bail!("the programs rabbitmq-server and redis-server are needed");
        };
        let vendors = Vendors::start(premises.seed).await;
        let mut builder = Builder {
            premises,
            rabbitmq: port_of(&rabbitmq.url())?,
            redis: port_of(&redis.url())?,
            common: settings::of_all(premises, &vendors)?,
            programs: Vec::new(),
            links: Vec::new(),
        };
        let mut urls = Vec::new();
        for number in 1..=FRONT_DOORS {
            urls.push(builder.front_door(number).await?);
        }
        for stage in Stage::ALL {
            for number in 1..=WORKERS_OF_A_STAGE {
                builder.worker(*stage, number).await?;
            }
        }
        let Builder {
            programs, links, ..
        } = builder;
        let world = Self {
            programs,
            links,
            doors: Arc::new(Doors::new(urls, KEY, vendors.callback_url())?),
            vendors,
            rabbitmq: Arc::new(Mutex::new(rabbitmq)),
            redis: Arc::new(Mutex::new(redis)),
        };
        world.all_well().await?;
        Ok(world)
    }

    pub fn cast(&self) -> Cast {
        Cast {
            programs: self.programs.iter().map(|it| it.part.weight).collect(),
            links: self.links.len(),
        }
    }

    /// Heals every link, starts what does not run, and waits until jobs would
    /// be taken.
    pub async fn all_well(&self) -> anyhow::Result<()> {
        for link in &self.links {
            link.proxy.heal();
        }
        for program in &self.programs {
            program.start().await?;
        }
        let begun = Instant::now();
        while !self.doors.are_ready().await {
            ensure!(begun.elapsed() < READY, "the front doors do not get ready");
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    pub async fn end(&self, server: Server, ending: Ending) {
        self.with_server(server, move |server| match ending {
            Ending::Killed => server.kill(),
            Ending::InOrder => server.stop(),
        })
        .await;
    }

    pub async fn start_again(&self, server: Server) {
        self.with_server(server, |server| server.start_again())
            .await;
    }

    async fn with_server(
        &self,
        which: Server,
        act: impl FnOnce(&mut dyn Breakable) + Send + 'static,
    ) {
        let (rabbitmq, redis) = (Arc::clone(&self.rabbitmq), Arc::clone(&self.redis));
        let acting = tokio::task::spawn_blocking(move || match which {
            Server::RabbitMq => act(&mut *rabbitmq.lock().unwrap_or_else(PoisonError::into_inner)),
            Server::Redis => act(&mut *redis.lock().unwrap_or_else(PoisonError::into_inner)),
        });
        // A server that does not come back ends the run: nothing after it would
        // tell anything.
        acting.await.expect("the servers start and end");
    }

    pub async fn hamper(&self, how: Hampering) {
        self.have_told(how, true).await;
    }

    pub async fn relieve(&self, how: Hampering) {
        self.have_told(how, false).await;
    }

    /// Has the server be told to begin with it, or to end it.
    async fn have_told(&self, how: Hampering, begins: bool) {
        let (rabbitmq, redis) = (Arc::clone(&self.rabbitmq), Arc::clone(&self.redis));
        let telling = tokio::task::spawn_blocking(move || {
            let rabbitmq = rabbitmq.lock().unwrap_or_else(PoisonError::into_inner);
            let redis = redis.lock().unwrap_or_else(PoisonError::into_inner);
            let ctl = |words: &[&str]| _ = rabbitmq.ctl(words);
            match (how, begins) {
                (Hampering::MemoryAlarm, true) => {
                    ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
                }
                (Hampering::MemoryAlarm, false) => {
                    ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]);
                }
                (Hampering::DiskAlarm, true) => ctl(&["set_disk_free_limit", "1000GB"]),
                (Hampering::DiskAlarm, false) => ctl(&["set_disk_free_limit", "10MB"]),
                (Hampering::FullQueues, true) => ctl(&[
                    "set_policy",
                    "--apply-to",
                    "queues",
                    "full",
                    WORK_QUEUES,
                    r#"{"max-length":3}"#,
                ]),
                (Hampering::FullQueues, false) => ctl(&["clear_policy", "full"]),
                (Hampering::Replica, true) => redis.tell("REPLICAOF 127.0.0.1 1"),
                (Hampering::Replica, false) => redis.tell("REPLICAOF NO ONE"),
                (Hampering::OtherPassword, true) => {
                    redis.tell("CONFIG SET requirepass lain");
                    redis.tell("AUTH lain\r\nCLIENT KILL TYPE normal");
                    redis.tell("AUTH lain\r\nCLIENT KILL TYPE pubsub");
                }
                (Hampering::OtherPassword, false) => {
                    redis.tell("AUTH lain\r\nCONFIG SET requirepass \"\"");
                }
            }
        });
        telling.await.expect("the servers listen");
    }

    /// Past every proxy.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let rabbitmq = self.rabbitmq.lock().unwrap_or_else(PoisonError::into_inner);
        let redis = self.redis.lock().unwrap_or_else(PoisonError::into_inner);
        [
            ("AMQP_URL", rabbitmq.url()),
            ("REDIS_URL", redis.url()),
            ("AMQP_QUEUE_PREFIX", PREFIX.to_owned()),
        ]
    }

    pub fn redis_url(&self) -> String {
        let redis = self.redis.lock().unwrap_or_else(PoisonError::into_inner);
        redis.url()
    }

    /// Every queue at RabbitMQ with the messages in it, those handed out too.
    pub async fn queues(&self) -> anyhow::Result<Vec<Queue>> {
        let rabbitmq = Arc::clone(&self.rabbitmq);
        let listed = tokio::task::spawn_blocking(move || {
            let rabbitmq = rabbitmq.lock().unwrap_or_else(PoisonError::into_inner);
            rabbitmq.ctl(&[
                "-q",
                "list_queues",
                "--no-table-headers",
                "name",
                "messages",
            ])
        });
        let listed = listed.await?;
        let queue = |line: &str| {
            let (name, messages) = line.trim().split_once('\t')?;
            Some(Queue {
                name: name.to_owned(),
                messages: messages.trim().parse().ok()?,
            })
        };
        Ok(listed.lines().filter_map(queue).collect())
    }
}

const PREFIX: &str = "chaos";

/// Those that are bounded, by name.
const WORK_QUEUES: &str = "^chaos\\.(stt|emotion|rag|tts|webhook)(\\.batch)?$";

/// A server that can be ended and started with its data.
trait Breakable {
    fn kill(&mut self);
    fn stop(&mut self);
    fn start_again(&mut self);
}

macro_rules! breakable {
    ($($server:ident),+) => {$(
        impl Breakable for $server {
            fn kill(&mut self) {
                $server::kill(self);
            }
            fn stop(&mut self) {
                $server::stop(self);
            }
            fn start_again(&mut self) {
                $server::start_again(self);
            }
        }
    )+};
}
breakable!(RabbitServer, RedisServer);

struct Builder<'a> {
    premises: &'a Premises<'a>,
    rabbitmq: u16,
    redis: u16,
    common: Vec<(String, String)>,
    programs: Vec<Program>,
    links: Vec<Link>,
}

impl Builder<'_> {
    /// Its address, behind a proxy.
    async fn front_door(&mut self, number: usize) -> anyhow::Result<String> {
        let name = format!("api-{number}");
        let port = free_port();
        let more = [("PORT", port.to_string()), ("API_KEY", KEY.to_owned())];
        self.program(&name, "itb-api", &[], &more, 2).await?;
        let front = self.link(format!("callers → {name}"), port).await?;
        Ok(format!("http://127.0.0.1:{front}"))
    }

    async fn worker(&mut self, stage: Stage, number: usize) -> anyhow::Result<()> {
        let name = format!("{stage}-{number}");
        // Most jobs are there.
        let weight = if stage == Stage::Rag { 3 } else { 1 };
        let arguments = ["--stages", stage.as_str()];
        self.program(&name, "itb-worker", &arguments, &[], weight)
            .await
    }

    async fn program(
        &mut self,
        name: &str,
        program: &str,
        arguments: &[&str],
        more: &[(&str, String)],
        weight: usize,
    ) -> anyhow::Result<()> {
        let rabbitmq = self
            .link(format!("{name} → RabbitMQ"), self.rabbitmq)
            .await?;
        let redis = self.link(format!("{name} → Redis"), self.redis).await?;
        let mut settings = self.common.clone();
        settings.extend([
            (
                "AMQP_URL".to_owned(),
                format!("amqp://guest:guest@127.0.0.1:{rabbitmq}/%2f"),
            ),
            (
                "REDIS_URL".to_owned(),
                format!("redis://127.0.0.1:{redis}/0"),
            ),
        ]);
        settings.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        let path = self.premises.programs.join(program);
        ensure!(path.is_file(), "{} is not there", path.display());
        self.programs.push(Program::of(Part {
            name: name.to_owned(),
            program: path,
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            settings,
            log: self.premises.folder.join(format!("{name}.log")),
            weight,
        }));
        Ok(())
    }

    async fn link(&mut self, name: String, port: u16) -> anyhow::Result<u16> {
        let proxy = Proxy::before(port).await?;
        let port = proxy.port();
        self.links.push(Link { name, proxy });
        Ok(port)
    }
}

fn port_of(url: &str) -> anyhow::Result<u16> {
    let port = url.rsplit(':').next().and_then(|it| it.split('/').next());
    port.and_then(|it| it.parse().ok())
        .with_context(|| format!("no port in {url}"))
}
