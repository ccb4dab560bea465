//! A Redis that closes connections, changes its password, or is replaced by another.

use std::sync::Mutex;

use common::ids::CorrelationId;
use redis::Client;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::*;

/// Within this, everything works again without a restart.
const BACK: Duration = Duration::from_secs(5);

/// Leads each new connection to where it points by then; those that are there stay where they are.
struct Pointer {
    port: u16,
    to: Arc<Mutex<u16>>,
}

impl Pointer {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(Mutex::new(to));
        let target = Arc::clone(&to);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = *target.lock().unwrap();
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", port)).await;
                    let mut server = server.unwrap();
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, to }
    }

    fn point_to(&self, port: u16) {
        *self.to.lock().unwrap() = port;
    }
}

async fn backends_of(servers: &RabbitServer, redis_port: u16) -> Backends {
    let url = format!("redis://127.0.0.1:{redis_port}/0");
    let settings = environment(&servers.url(), &url);
    connect_with(&settings, &[]).await.expect("connects")
}

async fn command(redis: &RedisServer, words: &[&str]) {
    let client = Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.exec_async(&mut connection).await.unwrap();
}

/// Whether a job can be begun, and what a front door says of itself.
async fn works(backends: &Backends) -> bool {
    let job = job(Route::Text);
    let opened = backends.replies.open(&job).await;
    let ready = backends.replies.ping().await;
    let bytes = bytes::Bytes::from_static(b"RIFF");
    let id = CorrelationId::new();
    let kept = backends.claims.check_in(id, Item::Input, bytes, SOON).await;
    assert_eq!(opened.is_ok(), ready.is_ok(), "{opened:?} {ready:?}");
    opened.is_ok() && kept.is_ok()
}

async fn works_within(backends: &Backends, time: Duration) {
    let works = async {
        while !works(backends).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(time, works).await.expect("it does not come back");
}

#[tokio::test]
async fn where_redis_became_a_replica_its_successor_is_found() {
    let Some(own) = Own::start() else { return };
    let Some(successor) = RedisServer::start() else {
        return;
    };
    let pointer = Pointer::start(own.redis.port()).await;
    let backends = backends_of(&own.rabbitmq, pointer.port).await;
    works_within(&backends, SOON).await;

    let successors = successor.port().to_string();
    command(&own.redis, &["REPLICAOF", "127.0.0.1", &successors]).await;
    assert!(!works(&backends).await);
    pointer.point_to(successor.port());
    works_within(&backends, BACK).await;
}

#[tokio::test]
async fn a_password_that_was_refused_once_is_tried_again() {
    let Some(own) = Own::start() else { return };
    let client = Client::open(own.redis.url()).unwrap();
    let mut operator = client.get_multiplexed_async_connection().await.unwrap();
    let mut says = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut operator).await.unwrap();
    };
    let backends = backends_of(&own.rabbitmq, own.redis.port()).await;
    works_within(&backends, SOON).await;

    says(&["CONFIG", "SET", "requirepass", "another"]).await;
    says(&["AUTH", "another"]).await;
    says(&["CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal"]).await;
    let refused = async {
        while works(&backends).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(refused).await;
    says(&["CONFIG", "SET", "requirepass", ""]).await;
    works_within(&backends, BACK).await;
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nobody_an_answer() {
    let Some(own) = Own::start() else { return };
    let backends = backends_of(&own.rabbitmq, own.redis.port()).await;
    works_within(&backends, SOON).await;
    for _ in 0..10 {
        let kill = ["CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal"];
        command(&own.redis, &kill).await;
        // Nothing is asked meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(works(&backends).await);
    }
}

#[tokio::test]
async fn a_cluster_is_refused_at_the_start() {
    let Some(rabbitmq) = RabbitServer::start() else {
        return skipped("needs rabbitmq-server");
    };
    let Some(redis) = RedisServer::start_with(&["--cluster-enabled", "yes"]) else {
        return skipped("needs redis-server");
    };
    let settings = environment(&rabbitmq.url(), &redis.url());
    let Err(error) = connect_with(&settings, &[]).await else {
        panic!("it was taken")
    };
    assert!(matches!(error, ConnectError::Cluster), "{error}");
}
