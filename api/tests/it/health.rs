//! What `/health` and `/ready` cost the servers behind the API.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::testing::servers::{RedisServer, environment, shared, skipped};
use futures::future::join_all;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::deployment::{Deployment, client, settings, start_api, start_worker};

/// A server with Qdrant's health page.
#[derive(Default)]
struct Page {
    connections: AtomicU64,
    requests: AtomicU64,
}

impl Page {
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let page = Arc::new(Self::default());
        let served = Arc::clone(&page);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                served.connections.fetch_add(1, Ordering::Relaxed);
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let mut head = [0; 4_096];
                    while socket.read(&mut head).await.is_ok_and(|read| read > 0) {
                        served.requests.fetch_add(1, Ordering::Relaxed);
                        let page =
                            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhealthz check passed";
                        let _ = socket.write_all(page).await;
                    }
                });
            }
        });
        (page, url)
    }
}

/// Asks 100 times at once, again and again for two seconds.
async fn ask_often(url: &str, path: &str) -> (u64, Duration) {
    let client = client();
    let started = Instant::now();
    let mut asked = 0;
    while started.elapsed() < Duration::from_secs(2) {
        let ask = || client.get(format!("{url}{path}")).send();
        for answer in join_all((0..100).map(|_| ask())).await {
            assert_eq!(answer.unwrap().status(), 200, "{path}");
            asked += 1;
        }
    }
    (asked, started.elapsed())
}

#[tokio::test]
async fn qdrant_is_probed_once_a_second_over_one_connection() {
    let (page, qdrant) = Page::start().await;
    let more = settings(&[("QDRANT_URL", &qdrant), ("KNOWLEDGE_PROVIDERS", "embedded")]);
    let (program, url) = start_api(&more);
    let deployment = Deployment::of(vec![url.clone()], vec![program]).await;
    let (asked, took) = ask_often(&url, "/health").await;
    let looks = page.requests.load(Ordering::Relaxed);
    assert!(
        looks >= 1 && looks <= took.as_secs() + 2,
        "{looks} looks in {took:?}"
    );
    assert!(asked >= 10 * looks, "{asked} questions, {looks} looks");
    assert_eq!(page.connections.load(Ordering::Relaxed), 1);
    let health: Value = deployment
        .get("/health")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(health["qdrant"], "ok");
}

/// A number in the answer of `INFO`.
fn info(redis: &RedisServer, section: &str, name: &str) -> u64 {
    let address = redis.url().replace("redis://", "").replace("/0", "");
    let mut socket = TcpStream::connect(address).expect("Redis listens");
    let question = format!("INFO {section}\r\nQUIT\r\n");
    socket.write_all(question.as_bytes()).expect("it reads");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("it answers");
    let after = text.split_once(name).map_or("0", |(_, after)| after);
    let digits = after.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn redis_is_probed_once_a_second_over_the_connections_that_are_there() {
    let Some((rabbitmq, redis)) = shared().zip(RedisServer::start()) else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let settings = environment(&rabbitmq.amqp_url, &redis.url());
    let (door, url) = start_api(&settings);
    let worker = start_worker("rag", &settings);
    let _deployment = Deployment::of(vec![url.clone()], vec![door, worker]).await;
    for path in ["/health", "/ready"] {
        let pings = || info(&redis, "commandstats", "cmdstat_ping:calls=");
        let connections = || info(&redis, "stats", "total_connections_received:");
        let before = (pings(), connections());
        let (asked, took) = ask_often(&url, path).await;
        let looks = pings() - before.0;
        // A subscription is kept alive by a ping now and then.
        assert!(
            looks <= took.as_secs() + 4,
            "{path}: {looks} looks in {took:?}"
        );
        assert!(
            asked >= 10 * looks,
            "{path}: {asked} questions, {looks} looks"
        );
        // Two of them are this test's own.
        assert_eq!(connections() - before.1, 2, "{path}");
    }
}
