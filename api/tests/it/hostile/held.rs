//! What clients can make a front door hold in memory.

use std::io::ErrorKind;

use common::{pipeline::Route, testing::servers::shared};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    House,
    wire::{Ask, exchange},
};
use crate::{
    deployment::OTHER_KEY,
    streams::doors::{Doors, path, wav},
    vendors::{in_each_mode, running::Mode},
};

const MEGABYTE: usize = 1_000_000;

/// Of each process, now.
fn kilobytes(house: &House) -> u64 {
    let resident = |process| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes.map_or(0, |text| text.parse::<u64>().unwrap())
    };
    resident(&house.processes[0])
}

/// Sends `request` and reads the beginning of what is answered.
async fn asked(house: &House, request: &[u8]) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(&house.address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).await.unwrap();
    (socket, String::from_utf8_lossy(&start).into_owned())
}

/// A thousand copies of it would be 4 GB.
#[tokio::test]
async fn downloads_that_are_not_read_hold_a_piece_each() {
    const DOWNLOADS: u64 = 1_000;
    let Some(servers) = shared() else { return };
    let house = House::start(Mode::Distributed(servers), &[]).await;
    let doors = Doors::on(&servers.environment()).await;
    let job = doors.accept(Route::Voice).await;
    let end = doors.completed(&job, wav(16_000, 2_000_000, 7)).await;
    doors.append(&job, &[end]).await;
    let request = Ask::get(&path(&job, "/audio")).end();
    let (first, _) = asked(&house, &request).await;
    let before = kilobytes(&house);
    let mut unread = vec![first];
    for _ in 1..DOWNLOADS {
        let (socket, status) = asked(&house, &request).await;
        assert_eq!(status, "HTTP/1.1 200");
        unread.push(socket);
    }
    let more = kilobytes(&house) - before;
    println!("{DOWNLOADS} unread downloads: {more} kB more");
    assert!(more < DOWNLOADS * 150, "{more} kB");
}

#[tokio::test]
async fn a_head_that_does_not_end_costs_no_more_than_it_has() {
    const HEADS: u64 = 1_000;
    let house = House::start(Mode::Embedded, &[]).await;
    // Their memory is not that of the heads.
    house.deployment.engines_are_there().await;
    let head = Ask::get("/health").header("X-Long", &"a".repeat(7_900));
    let mut unfinished = Vec::new();
    let before = kilobytes(&house);
    for _ in 0..HEADS {
        let mut socket = TcpStream::connect(&house.address).await.unwrap();
        socket.write_all(&head.clone().unended()).await.unwrap();
        unfinished.push(socket);
    }
    // By the time that a later one is answered, they have been read.
    exchange(&house.address, &Ask::get("/health").end()).await;
    let more = kilobytes(&house) - before;
    println!("{HEADS} unfinished heads: {more} kB more");
    // The head itself, what its buffer has grown by, and the connection.
    assert!(more < HEADS * 16, "{more} kB");
}

/// A form with a file of a megabyte that is no recording, as far as it is sent.
fn upload(key: Option<&str>, sent: usize) -> Vec<u8> {
    let head = b"--b\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"a\"\r\n\r\n";
    let length = head.len() + MEGABYTE + b"\r\n--b--\r\n".len();
    let mut ask = Ask::post("/v1/audio");
    if let Some(key) = key {
        // In place of the other.
        let plain = String::from_utf8(ask.unended()).unwrap();
        ask = Ask::line(plain.replace(crate::deployment::KEY, key).trim_end());
    }
    let ask = ask.header("Content-Type", "multipart/form-data; boundary=b");
    let body = [&head[..], &vec![b'a'; sent]].concat();
    let ask = ask.header("Content-Length", &length.to_string());
    let mut request = ask.raw(b"\r\n").raw(&body).unended();
    if sent == MEGABYTE {
        request.extend(b"\r\n--b--\r\n");
    }
    request
}

/// An upload that stands still, most of it in memory.
struct Stalled(TcpStream);

impl Stalled {
    async fn begin(house: &House) -> Self {
        let mut socket = TcpStream::connect(&house.address).await.unwrap();
        socket.write_all(&upload(None, 900_000)).await.unwrap();
        Self(socket)
    }

    /// Of two uploads that are read at the same time, either may be the one for which there is no room.
    async fn begin_again_if_refused(&mut self, house: &House) {
        if !matches!(self.0.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        {
            *self = Self::begin(house).await;
        }
    }

    /// What `request` is told beside it. An answer to one that is not read yet says nothing.
    async fn told_beside(&mut self, house: &House, request: &[u8]) -> String {
        loop {
            let answers = exchange(&house.address, request).await;
            let told = answers[0].told();
            if told != "415 unsupported_audio" {
                assert!(answers[0].header("retry-after").is_some(), "{told}");
                return told;
            }
            self.begin_again_if_refused(house).await;
        }
    }
}

async fn uploads_beyond_the_bytes_that_may_be_held_are_refused(mode: Mode) {
    let settings = [
        ("MAX_CONTENT_LENGTH", "1000000"),
        ("MAX_BYTES_HELD", "1800000"),
        ("MAX_BYTES_HELD_PER_TENANT", "1200000"),
    ];
    let house = House::start(mode, &settings).await;
    house.deployment.engines_are_there().await;
    let whole = upload(None, MEGABYTE);
    let answers = exchange(&house.address, &whole).await;
    assert_eq!(answers[0].told(), "415 unsupported_audio");
    let mut stalled = Stalled::begin(&house).await;
    let told = stalled.told_beside(&house, &whole).await;
    assert_eq!(told, "429 too_many_bytes_of_tenant");
    // The other tenant has a share of its own, of which the process has no more.
    let others = upload(Some(OTHER_KEY), MEGABYTE);
    let told = stalled.told_beside(&house, &others).await;
    assert_eq!(told, "503 too_many_bytes");
    drop(stalled);
    loop {
        let answers = exchange(&house.address, &whole).await;
        if answers[0].told() == "415 unsupported_audio" {
            break;
        }
        tokio::task::yield_now().await;
    }
    let body: Value = house.deployment.job("/health").await;
    assert_ne!(body["status"], "unhealthy");
}

in_each_mode!(uploads_beyond_the_bytes_that_may_be_held_are_refused);
