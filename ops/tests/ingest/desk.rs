//! A folder of documents, and the program run over it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

pub struct Desk {
    pub folder: TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let desk = Self {
            folder: TempDir::new().expect("a temporary folder"),
        };
        fs::create_dir(desk.docs()).expect("a folder");
        desk
    }

    pub fn docs(&self) -> PathBuf {
        self.folder.path().join("docs")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.docs().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("written");
    }

    pub fn fixture(&self, name: &str) {
        self.write(name, fs::read(Path::new(FIXTURES).join(name)).expect(name));
    }

    pub fn target(&self) -> PathBuf {
        self.folder.path().join("kb.jsonl")
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_itb-ops"))
            .arg("ingest")
            .args(arguments)
            .arg("--to")
            .arg(self.target())
            .current_dir(self.folder.path())
            .env_remove("QDRANT_URL")
            .output()
            .expect("the program runs")
    }

    /// The exit code and the summary of a run over `docs`.
    pub fn ingest(&self, more: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["docs", "--json"], more].concat());
        let code = output.status.code().expect("it ended by itself");
        let summary = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (code, summary)
    }

    pub fn passages(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.target()).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a passage"))
            .collect()
    }

    /// Heading, page and text of a document's passages.
    pub fn of(&self, document: &str) -> Vec<(String, Value, String)> {
        let written = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let passages = self.passages().into_iter();
        passages
            .filter(|passage| passage["document"]["id"] == document)
            .map(|passage| {
                let page = passage["page"].clone();
                (
                    written(&passage["heading"]),
                    page,
                    written(&passage["text"]),
                )
            })
            .collect()
    }
}

pub fn counts(summary: &Value) -> [u64; 3] {
    ["added", "unchanged", "removed"].map(|name| summary[name].as_u64().expect("a number"))
}

pub fn reasons(summary: &Value) -> BTreeMap<String, String> {
    let failures = summary["failed"].as_array().expect("a list").iter();
    failures
        .map(|failure| {
            let text = |key: &str| failure[key].as_str().expect("a text").to_owned();
            (text("file"), text("reason"))
        })
        .collect()
}
