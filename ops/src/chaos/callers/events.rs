//! A stream of Server-Sent Events, as far as a caller needs to read it.

use futures::{StreamExt as _, stream::BoxStream};
use reqwest::Response;

use super::doors::Refusal;

/// The line while it is open.
pub struct Listening {
    pub job: String,
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    unread: Vec<u8>,
}

impl Listening {
    /// The job is named by the answer's location, or by the address asked.
    pub fn to(answer: Response) -> Result<Self, Refusal> {
        let location = answer.headers().get("location");
        let location = location.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let path = location.unwrap_or_else(|| answer.url().path().to_owned());
        let job = path
            .strip_prefix("/v1/jobs/")
            .and_then(|it| it.split('/').next());
        let Some(job) = job.map(str::to_owned) else {
            return Err(Refusal::Odd("a stream of no job".into()));
        };
        Ok(Self {
            job,
            bytes: answer.bytes_stream().boxed(),
            unread: Vec::new(),
        })
    }

    /// The number and name of the next event; `None` when the line is broken.
    pub async fn next(&mut self) -> Option<(u64, String)> {
        loop {
            while let Some(block) = first_block(&mut self.unread) {
                // Comments are no event.
                if let Some(event) = event(&block) {
                    return Some(event);
                }
            }
            self.unread.extend(self.bytes.next().await?.ok()?);
        }
    }
}

/// Takes what stands before the first empty line.
fn first_block(unread: &mut Vec<u8>) -> Option<String> {
    let end = unread.windows(2).position(|pair| pair == b"\n\n")?;
    let block = String::from_utf8_lossy(&unread[..end]).into_owned();
    unread.drain(..end + 2);
    Some(block)
}

fn event(block: &str) -> Option<(u64, String)> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    Some((field("id: ")?.parse().ok()?, field("event: ")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_comments_and_from_what_is_not_whole_yet() {
        let mut unread = b": heartbeat\n\nid: 3\nevent: answer.delta\ndata: {}\n\nid: 4".to_vec();
        assert_eq!(event(&first_block(&mut unread).unwrap()), None);
        let second = event(&first_block(&mut unread).unwrap());
        assert_eq!(second, Some((3, "answer.delta".into())));
        assert_eq!(first_block(&mut unread), None);
        assert_eq!(unread, b"id: 4");
    }
}
