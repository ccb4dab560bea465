//! Real RabbitMQ and Redis servers of a test's own, on free ports, with their
//! own folders; gone with the test process, however it ends.
//!
//! `TEST_AMQP_URL` and `TEST_REDIS_URL` name servers that are there already.
//! Without them the installed programs are started; where these are missing a
//! test says so on the terminal and ends early, except under `CI=true`, where
//! that is a failure.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::process::Group;
use crate::config::Environment;

/// Addresses of servers that many tests share.
pub struct Shared {
    pub amqp_url: String,
    pub redis_url: String,
    _own: Option<(RabbitServer, RedisServer)>,
}

/// The servers that the tests of this process share, or `None`, with a word on
/// the terminal, when they cannot be had.
pub fn shared() -> Option<&'static Shared> {
    static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
    let shared = SHARED.get_or_init(start_shared).as_ref();
    if shared.is_none() {
        skipped("needs the programs rabbitmq-server and redis-server");
    }
    shared
}

fn start_shared() -> Option<Shared> {
    let given = |name| {
        std::env::var(name)
            .ok()
            .filter(|url: &String| !url.is_empty())
    };
    if let (Some(amqp_url), Some(redis_url)) = (given("TEST_AMQP_URL"), given("TEST_REDIS_URL")) {
        return Some(Shared {
            amqp_url,
            redis_url,
            _own: None,
        });
    }
    let own = (RabbitServer::start()?, RedisServer::start()?);
    Some(Shared {
        amqp_url: own.0.url(),
        redis_url: own.1.url(),
        _own: Some(own),
    })
}

impl Shared {
    /// Settings for processes that talk to these servers through queues of
    /// their own.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.amqp_url, &self.redis_url)
    }
}

/// Settings for processes on these servers, with queue names nobody else uses.
pub fn environment(amqp_url: &str, redis_url: &str) -> Vec<(String, String)> {
    let prefix = format!("test-{}", uuid::Uuid::now_v7().simple());
    [
        ("AMQP_URL", amqp_url),
        ("REDIS_URL", redis_url),
        ("AMQP_QUEUE_PREFIX", &prefix),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Says on the terminal that the running test was skipped; the test harness
/// captures `eprintln!`, not this.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        Environment::of_process().text("CI").is_none(),
        "{test} cannot be skipped in CI: {why}"
    );
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port on loopback")
        .port()
}

/// Where `program` is installed, if it is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn wait_until(what: &str, within: Duration, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < within, "{what} did not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Time for a server to end in order.
const STOP: Duration = Duration::from_secs(60);

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// The bytes with which a server answers `greeting`, empty when it does not.
fn answer_to(port: u16, greeting: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
        return Vec::new();
    };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
    let mut buffer = [0; 64];
    match socket
        .write_all(greeting)
        .and_then(|()| socket.read(&mut buffer))
    {
        Ok(read) => buffer[..read].to_vec(),
        Err(_) => Vec::new(),
    }
}

/// A Redis with an append-only file.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
    running: Option<Group>,
}

impl RedisServer {
    /// `None` when the program is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With `settings` as on its command line, `--name` and value by turns.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        find("redis-server")?;
        let mut server = Self {
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder for Redis"),
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
            running: None,
        };
        server.start_again();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends it these lines, as a client of its own, and waits for the answer to the first.
    pub fn tell(&self, lines: &str) {
        answer_to(self.port, format!("{lines}\r\n").as_bytes());
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Lets it end in order.
    pub fn stop(&mut self) {
        answer_to(self.port, b"SHUTDOWN\r\n");
        wait_until("the end of Redis", STOP, || !is_listening(self.port));
        self.running = None;
    }

    /// Starts it on the same port with the same data.
    pub fn start_again(&mut self) {
        let mut command = Command::new(find("redis-server").expect("installed"));
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                // Written before each answer, which no killed process takes back.
                "--appendfsync",
                "no",
            ])
            .args(["--loglevel", "warning", "--dir"])
            .arg(self.folder.path())
            .args(["--logfile", "redis.log"])
            .args(&self.settings);
        self.running = Some(Group::start(self.folder.path(), &mut command));
        wait_until("Redis", Duration::from_secs(20), || {
            answer_to(self.port, b"PING\r\n").starts_with(b"+PONG")
        });
    }
}

/// A single RabbitMQ node with an Erlang port mapper of its own.
pub struct RabbitServer {
    port: u16,
    distribution_port: u16,
    mapper_port: u16,
    folder: TempDir,
    running: Option<Group>,
}

/// Debian keeps the script that does not insist on the user `rabbitmq` here.
const RABBITMQ_SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

impl RabbitServer {
    /// `None` when the program is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// With `more` lines of configuration.
    pub fn start_with(more: &str) -> Option<Self> {
        rabbitmq_script()?;
        find("epmd")?;
        let mut server = Self {
            port: free_port(),
            distribution_port: free_port(),
            mapper_port: free_port(),
            folder: tempfile::tempdir().expect("a folder for RabbitMQ"),
            running: None,
        };
        server.configure(more);
        server.start_again();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Lets it end in order.
    pub fn stop(&mut self) {
        // The start script writes its own id, and becomes the server.
        let id = std::fs::read_to_string(self.path("pid")).expect("the id of RabbitMQ");
        let signalled = |signal: &str| {
            let mut kill = Command::new("kill");
            kill.args([signal, id.trim()]).stderr(Stdio::null());
            kill.status().expect("kill runs").success()
        };
        signalled("-TERM");
        wait_until("the end of RabbitMQ", STOP, || !signalled("-0"));
        self.running = None;
    }

    /// Starts it on the same port with the same data.
    pub fn start_again(&mut self) {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(r#"epmd -port "$ERL_EPMD_PORT" & exec "$0""#)
            .arg(rabbitmq_script().expect("installed"));
        self.set_environment(&mut command);
        self.running = Some(Group::start(self.folder.path(), &mut command));
        wait_until("RabbitMQ", Duration::from_secs(90), || {
            // The method frame `connection.start` begins with 1, 0, 0.
            answer_to(self.port, b"AMQP\x00\x00\x09\x01").starts_with(&[1, 0, 0])
        });
    }

    /// Runs `rabbitmqctl` on the node; the output is its standard output.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        self.set_environment(&mut command);
        let output = command
            .args(["-n", &self.node()])
            .args(arguments)
            .output()
            .expect("rabbitmqctl runs");
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn node(&self) -> String {
        format!("itb-{}@localhost", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, more: &str) {
        let write = |name: &str, text: &str| {
            std::fs::write(self.path(name), text).expect("a file for RabbitMQ");
        };
        write("enabled_plugins", "[].\n");
        write("rabbitmq-env.conf", "");
        write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.default = 127.0.0.1:{}\nvm_memory_high_watermark.absolute = 2GB\n\
                 disk_free_limit.absolute = 10MB\n{more}",
                self.port
            ),
        );
    }

    fn set_environment(&self, command: &mut Command) {
        let folder = |name: &str| self.path(name).into_os_string();
        command
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder("log"))
            .env("RABBITMQ_LOGS", folder("rabbitmq.log"))
            .env("RABBITMQ_PID_FILE", folder("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", folder("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", folder("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("enabled_plugins"));
    }
}

fn rabbitmq_script() -> Option<PathBuf> {
    Some(PathBuf::from(RABBITMQ_SCRIPT))
        .filter(|script| Path::is_file(script))
        .or_else(|| find("rabbitmq-server"))
}
