//! Programs whose settings name fakes, and what they wrote in their logs.

use std::{fs::File, path::Path, process::Stdio};

use common::testing::servers::Shared;
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use workers::testing::{embedder::WordEmbedder, qdrant::FakeQdrant};

use super::{
    fake::{Reply, Request, Service},
    prosa::{Prosa, recording},
};
use crate::deployment::{
    Deployment, Program, conversation, form, start_api_logging, worker_program,
};

#[derive(Clone, Copy)]
pub enum Mode {
    Embedded,
    Distributed(&'static Shared),
}

pub const SECRETS: [&str; 6] = [
    "kunci-prosa-dengar",
    "kunci-prosa-bicara",
    "kunci-openrouter",
    "kunci-openai",
    "kunci-vektor",
    "kunci-qdrant",
];

pub const COLLECTION: &str = "dokumen-uji";

/// Numbers in a vector.
pub const DIMENSION: usize = 256;

/// What the collection holds: title, address and text.
pub const PASSAGES: [(&str, &str, &str); 4] = [
    (
        "Syarat lulus sarjana",
        "https://contoh.id/sarjana",
        "Syarat lulus program sarjana ITB adalah menyelesaikan paling sedikit 144 SKS dengan IPK minimal 2,00.",
    ),
    (
        "Syarat lulus magister",
        "https://contoh.id/magister",
        "Syarat lulus program magister ITB adalah menyelesaikan paling sedikit 54 SKS dan lulus tesis.",
    ),
    (
        "Pembayaran UKT",
        "https://contoh.id/ukt",
        "Pembayaran UKT ITB dilakukan setiap semester sebelum masa perwalian berakhir.",
    ),
    (
        "Asrama",
        "https://contoh.id/asrama",
        "Asrama mahasiswa ITB terletak di Jatinangor dan Kanayakan.",
    ),
];

/// Every vendor, well.
pub struct Vendors {
    pub hearing: Prosa,
    pub emotion: Service,
    pub embeddings: Service,
    pub qdrant: FakeQdrant,
    pub openrouter: Service,
    pub openai: Service,
    pub speaking: Prosa,
}

pub const TRANSCRIPT: &str = "Berapa SKS untuk lulus sarjana dan kapan pembayaran UKT?";

impl Vendors {
    pub async fn start() -> Self {
        let qdrant = FakeQdrant::start().await;
        qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
        qdrant.require_key(SECRETS[5]);
        for (number, (title, url, text)) in PASSAGES.iter().enumerate() {
            let id = uuid(number);
            let metadata = json!({ "title": title, "source": url });
            let payload = json!({ "page_content": text, "metadata": metadata });
            let vector = WordEmbedder::new(DIMENSION).vector(&text.to_lowercase());
            qdrant.add_point(COLLECTION, &id, "", vector, &payload);
        }
        Self {
            hearing: Prosa::hearing(TRANSCRIPT).await,
            emotion: Service::start(|_| Reply::json(&json!({ "prediction": "sad" }))).await,
            embeddings: Service::start(embed).await,
            qdrant,
            openrouter: Service::start(answer).await,
            openai: Service::start(answer).await,
            speaking: Prosa::speaking().await,
        }
    }

    /// All of them, and nothing else.
    fn settings(&self) -> Vec<(String, String)> {
        let [hearing, speaking, openrouter, openai, embeddings, qdrant] = SECRETS;
        crate::deployment::settings(&[
            ("RUST_LOG", "info,api=debug,workers=debug,common=debug"),
            ("STT_PROVIDERS", "prosa"),
            ("PROSA_STT_API_KEY", hearing),
            ("PROSA_STT_URL", &self.hearing.url()),
            ("EMOTION_PROVIDERS", "service"),
            ("EMOTION_ANALYSIS_URL", &self.emotion.url("")),
            ("KNOWLEDGE_PROVIDERS", "qdrant"),
            ("QDRANT_URL", &self.qdrant.url()),
            ("QDRANT_API_KEY", qdrant),
            ("QDRANT_COLLECTION_NAME", COLLECTION),
            ("EMBEDDING_PROVIDER", "custom"),
            ("EMBEDDING_BASE_URL", &self.embeddings.url("/v1")),
            ("EMBEDDING_API_KEY", embeddings),
            ("EMBEDDING_MODEL", "kata"),
            ("EMBEDDING_DIMENSION", &DIMENSION.to_string()),
            ("LLM_PROVIDERS", "openrouter"),
            ("OPENROUTER_API_KEY", openrouter),
            ("OPENROUTER_BASE_URL", &self.openrouter.url("/v1")),
            ("OPENAI_API_KEY", openai),
            ("OPENAI_BASE_URL", &self.openai.url("/v1")),
            ("TTS_PROVIDERS", "prosa"),
            ("PROSA_TTS_API_KEY", speaking),
            ("PROSA_TTS_URL", &self.speaking.url()),
        ])
    }

