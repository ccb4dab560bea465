//! A running assistant, and a client's way to talk to it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::testing::{
    process::Watchdog,
    servers::{free_port, shared, skipped},
};
use reqwest::{Client, RequestBuilder, Response, multipart};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Front doors and their workers.
pub struct Deployment {
    urls: Vec<String>,
    client: Client,
    programs: Vec<Program>,
}

/// One process of ours; ends with the test.
pub struct Program {
    child: Child,
    _watchdog: Watchdog,
}

pub const KEY: &str = "test-key";
pub const OTHER_KEY: &str = "other-key";

impl Program {
    pub fn start(program: &Path, arguments: &[&str], settings: &[(String, String)]) -> Self {
        Self::start_logging(program, arguments, settings, log_file())
    }

    pub fn start_logging(
        program: &Path,
        arguments: &[&str],
        settings: &[(String, String)],
        log: Stdio,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("RUST_LOG", "warn")
            .envs(settings.iter().cloned())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .stdin(Stdio::null())
            .stderr(log);
        if let Some(folder) = std::env::var_os("ITB_DATA_DIR") {
            command.env("ITB_DATA_DIR", folder);
        }
        let child = command.spawn().expect("our program starts");
        let _watchdog = Watchdog::over(child.id());
        Self { child, _watchdog }
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens at `url`; `false` when it has ended before.
    fn listens_at(&mut self, url: &str) -> bool {
        let address = url.trim_start_matches("http://");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            if std::net::TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// As `kill` does; waits for the end, and tells whether it was in order.
    pub fn terminate(mut self) -> bool {
        let id = self.child.id().to_string();
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .expect("kill runs");
        let ended = self.child.wait().expect("it ends");
        ended.success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What our programs log, for when a test fails.
fn log_file() -> Stdio {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs.log");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.map_or_else(|_| Stdio::null(), Stdio::from)
}

pub fn api_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_itb-api"))
}

/// The worker's program, which cargo does not build for the tests of this
/// package: the one that `ITB_TEST_WORKER` names, or one built now. Beside it is
/// the operator's.
pub fn worker_program() -> PathBuf {
    if let Some(program) = std::env::var_os("ITB_TEST_WORKER") {
        return program.into();
    }
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        // Of the whole workspace, so that dependencies are built with the
        // features that they have already.
        build.args(["build", "--quiet", "--workspace"]);
        build.args(["--bin", "itb-worker", "--bin", "itb-ops"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.status().expect("cargo runs");
        assert!(built.success(), "the worker does not build");
    });
    api_program().with_file_name("itb-worker")
}

pub fn ops_program() -> PathBuf {
    worker_program().with_file_name("itb-ops")
}

pub fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A front door with `more` settings; its address.
pub fn start_api(more: &[(String, String)]) -> (Program, String) {
    let mut started = start_api_logging(more, log_file());
    // Another program may have taken the port since it was found free.
    for _ in 0..2 {
        let (program, url) = &mut started;
        if program.listens_at(url) {
            break;
        }
        started = start_api_logging(more, log_file());
    }
    started
}

pub fn start_api_logging(more: &[(String, String)], log: Stdio) -> (Program, String) {
    let given = more.iter().find(|(name, _)| name == "PORT");
    let port = given.map_or_else(|| free_port().to_string(), |(_, port)| port.clone());
    let mut all = settings(&[
        ("PORT", &port),
        ("API_KEY", KEY),
        ("API_KEYS", &format!("other:{OTHER_KEY}")),
        // The tests of limits set some.
        ("RATE_LIMIT_ENABLED", "false"),
        ("MAX_CONCURRENT_JOBS", "0"),
    ]);
    all.extend_from_slice(more);
    let program = Program::start_logging(&api_program(), &[], &all, log);
    (program, format!("http://127.0.0.1:{port}"))
}

pub fn start_worker(stages: &str, more: &[(String, String)]) -> Program {
    Program::start(&worker_program(), &["--stages", stages], more)
}

pub fn client() -> Client {
    common::telemetry::choose_cryptography();
    Client::builder()
        .timeout(Duration::from_secs(180))
        // Each test has a runtime of its own, and a connection ends with its
        // runtime: none may be handed on to another test.
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client")
}

/// Everything in one process; shared by the tests.
pub async fn embedded() -> &'static Deployment {
    static SHARED: OnceCell<Deployment> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let (program, url) = start_api(&[]);
            Deployment::of(vec![url], vec![program]).await
        })
        .await
}

