//! The container files: what they say of every one of our services.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use common::testing::servers::{find, skipped};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("the file is there")
}

/// The services by their names, each as the lines that docker-compose makes of
/// it once everything is merged.
fn services() -> Option<BTreeMap<String, Vec<String>>> {
    let Some(compose) = find("docker-compose") else {
        skipped("needs the program docker-compose");
        return None;
    };
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new(compose)
        // Neither a developer's .env nor his environment.
        .arg("--env-file")
        .arg(empty.path())
        .arg("config")
        .env_clear()
        .current_dir(root())
        .output()
        .expect("docker-compose runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    let lines = text.lines().skip_while(|line| *line != "services:").skip(1);
    for line in lines.take_while(|line| line.starts_with(' ')) {
        match line.strip_prefix("    ") {
            None => current = Some(line.trim().trim_end_matches(':').to_owned()),
            Some(inner) => {
                let name = current.clone().expect("a service");
                services.entry(name).or_default().push(inner.to_owned());
            }
        }
    }
    Some(services)
}

/// The items of a list that is a field of a service.
fn list<'a>(service: &'a [String], field: &str) -> Vec<&'a str> {
    let heading = format!("{field}:");
    let after = service.iter().skip_while(|line| **line != heading).skip(1);
    after.map_while(|line| line.strip_prefix("- ")).collect()
}

/// What is below a field of a service.
fn under<'a>(service: &'a [String], field: &str) -> Vec<&'a str> {
    let heading = format!("{field}:");
    let after = service.iter().skip_while(|line| **line != heading).skip(1);
    after.map_while(|line| line.strip_prefix("  ")).collect()
}

/// The variables that a service gets, by their names, with what they are set to.
fn environment(service: &[String]) -> BTreeMap<&str, &str> {
    let after = service.iter().skip_while(|line| *line != "environment:");
    let lines = after
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name, value.trim())).collect()
}

/// The names in a mapping that is a field of a service.
fn names<'a>(service: &'a [String], field: &str) -> Vec<&'a str> {
    let heading = format!("{field}:");
    let after = service.iter().skip_while(|line| **line != heading).skip(1);
    let names = after.map_while(|line| line.strip_prefix("  "));
    names
        .filter_map(|line| line.split(':').next())
        .filter(|name| !name.starts_with(' '))
        .collect()
}

const SERVERS: [&str; 3] = ["qdrant", "rabbitmq", "redis"];

/// What a service mounts, besides its connections to RabbitMQ and Redis.
fn own_volumes(name: &str) -> &'static [&'static str] {
    match name {
        "api" => &[
            "api-secret:/secrets/api:ro",
            "webhook-secret:/secrets/webhook:ro",
        ],
        "worker-stt" => &["data:/data:ro"],
        "worker-rag" => &["qdrant-secret:/secrets/qdrant:ro", "data:/data:ro"],
        "worker-webhook" => &["webhook-secret:/secrets/webhook:ro"],
        "worker-emotion" | "worker-tts" => &[],
        "provision" => &["data:/data:rw"],
        "init" => &[
            "amqp-secret:/secrets/amqp:rw",
            "api-secret:/secrets/api:rw",
            "qdrant-secret:/secrets/qdrant:rw",
            "redis-secret:/secrets/redis:rw",
            "webhook-secret:/secrets/webhook:rw",
        ],
        "rabbitmq" => &[
            "rabbitmq:/var/lib/rabbitmq:rw",
            "amqp-secret:/secrets/amqp:ro",
        ],
        "redis" => &["redis:/data:rw", "redis-secret:/secrets/redis:ro"],
        "qdrant" => &[
            "qdrant:/qdrant/storage:rw",
            "qdrant-snapshots:/qdrant/snapshots:rw",
            "qdrant-secret:/secrets/qdrant:ro",
        ],
        other => panic!("a new service: what may {other} see?"),
    }
}

