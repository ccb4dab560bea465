//! A RabbitMQ that is far away.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::sleep_until,
};

use super::*;

/// Each way: as between continents.
const ONE_WAY: Duration = Duration::from_millis(110);

/// A port behind which everything takes so long, and as much goes at once as wants to.
async fn far(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(carry(from_client, to_server));
            tokio::spawn(carry(from_server, to_client));
        }
    });
    port
}

async fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (sender, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let piece = (Instant::now() + ONE_WAY, bytes[..length].to_vec());
        if sender.send(piece).is_err() {
            return;
        }
    }
}

/// To declare its queues one after the other took longer than a process waits for a connection.
#[tokio::test]
async fn a_far_rabbitmq_is_connected_to() {
    let Some(own) = Own::start() else { return };
    let port = own.rabbitmq.url();
    let port = port.rsplit(':').next().and_then(|it| it.split('/').next());
    let port = far(port.unwrap().parse().unwrap()).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    let mut settings = environment(&url, &own.redis.url());
    settings.push(("AMQP_PUBLISH_TIMEOUT_MS".into(), "5000".into()));
    let backends = connect_with(&settings, &[]).await.expect("connects");
    let started = Instant::now();
    while backends
        .broker
        .publish(&envelope(Route::Text))
        .await
        .is_err()
    {
        assert!(started.elapsed() < Duration::from_secs(20), "not connected");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut consumer = backends.broker.consume(Stage::Rag, 1).await;
    within(consumer.receive()).await.ack().await.unwrap();
    consumer.stop().await;
}