/// Two front doors and two workers of each stage; shared by the tests.
pub async fn distributed() -> Option<&'static Deployment> {
    static SHARED: OnceCell<Option<Deployment>> = OnceCell::const_new();
    let start = || async {
        let settings = shared()?.environment();
        let doors = [start_api(&settings), start_api(&settings)];
        let (mut programs, urls): (Vec<_>, Vec<_>) = doors.into_iter().unzip();
        for stages in ["stt", "emotion", "rag", "tts", "webhook"] {
            programs.push(start_worker(stages, &settings));
            programs.push(start_worker(stages, &settings));
        }
        Some(Deployment::of(urls, programs).await)
    };
    let deployment = SHARED.get_or_init(start).await.as_ref();
    if deployment.is_none() {
        skipped("needs the programs rabbitmq-server and redis-server");
    }
    deployment
}

impl Deployment {
    pub async fn of(urls: Vec<String>, programs: Vec<Program>) -> Self {
        let deployment = Self {
            urls,
            client: client(),
            programs,
        };
        for url in &deployment.urls {
            eventually("ready", || deployment.is_ready(url)).await;
        }
        deployment
    }

    async fn is_ready(&self, url: &str) -> bool {
        let asked = self.client.get(format!("{url}/ready")).send().await;
        asked.is_ok_and(|answer| answer.status() == 200)
    }

    /// The programs alone, to be ended one by one.
    pub fn into_programs(self) -> Vec<Program> {
        self.programs
    }

    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The address of one front door; a different one each time, if there are
    /// several.
    fn url(&self) -> &str {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        &self.urls[NEXT.fetch_add(1, Ordering::Relaxed) % self.urls.len()]
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url());
        self.client.get(url).header("X-API-Key", KEY)
    }

    /// Without any header.
    pub fn get_bare(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url()))
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url());
        self.client.delete(url).header("X-API-Key", KEY)
    }

    /// In a conversation of its own.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.post_in(&conversation(), path)
    }

    pub fn post_in(&self, conversation: &str, path: &str) -> RequestBuilder {
        let request = self.post_bare(path).header("X-API-Key", KEY);
        request.header("X-Conversation-Id", conversation)
    }

    /// Without any header.
    pub fn post_bare(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url()))
    }

    /// Asks, and reads the answer.
    pub async fn chat(&self, message: &str) -> Value {
        let body = json!({ "message": message });
        let answer = self.post("/v1/chat").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// What is told of a job; `path` may ask to wait for it.
    pub async fn job(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Whether speech can be worked with here. Waits while the engines are
    /// being loaded; they are not fetched on behalf of a test.
    pub async fn can_speak(&self) -> bool {
        if speech_model().is_none() {
            skipped("needs the speech model: itb-ops setup fetches it");
            return false;
        }
        self.engines_are_there().await;
        true
    }

    /// Waits until what hears and speaks in this process is there, if anything.
    pub async fn engines_are_there(&self) {
        eventually("speech", || async {
            let health = self.get("/health").send().await.unwrap();
            let health: Value = health.json().await.unwrap();
            let mut engines = health["speech"].as_object().unwrap().values();
            engines.all(|state| state == "ready")
        })
        .await;
    }
}

fn speech_model() -> Option<PathBuf> {
    let folder = match std::env::var_os("ITB_DATA_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/share/itb-assistant"),
    };
    Some(folder.join("speech-to-text")).filter(|folder| folder.is_dir())
}

/// A conversation that nobody else has.
pub fn conversation() -> String {
    common::ids::CorrelationId::new().to_string()
}

pub fn form(audio: Vec<u8>) -> multipart::Form {
    let file = multipart::Part::bytes(audio).file_name("rekaman.wav");
    multipart::Form::new().part("audio", file)
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < Duration::from_secs(90),
            "not {what} in time"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The problem in `answer`, which has this status.
pub async fn problem(answer: Response, status: u16, case: &str) -> Value {
    assert_eq!(answer.status(), status, "{case}");
    let media_type = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(media_type, "application/problem+json", "{case}");
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = answer.json().await.unwrap();
    for field in [
        "type",
        "title",
        "detail",
        "instance",
        "code",
        "message",
        "timestamp",
    ] {
        assert!(body[field].is_string(), "{case}: {field} in {body}");
    }
    assert_eq!(body["status"], status, "{case}");
    assert_eq!(body["request_id"], id.as_str(), "{case}");
    body
}
