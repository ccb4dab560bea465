//! What `itb-ops init` makes for the servers of docker-compose.yml, held against the real servers.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use common::testing::servers::{RabbitServer, find, free_port, skipped};
use tempfile::TempDir;

fn init(folder: &Path, settings: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_itb-ops"))
        .args(["init", "--folder"])
        .arg(folder)
        .env_clear()
        .envs(settings.iter().copied())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn read(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).expect(name);
    text.trim().to_owned()
}

#[test]
fn what_is_printed_holds_no_secret() {
    let desk = TempDir::new().expect("a folder");
    let printed = init(desk.path(), &[("API_KEY", "kunci-yang-panjang")]);
    for name in [
        "api/key",
        "amqp/password",
        "redis/password",
        "qdrant/key",
        "webhook/secret",
    ] {
        assert!(
            !printed.contains(&read(desk.path(), name)),
            "{name}: {printed}"
        );
    }
    assert!(
        printed.starts_with(
            "Made: RABBITMQ_PASSWORD, REDIS_PASSWORD, QDRANT_API_KEY, WEBHOOK_SECRET.\n"
        ),
        "{printed}"
    );
}

#[test]
fn rabbitmq_knows_the_one_user_and_takes_a_new_password_over_at_its_next_start() {
    let desk = TempDir::new().expect("a folder");
    init(desk.path(), &[]);
    let password = || read(desk.path(), "amqp/password");
    let first = password();
    let configuration = read(desk.path(), "amqp/rabbitmq.conf");
    let Some(mut server) = RabbitServer::start_with(&configuration) else {
        skipped("needs the program rabbitmq-server");
        return;
    };
    for (expression, value) in [
        (
            "vm_memory_monitor:get_vm_memory_high_watermark()",
            "{absolute,\"1200MiB\"}",
        ),
        (
            "application:get_env(ra, wal_max_size_bytes)",
            "{ok,134217728}",
        ),
    ] {
        let found = server.ctl(&["-q", "eval", &format!("{expression}.")]);
        assert_eq!(found.trim(), value, "{expression}");
    }
    let users = server.ctl(&["-q", "list_users", "--no-table-headers"]);
    assert_eq!(users.trim(), "itb\t[]");
    server.ctl(&["-q", "authenticate_user", "itb", &first]);

    fs::remove_file(desk.path().join("amqp/password")).expect("removed");
    init(desk.path(), &[]);
    assert_ne!(password(), first);
    server.stop();
    server.start_again();
    server.ctl(&["-q", "authenticate_user", "itb", &password()]);
}

/// Ends with the test.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn redis_wants_the_password_and_lets_nobody_empty_it() {
    let (Some(server), Some(client)) = (find("redis-server"), find("redis-cli")) else {
        skipped("needs the programs redis-server and redis-cli");
        return;
    };
    let desk = TempDir::new().expect("a folder");
    init(desk.path(), &[]);
    let port = free_port().to_string();
    let mut redis = Command::new(server);
    redis
        .arg(desk.path().join("redis/redis.conf"))
        .args(["--port", &port, "--maxmemory", "100mb", "--dir"])
        .arg(desk.path())
        .stdout(Stdio::null());
    let _redis = Redis(redis.spawn().expect("Redis starts"));
    let ask = |password: &str, command: &[&str]| {
        let mut ask = Command::new(&client);
        ask.args(["-p", &port]).args(command);
        if !password.is_empty() {
            ask.env("REDISCLI_AUTH", password);
        }
        let output = ask.output().expect("redis-cli runs");
        let text = String::from_utf8_lossy(&output.stdout);
        format!("{text}{}", String::from_utf8_lossy(&output.stderr))
    };
    let password = read(desk.path(), "redis/password");
    while !ask(&password, &["ping"]).contains("PONG") {
        std::thread::yield_now();
    }
    assert!(ask("", &["get", "a"]).contains("NOAUTH"));
    assert!(ask("something-else", &["get", "a"]).contains("NOAUTH"));
    for (command, answer) in [
        ("info server", "redis_version"),
        // See ops/RUNBOOK.md, "Forget".
        ("bgrewriteaof", "rewriting started"),
    ] {
        let words: Vec<_> = command.split(' ').collect();
        let found = ask(&password, &words);
        assert!(found.contains(answer), "{command}: {found}");
    }
    for command in [
        "flushall",
        "flushdb",
        "config get *",
        "keys *",
        "debug sleep 1",
        "shutdown",
    ] {
        let words: Vec<_> = command.split(' ').collect();
        let answer = ask(&password, &words);
        let refused = ["NOPERM", "not allowed"].map(|reason| answer.contains(reason));
        assert!(refused.contains(&true), "{command}: {answer}");
    }
    assert!(ask(&password, &["eval", "return redis.call('flushall')", "0"]).contains("ERR"));
}
