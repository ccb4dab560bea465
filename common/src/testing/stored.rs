//! All that the servers of a test hold, to look for what must not be there.

use lapin::{Connection, ConnectionProperties, options::BasicGetOptions};
use redis::{Client, Value, aio::MultiplexedConnection};

use crate::{
    backends::{BackendConfig, Mode},
    broker::{rabbitmq::RabbitConfig, topology::Topology},
    config::Environment,
};

/// Where `text` is: the keys of Redis in whose name or value it is, of every type,
/// and the queues with a message that carries it. Messages in the hands of a
/// worker are not seen.
pub async fn places_of(settings: &[(String, String)], text: &str) -> Vec<String> {
    let env: Environment = settings.iter().cloned().collect();
    let config = BackendConfig::from_environment(&env, "test").expect("settings");
    let Mode::Distributed { rabbitmq, redis } = config.mode else {
        return Vec::new();
    };
    let client = Client::open(*redis).expect("an address");
    let mut places = in_redis(&client, text.as_bytes()).await;
    places.extend(in_queues(&rabbitmq, text.as_bytes()).await);
    places
}

async fn in_redis(client: &Client, text: &[u8]) -> Vec<String> {
    let mut redis = client
        .get_multiplexed_async_connection()
        .await
        .expect("Redis answers");
    let keys: Vec<Vec<u8>> = query(&mut redis, redis::cmd("KEYS").arg("*")).await;
    let mut places = Vec::new();
    for key in keys {
        let kind: String = query(&mut redis, redis::cmd("TYPE").arg(&key)).await;
        let value: Value = match &*kind {
            "string" => query(&mut redis, redis::cmd("GET").arg(&key)).await,
            "hash" => query(&mut redis, redis::cmd("HGETALL").arg(&key)).await,
            "set" => query(&mut redis, redis::cmd("SMEMBERS").arg(&key)).await,
            "list" => query(&mut redis, redis::cmd("LRANGE").arg(&key).arg(0).arg(-1)).await,
            "zset" => query(&mut redis, redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1)).await,
            "stream" => query(&mut redis, redis::cmd("XRANGE").arg(&key).arg("-").arg("+")).await,
            // It has expired since.
            "none" => Value::Nil,
            other => panic!("nothing here is a {other}"),
        };
        if contains(&key, text) || holds(&value, text) {
            places.push(String::from_utf8_lossy(&key).into_owned());
        }
    }
    places
}

async fn query<T: redis::FromRedisValue>(
    redis: &mut MultiplexedConnection,
    command: &redis::Cmd,
) -> T {
    command.query_async(redis).await.expect("Redis answers")
}

fn holds(value: &Value, text: &[u8]) -> bool {
    match value {
        Value::BulkString(bytes) => contains(bytes, text),
        Value::SimpleString(said) => contains(said.as_bytes(), text),
        Value::Array(all) | Value::Set(all) => all.iter().any(|one| holds(one, text)),
        Value::Map(all) => all
            .iter()
            .any(|(name, value)| holds(name, text) || holds(value, text)),
        _ => false,
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

async fn in_queues(config: &RabbitConfig, text: &[u8]) -> Vec<String> {
    let RabbitConfig {
        addresses,
        topology,
        ..
    } = config;
    let properties = ConnectionProperties::default();
    let connection = Connection::connect_uri(addresses[0].clone(), properties);
    let connection = connection.await.expect("RabbitMQ answers");
    let places = queues_with(&connection, topology, text).await;
    // What was looked at goes back with it.
    let _ = connection.close(200, "seen".into()).await;
    places
}

async fn queues_with(connection: &Connection, topology: &Topology, text: &[u8]) -> Vec<String> {
    let channel = connection.create_channel().await.expect("a channel");
    let mut places = Vec::new();
    for queue in topology.declarations() {
        let options = BasicGetOptions::default();
        while let Some(message) = channel
            .basic_get(queue.name.as_str().into(), options)
            .await
            .expect("the queue is there")
        {
            let told = format!("{:?}", message.delivery.properties);
            if contains(&message.delivery.data, text) || contains(told.as_bytes(), text) {
                places.push(queue.name.clone());
            }
        }
    }
    places
}
