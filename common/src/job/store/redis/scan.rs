//! All jobs that the store knows, found by looking through its keys.

use futures::stream::BoxStream;

use super::record;
use crate::{
    envelope::Job,
    redis_link::RedisLink,
    reply::{Event, ReplyError},
};

/// Keys that Redis looks at in one step; others are answered in between.
const STEP: usize = 500;

/// The jobs by the first events of their logs.
pub(super) fn jobs(link: RedisLink) -> BoxStream<'static, Result<Job, ReplyError>> {
    Box::pin(async_stream::try_stream! {
        let mut cursor = 0_u64;
        loop {
            let (next, names) = step(&link, cursor).await?;
            for first in first_events(&link, &names).await? {
                if let Event::Accepted { job } = first? {
                    yield job;
                }
            }
            if next == 0 {
                return;
            }
            cursor = next;
        }
    })
}

async fn step(link: &RedisLink, cursor: u64) -> Result<(u64, Vec<String>), ReplyError> {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg("job:*");
    scan.arg("TYPE").arg("list").arg("COUNT").arg(STEP);
    let step = link.run(0, &scan);
    Ok(step.await?)
}

/// Of those that are still there.
async fn first_events(
    link: &RedisLink,
    names: &[String],
) -> Result<Vec<Result<Event, ReplyError>>, ReplyError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut commands = redis::pipe();
    for name in names {
        commands.cmd("LINDEX").arg(name).arg(1);
    }
    let entries: Vec<Option<String>> = link.run(0, &commands).await?;
    let entries = entries.iter().flatten();
    Ok(entries.map(|it| record(1, it).map(|it| it.event)).collect())
}
