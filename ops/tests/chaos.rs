//! The chaos suite in small, and that it notices when a promise is broken on
//! purpose.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use common::testing::servers::{find, skipped};
use serde_json::Value;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_itb-ops"))
}

/// The folder of the programs, which cargo does not build for the tests of this
/// package: that of the worker which `ITB_TEST_WORKER` names, or our own, after
/// building them.
fn programs() -> PathBuf {
    if let Some(worker) = std::env::var_os("ITB_TEST_WORKER") {
        let folder = Path::new(&worker).parent();
        return folder.expect("a program is in a folder").to_owned();
    }
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success());
    });
    program().parent().expect("a folder").to_owned()
}

/// Each run has as many processes as a machine can take.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The exit code of a run, what it printed, and its report.
fn chaos(name: &str, arguments: &[&str]) -> Option<(i32, String, Value)> {
    if find("rabbitmq-server").is_none() || find("redis-server").is_none() {
        skipped("needs the programs rabbitmq-server and redis-server");
        return None;
    }
    // A run that failed leaves nothing that would be in the way of the next.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{name}"));
    // Of the run before.
    let _ = std::fs::remove_dir_all(&folder);
    let report = folder.join("report.json");
    let output = Command::new(program())
        .arg("chaos")
        .args(arguments)
        .arg("--programs")
        .arg(programs())
        .arg("--logs")
        .arg(&folder)
        .arg("--report")
        .arg(&report)
        .output()
        .expect("the program runs");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let read = std::fs::read(&report).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let report = serde_json::from_slice(&read).expect("a report");
    let code = output.status.code().expect("it ended by itself");
    Some((code, printed, report))
}

/// The promises that were broken.
fn broken(report: &Value) -> Vec<&str> {
    let violations = report["balance"]["violations"].as_array();
    let violations = violations.expect("violations").iter();
    let promises = violations.map(|it| it["promise"].as_str().expect("a promise"));
    promises.collect()
}

#[test]
fn nothing_is_lost_or_done_twice_while_everything_breaks() {
    let run = "--jobs 500 --seed 5 --rate 9 --patience 4 --least-faults 9";
    let arguments: Vec<&str> = run.split(' ').collect();
    let Some((code, printed, report)) = chaos("clean", &arguments) else {
        return;
    };
    assert_eq!(broken(&report), [""; 0], "{printed}");
    assert_eq!(code, 0, "{printed}");
    assert_eq!(report["balance"]["accepted"], 500, "{printed}");
    let faults = report["faults"].as_array().expect("faults");
    for kind in [
        "program killed",
        "program restarted",
        "RabbitMQ killed",
        "RabbitMQ stopped",
        "Redis killed",
        "Redis stopped",
        "RabbitMQ short of memory",
        "RabbitMQ short of disk",
        "queues full",
        "Redis a replica",
        "Redis with another password",
        "link cut",
    ] {
        let there = faults.iter().any(|it| it["kind"] == kind);
        assert!(there, "{kind} in {printed}");
    }
}

#[cfg(debug_assertions)]
mod sabotaged {
    use super::*;

    fn small(sabotage: &'static str) -> Vec<&'static str> {
        let run =
            "--jobs 300 --seed 1 --rate 30 --tempo 3 --least-faults 0 --patience 1 --sabotage";
        run.split(' ').chain([sabotage]).collect()
    }

    #[test]
    fn a_message_acknowledged_too_soon_is_missed() {
        let Some((code, printed, report)) = chaos("hasty", &small("ack-before-publish")) else {
            return;
        };
        assert_ne!(code, 0, "{printed}");
        // Of a stage, or of a callback: which one is at work when its process is killed, is chance.
        let lost = ["ended", "callback"];
        let broken = broken(&report);
        assert!(lost.iter().any(|it| broken.contains(it)), "{printed}");
    }

    #[test]
    fn work_done_twice_is_seen() {
        let Some((code, printed, report)) = chaos("forgetful", &small("no-dedupe")) else {
            return;
        };
        assert_ne!(code, 0, "{printed}");
        assert!(broken(&report).contains(&"turns"), "{printed}");
    }
}
