//! What is to stand in one place stands there alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// Where stages are told apart by name, as README says for whoever adds one; and where a stage is asked for as what a client
/// sees of it (the times of a result, the readiness of speech).
const NAMES_STAGES: [&str; 8] = [
    "api/src/embedded.rs",
    "common/src/pipeline.rs",
    "common/src/render.rs",
    "workers/src/config.rs",
    "workers/src/kit/answering.rs",
    "workers/src/kit/speech.rs",
    "workers/src/stages.rs",
    "workers/src/stages/",
];

const STAGES: [&str; 5] = ["Stt", "Emotion", "Rag", "Tts", "Webhook"];

/// The Rust files below `folder` that are no tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = name.starts_with("tests") || name.starts_with("testing");
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if name.ends_with(".rs") && !is_test {
            found.push(path);
        }
    }
}

#[test]
fn stages_are_told_apart_by_name_where_readme_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["api/src", "common/src", "workers/src"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "the sources are there");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let name = file.strip_prefix(root).unwrap().to_string_lossy();
        let may = NAMES_STAGES.iter().any(|it| name.starts_with(it));
        for stage in STAGES {
            let named = format!("Stage::{stage}");
            assert!(may || !code.contains(&named), "{name} names {named}");
        }
    }
}