#[test]
fn every_service_writes_and_sees_what_it_needs_and_gains_no_rights() {
    let Some(services) = services() else { return };
    assert!(services.len() >= 11, "{:?}", services.keys());
    for (name, service) in &services {
        let says = |line: &str| service.iter().any(|found| found == line);
        assert!(says("read_only: true"), "{name}");
        assert!(!says("privileged: true") && !says("user: root"), "{name}");
        assert_eq!(list(service, "cap_drop"), ["ALL"], "{name}");
        assert!(list(service, "cap_add").is_empty(), "{name}");
        let options = list(service, "security_opt");
        assert_eq!(options, ["no-new-privileges:true"], "{name}");
        for limit in ["mem_limit: ", "pids_limit: "] {
            let limited = service.iter().any(|line| line.starts_with(limit));
            assert!(limited, "{name} has no {limit}");
        }
        // As many as MAX_CONNECTIONS of a front door need.
        let files = under(service, "ulimits");
        assert_eq!(
            files,
            ["nofile:", "  hard: 65536", "  soft: 65536"],
            "{name}"
        );
        let is_ours = says("image: itb-assistant");
        assert_eq!(is_ours, !SERVERS.contains(&name.as_str()), "{name}");
        if is_ours {
            assert_eq!(list(service, "tmpfs"), ["/tmp"], "{name}");
        }
        let mut expected = own_volumes(name).to_vec();
        if name == "api" || name.starts_with("worker-") {
            expected.extend([
                "amqp-secret:/secrets/amqp:ro",
                "redis-secret:/secrets/redis:ro",
            ]);
        }
        expected.sort_unstable();
        let mut volumes = list(service, "volumes");
        volumes.sort_unstable();
        assert_eq!(volumes, expected, "{name}");
    }
}

/// The variables with a secret that a service may get by value. All others come in files.
fn own_secrets(name: &str) -> &'static [&'static str] {
    match name {
        "api" => &["API_KEYS", "WEBHOOK_SECRETS"],
        "worker-stt" => &["PROSA_STT_API_KEY"],
        "worker-tts" => &["PROSA_TTS_API_KEY"],
        "worker-rag" => &[
            "EMBEDDING_API_KEY",
            "LLM_API_KEY",
            "OPENAI_API_KEY",
            "OPENROUTER_API_KEY",
        ],
        "worker-webhook" => &["WEBHOOK_SECRETS"],
        // It makes what is missing of them.
        "init" => &[
            "AMQP_URL",
            "API_KEY",
            "QDRANT_API_KEY",
            "RABBITMQ_PASSWORD",
            "REDIS_PASSWORD",
            "REDIS_URL",
            "WEBHOOK_SECRET",
        ],
        _ => &[],
    }
}

#[test]
fn no_service_gets_a_secret_that_it_does_not_need() {
    let Some(services) = services() else { return };
    for (name, service) in &services {
        let environment = environment(service);
        let is_secret = |variable: &str| {
            let words = ["KEY", "PASSWORD", "SECRET", "PASS", "TOKEN"];
            let names_one = words.iter().any(|word| variable.contains(word));
            let is_address = matches!(variable, "AMQP_URL" | "REDIS_URL");
            let is_setting = variable.ends_with("_FILE")
                || matches!(
                    variable,
                    "DAILY_TOKEN_BUDGET" | "HISTORY_TOKENS" | "RATE_LIMIT_WRONG_KEYS_PER_HOUR"
                );
            (names_one || is_address) && !is_setting
        };
        let secrets = environment.keys().copied();
        let secrets: Vec<_> = secrets.filter(|variable| is_secret(variable)).collect();
        assert_eq!(secrets, own_secrets(name), "{name}");
        // What is named by a file is mounted.
        for file in environment
            .values()
            .filter(|value| value.starts_with("/secrets/"))
        {
            let folder = file.rsplit_once('/').expect("a folder").0;
            let mounted = format!(":{folder}:");
            let volumes = list(service, "volumes");
            let is_there = volumes.iter().any(|volume| volume.contains(&mounted));
            assert!(is_there, "{name}: {file}");
        }
        // No default stands in for a secret that is not set.
        for (variable, value) in environment {
            assert!(
                !is_secret(variable) || value == "''",
                "{name}: {variable}={value}"
            );
        }
    }
}

