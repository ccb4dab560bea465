//! Callers over HTTP/1.1, with as little work of their own as possible.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Child,
    task::JoinSet,
};
use uuid::Uuid;

/// Who is asked.
pub struct Target {
    pub name: &'static str,
    pub port: u16,
    /// Asked in a conversation of its own each time.
    pub path: &'static str,
    pub body: &'static str,
    pub key: &'static str,
    /// Ended when this is dropped.
    pub processes: Vec<Child>,
}

impl Target {
    /// The processor time of its processes so far.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let mut ticks = 0;
        for process in &self.processes {
            let id = process.id().context("a program has ended")?;
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
            let (_, fields) = stat.rsplit_once(')').context("the state of a process")?;
            let times = fields.split_whitespace().skip(11).take(2);
            ticks += times.filter_map(|it| it.parse::<u64>().ok()).sum::<u64>();
        }
        let a_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
    }

    /// Bytes of memory that its processes have.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let mut pages = 0;
        for process in &self.processes {
            let id = process.id().context("a program has ended")?;
            let sizes = std::fs::read_to_string(format!("/proc/{id}/statm"))?;
            let resident = sizes.split_whitespace().nth(1).context("two sizes")?;
            pages += resident.parse::<u64>()?;
        }
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// Asks once.
    pub async fn ask(&self) -> anyhow::Result<()> {
        Caller::connect(self).await?.ask().await
    }
}

pub struct Load {
    pub callers: usize,
    pub time: Duration,
}

/// How long each answer took.
pub struct Answers {
    times: Vec<Duration>,
    took: Duration,
}

impl Answers {
    pub fn answers(&self) -> usize {
        self.times.len()
    }

    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    pub fn median_ms(&self) -> f64 {
        let middle = self.times.get(self.times.len() / 2);
        middle.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

impl Load {
    pub async fn put_on(&self, target: &Target) -> anyhow::Result<Answers> {
        let mut callers = JoinSet::new();
        let begun = Instant::now();
        for _ in 0..self.callers {
            let mut caller = Caller::connect(target).await?;
            let until = begun + self.time;
            callers.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let asked = Instant::now();
                    caller.ask().await?;
                    times.push(asked.elapsed());
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(caller) = callers.join_next().await {
            times.extend(caller??);
        }
        let took = begun.elapsed();
        times.sort();
        Ok(Answers { times, took })
    }
}

struct Caller {
    stream: TcpStream,
    host: String,
    path: &'static str,
    body: &'static str,
    key: &'static str,
    read: Vec<u8>,
}

impl Caller {
    async fn connect(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: format!("127.0.0.1:{}", target.port),
            path: target.path,
            body: target.body,
            key: target.key,
            read: Vec::with_capacity(16 * 1024),
        })
    }

    async fn ask(&mut self) -> anyhow::Result<()> {
        let Self {
            host,
            path,
            body,
            key,
            ..
        } = self;
        let (conversation, length) = (Uuid::now_v7(), body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nX-Conversation-Id: {conversation}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        loop {
            if let Some(whole) = length_of(&self.read)?
                && self.read.len() >= whole
            {
                return Ok(());
            }
            let more = self.stream.read_buf(&mut self.read).await?;
            ensure!(more > 0, "the connection was closed");
        }
    }
}

/// Bytes of the answer that begins with these, once its head is there. Other answers than 200 are errors.
fn length_of(read: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = read.windows(4).position(|it| it == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&read[..head])?;
    let (status, headers) = text.split_once("\r\n").context("a head")?;
    ensure!(status.contains(" 200"), "{text}");
    let length = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some(head + 4 + length.context("an answer has a length")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: a\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(length_of(answer).unwrap(), Some(answer.len()));
        assert_eq!(length_of(&answer[..40]).unwrap(), None);
        for bad in [
            &b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(length_of(bad).is_err());
        }
    }
}
