//! The secrets as files, one folder for each of those who share one: docker-compose.yml mounts a folder into the services
//! that need it, and into no other.
//!
//! | folder | holds | for |
//! |---|---|---|
//! | `api` | `key` | the API server |
//! | `amqp` | `password`, `url`, `definitions.json`, `rabbitmq.conf` | RabbitMQ and who connects to it |
//! | `redis` | `password`, `url`, `redis.conf` | Redis and who connects to it |
//! | `qdrant` | `key`, `config.yaml` | Qdrant and who searches it |
//! | `webhook` | `secret` | who accepts callbacks and who sends them |

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::config::Environment;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::SecretKind;

/// Whom RabbitMQ knows.
const USER: &str = "itb";

pub fn write(env: &Environment, folder: &Path) -> anyhow::Result<()> {
    // A file that is made names another one; a server has a working folder of its own.
    let folder = &std::path::absolute(folder)?;
    let secrets = Secrets::complete(env, folder)?;
    for (name, text) in files(env, folder, &secrets) {
        let path = folder.join(name);
        put(&path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    match secrets.made.as_slice() {
        [] => println!("All secrets were there."),
        made => println!("Made: {}.", made.join(", ")),
    }
    println!("The key for clients: docker compose exec api cat /secrets/api/key");
    Ok(())
}

struct Secrets {
    api_key: String,
    rabbitmq: String,
    redis: String,
    qdrant: String,
    webhook: String,
    /// The variables of those that were made now.
    made: Vec<&'static str>,
}

impl Secrets {
    fn complete(env: &Environment, folder: &Path) -> anyhow::Result<Self> {
        let mut made = Vec::new();
        let mut secret = |kind: SecretKind| -> anyhow::Result<String> {
            let path = folder.join(home(kind));
            let kept = || read(&path).with_context(|| format!("{} cannot be read", path.display()));
            if let Some(given) = env.text(kind.variable()) {
                kind.check(given)?;
                return Ok(given.to_owned());
            }
            if let Some(kept) = kept()? {
                kind.check(&kept).with_context(|| too_weak(&path))?;
                return Ok(kept);
            }
            made.push(kind.variable());
            kind.generate()
        };
        Ok(Self {
            api_key: secret(SecretKind::ApiKey)?,
            rabbitmq: secret(SecretKind::RabbitMq)?,
            redis: secret(SecretKind::Redis)?,
            qdrant: secret(SecretKind::Qdrant)?,
            webhook: secret(SecretKind::Webhook)?,
            made,
        })
    }
}

/// What is to be done with a secret that was kept in `path`.
fn too_weak(path: &Path) -> String {
    let path = path.display();
    format!(
        "{path} keeps a secret that cannot be used; remove the file, in compose by \
         `docker compose run --rm init rm -f {path}`, and another one is made"
    )
}

/// Where a secret is kept from one start to the next.
fn home(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::ApiKey => "api/key",
        SecretKind::RabbitMq => "amqp/password",
        SecretKind::Redis => "redis/password",
        SecretKind::Qdrant => "qdrant/key",
        SecretKind::Webhook => "webhook/secret",
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn files(env: &Environment, folder: &Path, secrets: &Secrets) -> Vec<(&'static str, String)> {
    let (rabbitmq, redis) = (&secrets.rabbitmq, &secrets.redis);
    // Servers of one's own have addresses of their own.
    let address = |variable, default: String| env.text(variable).map_or(default, str::to_owned);
    let amqp_url = address(
        "AMQP_URL",
        format!("amqp://{USER}:{rabbitmq}@rabbitmq:5672/%2f"),
    );
    let redis_url = address("REDIS_URL", format!("redis://:{redis}@redis:6379/0"));
    vec![
        (home(SecretKind::ApiKey), secrets.api_key.clone()),
        (home(SecretKind::RabbitMq), rabbitmq.clone()),
        ("amqp/url", amqp_url),
        ("amqp/definitions.json", definitions(rabbitmq)),
        ("amqp/rabbitmq.conf", rabbitmq_conf(folder)),
        (home(SecretKind::Redis), redis.clone()),
        ("redis/url", redis_url),
        ("redis/redis.conf", redis_conf(redis)),
        (home(SecretKind::Qdrant), secrets.qdrant.clone()),
        ("qdrant/config.yaml", qdrant_config(&secrets.qdrant)),
        (home(SecretKind::Webhook), secrets.webhook.clone()),
    ]
}

/// Read by RabbitMQ at each start, so that another password holds from then on; with it, no user `guest` is made.
fn definitions(password: &str) -> String {
    // A salt that follows from the password leaves the file as it is while the password is the same. The password is
    // random: no table of hashes has it.
    let salt = &Sha256::digest(format!("salt of {password}"))[..4];
    let mut hash = salt.to_vec();
    hash.extend(
        Sha256::new()
            .chain_update(salt)
            .chain_update(password)
            .finalize(),
    );
    let definitions = json!({
        "vhosts": [{ "name": "/" }],
        "users": [{
            "name": USER,
            "password_hash": STANDARD.encode(hash),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": [],
        }],
        "permissions": [{
            "user": USER,
            "vhost": "/",
            "configure": ".*",
            "write": ".*",
            "read": ".*",
        }],
    });
    definitions.to_string()
}

/// Its bounds of memory belong to the `mem_limit` of 2 GiB in docker-compose.yml, which RabbitMQ does not know of: from
/// 1,200 MiB on it takes no more messages. Of the log of its queues, files of 128 MiB, it may hold three in memory.
fn rabbitmq_conf(folder: &Path) -> String {
    let definitions = folder.join("amqp/definitions.json");
    format!(
        "load_definitions = {}\n\
         log.console = true\n\
         vm_memory_high_watermark.absolute = 1200MiB\n\
         raft.wal_max_size_bytes = 134217728\n",
        definitions.display()
    )
}

/// Jobs are in Redis: each write is on disk within a second, and nothing is ever evicted. What would harm all of it at
/// once is not allowed; to write the append-only file anew is, because only that takes out of it what was erased.
fn redis_conf(password: &str) -> String {
    format!(
        "user default on >{password} ~* &* +@all -@dangerous +info +bgrewriteaof\n\
         appendonly yes\n\
         appendfsync everysec\n\
         maxmemory-policy noeviction\n\
         enable-debug-command no\n\
         enable-module-command no\n"
    )
}

fn qdrant_config(key: &str) -> String {
    // A text is written alike in JSON and in YAML.
    let key = json!(key);
    format!("telemetry_disabled: true\nservice:\n  api_key: {key}\n")
}

/// In one step. Whoever can open the folder may read it: the servers run as different users, each with folders of its own.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let folder: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    if let Some(all) = folder.parent().filter(|all| !all.exists()) {
        // A volume is there already; what is made here may lie beside the files of other people.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(all)?;
    }
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    io::Write::write_all(&mut file, format!("{}\n", text.trim_end()).as_bytes())?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o444))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    fn all(folder: &Path) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for part in fs::read_dir(folder).unwrap() {
            for file in fs::read_dir(part.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                files.push((
                    path.strip_prefix(folder).unwrap().display().to_string(),
                    text,
                ));
            }
        }
        files.sort();
        files
    }

    #[test]
    fn secrets_are_made_once_and_each_stays_in_its_folder() {
        let desk = tempfile::tempdir().unwrap();
        let folder = desk.path().join("secrets");
        write(&env(&[]), &folder).unwrap();
        let first = all(&folder);
        assert_eq!(first.len(), 11);
        write(&env(&[("API_KEY", " ")]), &folder).unwrap();
        assert_eq!(all(&folder), first);
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        for kind in SecretKind::ALL {
            let secret = fs::read_to_string(folder.join(home(kind))).unwrap();
            let own = home(kind).split('/').next().unwrap();
            for (name, text) in &first {
                assert!(
                    name.starts_with(own) || !text.contains(secret.trim()),
                    "{kind:?} in {name}"
                );
            }
        }
    }

    #[test]
    fn what_the_operator_sets_is_taken_and_kept() {
        let desk = tempfile::tempdir().unwrap();
        let given = [
            ("API_KEY", "kunci-yang-panjang"),
            ("RABBITMQ_PASSWORD", "kelinci-yang-panjang"),
            ("REDIS_URL", "rediss://:p@elsewhere:6380/1"),
        ];
        write(&env(&given), desk.path()).unwrap();
        let read = |name| fs::read_to_string(desk.path().join(name)).unwrap();
        assert_eq!(read("api/key"), "kunci-yang-panjang\n");
        assert_eq!(
            read("amqp/url"),
            "amqp://itb:kelinci-yang-panjang@rabbitmq:5672/%2f\n"
        );
        assert_eq!(read("redis/url"), "rediss://:p@elsewhere:6380/1\n");
        write(&env(&[]), desk.path()).unwrap();
        assert_eq!(read("api/key"), "kunci-yang-panjang\n");
        let refused = write(&env(&[("REDIS_PASSWORD", "dev")]), desk.path());
        assert!(refused.unwrap_err().to_string().contains("REDIS_PASSWORD"));
    }

    #[test]
    fn nothing_is_written_of_what_is_too_weak_and_a_weak_one_that_was_kept_is_named() {
        let desk = tempfile::tempdir().unwrap();
        let folder = desk.path().join("secrets");
        for weak in [
            ("API_KEY", "dev"),
            ("WEBHOOK_SECRET", "x"),
            ("QDRANT_API_KEY", "é"),
        ] {
            let refused = write(&env(&[weak]), &folder).unwrap_err().to_string();
            assert!(refused.contains(weak.0), "{refused}");
            assert!(!folder.exists(), "{}", weak.0);
        }
        fs::create_dir_all(folder.join("webhook")).unwrap();
        fs::write(folder.join("webhook/secret"), "x\n").unwrap();
        let refused = write(&env(&[]), &folder).unwrap_err();
        let refused = format!("{refused:#}");
        let path = folder.join("webhook/secret").display().to_string();
        assert!(
            refused.contains(&format!("rm -f {path}")) && refused.contains("WEBHOOK_SECRET"),
            "{refused}"
        );
        assert!(!folder.join("api").exists());
        // What is given takes its place.
        let given = [("WEBHOOK_SECRET", "rahasia-yang-panjang")];
        write(&env(&given), &folder).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "rahasia-yang-panjang\n");
    }

    #[test]
    fn a_file_is_named_by_its_whole_path() {
        let conf = |folder: &str| {
            let folder = std::path::absolute(folder).unwrap();
            rabbitmq_conf(&folder)
        };
        let here = std::env::current_dir().unwrap();
        let whole = here.join("secrets/amqp/definitions.json");
        let line = format!("load_definitions = {}\n", whole.display());
        assert!(conf("secrets").starts_with(&line));
    }
}
