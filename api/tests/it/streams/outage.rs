//! A store that goes away under the streams.

use common::{
    pipeline::Route,
    reply::Event,
    testing::servers::{RedisServer, environment, shared, skipped},
};

use super::doors::{Doors, first_events, path, without_comments};
use crate::deployment::{eventually, problem};

#[tokio::test]
async fn a_stream_goes_on_when_redis_is_back() {
    let (Some(servers), Some(mut redis)) = (shared(), RedisServer::start()) else {
        return skipped("needs the programs rabbitmq-server and redis-server");
    };
    let doors = Doors::on(&environment(&servers.amqp_url, &redis.url())).await;
    let job = doors.accept(Route::Text).await;
    let delta = |text: &str| Event::AnswerDelta { text: text.into() };
    doors.append(&job, &[delta("satu ")]).await;
    let address = path(&job, "/events");
    let mut stream = doors.get(0, &address).send().await.unwrap();
    let mut joined = first_events(&mut stream, 2).await;

    redis.kill();
    let refused = doors.get(1, &address).header("Last-Event-ID", "2");
    problem(refused.send().await.unwrap(), 503, "Redis is dead").await;
    redis.start_again();
    let rest = [delta("dua"), Event::Cancelled];
    eventually("written", || doors.try_append(&job, &rest)).await;
    joined += &stream.text().await.unwrap();

    let again = doors.get(1, &address).send().await.unwrap();
    assert_eq!(without_comments(&joined), again.text().await.unwrap());
    assert!(joined.contains("\"text\":\"dua\"") && joined.contains("job.cancelled"));
}
