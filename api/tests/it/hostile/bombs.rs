//! Small files that are hours of sound, or many times their size, or minutes of work.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use common::testing::servers::{find, skipped};
use workers::testing::{forged, prosa::recording};

use super::House;
use crate::{
    deployment::{form, problem},
    vendors::{in_each_mode, running::Mode},
};

/// Of one request, whatever is sent; most of it is the transfer and the wait for
/// a worker on a machine with other work.
const TIME: Duration = Duration::from_secs(60);

/// Of all processes, for all of them one after another: five minutes of sound at
/// 16 kHz are 19 MB, and an upload is at most 16 MiB.
const MEGABYTES: u64 = 200;

/// What they are, and how ffmpeg makes them. Each is an hour or more.
const BOMBS: [(&str, &str); 4] = [
    (
        "FLAC, 5 hours",
        "-f lavfi -i anullsrc=r=8000:cl=mono:d=18000 -c:a flac -f flac",
    ),
    (
        "Opus, 2 hours",
        "-f lavfi -i anullsrc=r=48000:cl=mono:d=7200 -c:a libopus -b:a 500 -frame_duration 60 -f ogg",
    ),
    (
        "WebM, 2 hours",
        "-f lavfi -i anullsrc=r=48000:cl=mono:d=7200 -c:a libopus -b:a 500 -frame_duration 60 -f webm",
    ),
    (
        "MP3, 2 hours",
        "-f lavfi -i anullsrc=r=8000:cl=mono:d=7200 -c:a libmp3lame -b:a 8k -f mp3",
    ),
];

async fn a_bomb_costs_little_and_is_told(mode: Mode) {
    if find("ffmpeg").is_none() {
        return skipped("needs the program ffmpeg");
    }
    let house = House::start(mode, &[]).await;
    if !house.deployment.can_speak().await {
        return;
    }
    // The engine is loaded by the first that is heard.
    let heard = house
        .deployment
        .post("/v1/audio")
        .multipart(form(recording()));
    heard.send().await.unwrap();
    let before = peak_megabytes(&house);
    let long = BOMBS.map(|(name, arguments)| (name, made(arguments), "audio_too_long"));
    let costly = forged::recordings().into_iter();
    let costly = costly.map(|(name, file)| (name, file, "audio_too_costly"));
    for (name, bomb, code) in long.into_iter().chain(costly) {
        let (length, started) = (bomb.len(), Instant::now());
        let answer = house.deployment.post("/v1/audio").multipart(form(bomb));
        let body = problem(answer.send().await.unwrap(), 422, name).await;
        assert_eq!(body["code"], code, "{name}: {body}");
        let took = started.elapsed();
        println!("{name}: {length} bytes, refused after {took:?}");
        assert!(took < TIME, "{name}: {took:?}");
    }
    let more = peak_megabytes(&house) - before;
    println!("{more} MB more at the peak");
    assert!(more < MEGABYTES, "{more} MB");
}

fn made(arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(arguments.split(' '))
        .arg("pipe:1")
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{arguments}: {output:?}");
    output.stdout
}

/// The most memory that the processes have had.
fn peak_megabytes(house: &House) -> u64 {
    let peak = |process| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes.map_or(0, |text| text.parse::<u64>().unwrap() / 1_024)
    };
    house.processes.iter().map(peak).sum()
}

in_each_mode!(a_bomb_costs_little_and_is_told);
