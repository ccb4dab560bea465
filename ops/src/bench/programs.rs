//! The processes that are measured.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use common::testing::servers::free_port;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use super::{ceiling::Ceiling, load::Target};

const KEY: &str = "kunci-uji-yang-cukup-panjang";

/// A greeting: answered without a search and without a model.
const QUESTION: &str = r#"{"message":"Halo"}"#;

/// Time for a program to answer.
const READY: Duration = Duration::from_secs(60);

pub struct Programs<'a> {
    /// Where itb-api and itb-worker are.
    pub ours: PathBuf,
    pub folder: &'a Path,
    pub amqp_url: String,
    pub redis_url: String,
}

impl Programs<'_> {
    pub async fn distributed(&self) -> anyhow::Result<Target> {
        let servers = [
            ("AMQP_URL", self.amqp_url.as_str()),
            ("REDIS_URL", self.redis_url.as_str()),
            ("AMQP_QUEUE_PREFIX", "bench"),
        ];
        let port = free_port();
        let api = self.ours("itb-api", &[], &servers, port)?;
        let worker = self.ours("itb-worker", &["--stages", "rag"], &servers, free_port())?;
        ready(target("distributed", port, vec![api, worker])).await
    }

    pub async fn embedded(&self) -> anyhow::Result<Target> {
        let port = free_port();
        let api = self.ours("itb-api", &[], &[], port)?;
        ready(target("embedded", port, vec![api])).await
    }

    pub async fn ceiling(&self, ceiling: Ceiling) -> anyhow::Result<Target> {
        let port = free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--serve", ceiling.word()]);
        command
            .env("BENCH_ADDRESS", address.to_string())
            .env("BENCH_AMQP_URL", &self.amqp_url)
            .env("BENCH_REDIS_URL", &self.redis_url);
        let process = command.kill_on_drop(true).spawn()?;
        ready(target(ceiling.name(), port, vec![process])).await
    }

    /// FastAPI and Celery: one process for the API and one worker for each core, which does its tasks itself.
    pub async fn celery(&self, folder: &Path) -> anyhow::Result<Target> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers/celery");
        ensure!(
            folder.join("bin/celery").is_file(),
            "{} holds no Celery: ops/bench/peers/celery/setup installs it",
            folder.display()
        );
        let folder = folder.canonicalize()?;
        let port = free_port();
        let start = |program: &str, arguments: &[&str]| {
            Command::new(folder.join("bin").join(program))
                .args(arguments)
                .current_dir(&sources)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("AMQP_URL", &self.amqp_url)
                .env("REDIS_URL", &self.redis_url)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        };
        let port_argument = port.to_string();
        let api = ["app:app", "--log-level", "error", "--port", &port_argument];
        let mut processes = vec![start("uvicorn", &api)?];
        for worker in 0..std::thread::available_parallelism()?.get() {
            let name = format!("{worker}@%h");
            let arguments = ["-A", "tasks", "worker", "--pool", "solo", "-n", &name];
            processes.push(start("celery", &arguments)?);
        }
        ready(target("FastAPI and Celery", port, processes)).await
    }

    fn ours(
        &self,
        program: &str,
        arguments: &[&str],
        more: &[(&str, &str)],
        port: u16,
    ) -> anyhow::Result<Child> {
        let path = self.ours.join(program);
        ensure!(path.is_file(), "{} is not there", path.display());
        Command::new(&path)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder)
            .env("ITB_DATA_DIR", self.folder)
            .env("API_KEY", KEY)
            .env("PORT", port.to_string())
            .env("RATE_LIMIT_ENABLED", "false")
            .env("RUST_LOG", "warn")
            // Nothing is fetched meanwhile.
            .env("ITB_HUB_URL", "http://127.0.0.1:9")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", path.display()))
    }
}

fn target(name: &'static str, port: u16, processes: Vec<Child>) -> Target {
    Target {
        name,
        port,
        path: "/v1/chat",
        body: QUESTION,
        key: KEY,
        processes,
    }
}

/// `target` once it answers.
async fn ready(target: Target) -> anyhow::Result<Target> {
    let begun = Instant::now();
    loop {
        let is_listening = TcpStream::connect(("127.0.0.1", target.port)).await.is_ok();
        let answered = match is_listening {
            true => target.ask().await,
            false => Err(anyhow::anyhow!("it does not listen")),
        };
        let Err(error) = answered else {
            return Ok(target);
        };
        if begun.elapsed() > READY {
            return Err(error.context(format!("{} does not answer", target.name)));
        }
        sleep(Duration::from_millis(200)).await;
    }
}