    /// The settings with `more`, which go before.
    pub fn settings_with(&self, mode: Mode, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut settings = self.settings();
        if let Mode::Distributed(servers) = mode {
            settings.extend(servers.environment());
        }
        settings.extend(crate::deployment::settings(more));
        settings
    }
}

fn uuid(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// Vectors of words, whatever their case.
fn embed(request: &Request) -> Reply {
    let embedder = WordEmbedder::new(DIMENSION);
    let body = request.json();
    let texts = body["input"].as_array().unwrap().iter().enumerate();
    let vectors = texts.map(|(index, text)| {
        let vector = embedder.vector(&text.as_str().unwrap().to_lowercase());
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    let vectors: Vec<Value> = vectors.collect();
    Reply::json(&json!({ "object": "list", "data": vectors, "model": "kata" }))
}

/// Thinks aloud, and answers with the marks of the passages that it was shown,
/// and of one that it was not.
fn answer(request: &Request) -> Reply {
    let body = request.json();
    let asked = body["messages"].as_array().unwrap().last().unwrap();
    let asked = asked["content"].as_str().unwrap();
    let mut pieces = vec![
        "<thi".to_owned(),
        "nk>Rahasia dapur: cek 144.</th".to_owned(),
    ];
    pieces.push("ink>".to_owned());
    for (word, said) in [
        (
            "144",
            "Syarat lulus program sarjana adalah paling sedikit 144 SKS",
        ),
        (
            "54 SKS",
            "Syarat lulus program magister adalah paling sedikit 54 SKS",
        ),
        (
            "perwalian",
            "Pembayaran UKT dilakukan setiap semester sebelum masa perwalian berakhir",
        ),
    ] {
        if let Some(number) = number_of(asked, word) {
            pieces.push(format!("{said} [{number}"));
            pieces.push("][9]. ".to_owned());
        }
    }
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    Reply::stream(&pieces)
}

/// The number of the passage that holds `word`.
fn number_of(asked: &str, word: &str) -> Option<String> {
    let mut number = None;
    for line in asked.lines() {
        if let Some((_, after)) = line.split_once("nomor=\"") {
            number = after.split('"').next().map(str::to_owned);
        }
        if line.starts_with('>') && line.contains(word) {
            return number;
        }
    }
    None
}

/// A front door and its worker, with logs of their own.
pub struct Running {
    pub deployment: Deployment,
    pub settings: Vec<(String, String)>,
    logs: TempDir,
}

impl Running {
    /// With `more` beside the settings that name the `vendors`.
    pub async fn start(mode: Mode, vendors: &Vendors, more: &[(&str, &str)]) -> Self {
        let settings = vendors.settings_with(mode, more);
        let logs = tempfile::tempdir().unwrap();
        let (door, url) = start_api_logging(&settings, log(logs.path(), "api"));
        let mut programs = vec![door];
        if let Mode::Distributed(_) = mode {
            let stages = ["--stages", "stt,emotion,rag,tts,webhook"];
            let log = log(logs.path(), "worker");
            let worker = Program::start_logging(&worker_program(), &stages, &settings, log);
            programs.push(worker);
        }
        let deployment = Deployment::of(vec![url], programs).await;
        let running = Self {
            deployment,
            settings,
            logs,
        };
        running.deployment.engines_are_there().await;
        running
    }

    pub async fn chat(&self, message: &str) -> Response {
        self.chat_in(&conversation(), message).await
    }

    pub async fn chat_in(&self, conversation: &str, message: &str) -> Response {
        let request = self.deployment.post_in(conversation, "/v1/chat");
        let request = request.json(&json!({ "message": message }));
        request.send().await.unwrap()
    }

    /// Says a recording whose words the recogniser decides.
    pub async fn say(&self) -> Response {
        self.say_this(recording()).await
    }

    pub async fn say_this(&self, recording: Vec<u8>) -> Response {
        let form = form(recording).text("response_format", "base64");
        let request = self.deployment.post("/v1/audio").multipart(form);
        request.send().await.unwrap()
    }

    /// The logs are there, and neither a key nor one of `texts` is in them.
    pub fn is_discreet(&self, texts: &[&str]) {
        let files = std::fs::read_dir(self.logs.path()).unwrap();
        for file in files {
            let log = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(log.contains("INFO"), "{log}");
            for secret in SECRETS.iter().chain(texts) {
                assert!(!log.contains(secret), "{secret:?} is in {log}");
            }
        }
    }
}

fn log(folder: &Path, name: &str) -> Stdio {
    File::create(folder.join(name)).unwrap().into()
}

/// The result in `answer`, which is a success.
pub async fn result(answer: Response, case: &str) -> Value {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{case}: {body}");
    body
}