#[test]
fn the_servers_have_no_way_out_and_no_port_but_that_of_the_api_is_published() {
    let Some(services) = services() else { return };
    for (name, service) in &services {
        let networks = names(service, "networks");
        let expected: &[&str] = match name.as_str() {
            "api" => &["front", "knowledge", "queue"],
            "worker-rag" => &["knowledge", "outward", "queue"],
            "rabbitmq" | "redis" => &["queue"],
            "qdrant" => &["knowledge"],
            "provision" => &["outward"],
            "init" => &[],
            _ => &["outward", "queue"],
        };
        assert_eq!(networks, expected, "{name}");
        assert_eq!(list(service, "ports").is_empty(), name != "api", "{name}");
    }
    let compose = read("docker-compose.yml");
    for network in ["queue", "knowledge"] {
        let internal = format!("  {network}:\n    internal: true\n");
        assert!(compose.contains(&internal), "{network}");
    }
}

/// The image's own check asks for the API server.
#[test]
fn what_serves_nothing_is_not_asked_how_it_is() {
    let Some(services) = services() else { return };
    for name in ["init", "provision"] {
        assert_eq!(
            under(&services[name], "healthcheck"),
            // As docker-compose writes that it is disabled.
            ["test:", "- NONE"],
            "{name}"
        );
    }
}

#[test]
fn servers_have_time_to_start_and_to_stop() {
    let Some(services) = services() else { return };
    let redis = under(&services["redis"], "healthcheck");
    assert!(redis.contains(&"start_period: 2m"), "{redis:?}");
    for name in ["rabbitmq", "qdrant"] {
        let stops = services[name].iter();
        let stops: Vec<_> = stops.filter(|line| line.contains("stop_grace")).collect();
        assert_eq!(stops, ["stop_grace_period: 60s"], "{name}");
    }
}

#[test]
fn what_can_be_set_in_the_env_file_is_what_compose_reads() {
    let example = read(".env.example");
    let set = example.lines().filter_map(|line| line.strip_suffix('='));
    let set: BTreeSet<_> = set.filter(|name| !name.starts_with('#')).collect();
    let compose = read("docker-compose.yml");
    let uses = compose.split("${").skip(1);
    let used: BTreeSet<_> = uses
        .filter_map(|text| text.split([':', '}']).next())
        .collect();
    assert_eq!(set, used);
}

#[test]
fn every_image_is_of_a_version_and_ours_does_not_run_as_root() {
    let dockerfile = read("ops/Dockerfile");
    let bases = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "));
    let compose = read("docker-compose.yml");
    let images = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    let others = images.filter(|image| *image != "itb-assistant");
    for image in bases.chain(others) {
        let name = image.split([' ', '@']).next().expect("an image");
        let (_, tag) = name.split_once(':').unwrap_or((name, ""));
        let version = tag.trim_start_matches('v').split('-').next().unwrap_or("");
        let parts: Vec<_> = version.split('.').collect();
        let is_version = parts.len() >= 2 && parts.iter().all(|part| part.parse::<u32>().is_ok());
        assert!(is_version, "{image}");
    }
    let user = dockerfile.lines().rfind(|line| line.starts_with("USER "));
    assert_eq!(user, Some("USER 1000"));
}

#[test]
fn the_image_is_built_with_the_toolchain_that_is_tested() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .expect("a channel")
        .trim_matches('"');
    let base = format!("FROM rust:{channel}-");
    assert!(read("ops/Dockerfile").contains(&base), "{base}");
}
