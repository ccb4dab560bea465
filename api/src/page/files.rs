//! The files of the page, compressed once. They have the version of them all in their addresses, so that a browser may keep
//! them for ever.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::PageConfig;

/// A file as it is served.
#[derive(Clone)]
pub struct Served {
    pub media_type: &'static str,
    pub plain: Bytes,
    pub gzipped: Bytes,
    /// A strong entity tag, in its quotes.
    pub tag: String,
}

struct File {
    name: &'static str,
    content: &'static str,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(File { name: $name, content: include_str!(concat!("../web/app/", $name)) }),*]
    };
}

static FILES: &[File] = &files![
    "api.js",
    "app.webmanifest",
    "conversations.js",
    "drawer.js",
    "elements.js",
    "emblem.svg",
    "gate.js",
    "main.js",
    "microphone.js",
    "player.js",
    "recorder.worklet.js",
    "style.css",
    "text.js",
    "turn.js",
    "voice.js",
    "words.js",
];

const INDEX: &str = include_str!("../web/app/index.html");

/// Where the files are, by their version.
pub const FOLDER: &str = "/app";

/// All that is served for one configuration.
pub struct Files {
    index: Served,
    files: Vec<(&'static str, Served)>,
    /// Of all files together.
    version: String,
}

impl Files {
    pub fn new(config: &PageConfig) -> Self {
        let name = serde_json::Value::from(config.name.as_str()).to_string();
        let files = FILES.iter().map(|file| {
            let content = file.content.replace("{{json_name}}", &name);
            (file.name, served(media_type(file.name), content))
        });
        let files: Vec<_> = files.collect();
        let mut digest = Sha256::new();
        files
            .iter()
            .for_each(|(_, file)| digest.update(&file.plain));
        let version = hex::encode(&digest.finalize()[..8]);
        let index = INDEX
            .replace("{{files}}", &format!("{FOLDER}/{version}"))
            .replace("{{name}}", &escaped(&config.name))
            .replace("{{questions}}", &escaped(&config.questions.join("|")));
        Self {
            index: served("text/html; charset=utf-8", index),
            files,
            version,
        }
    }

    pub fn index(&self) -> &Served {
        &self.index
    }

    /// The file of this name, and whether it is of the version that was asked for: while servers are replaced, one of another
    /// version may be asked.
    pub fn get(&self, version: &str, name: &str) -> Option<(&Served, bool)> {
        let (_, file) = self.files.iter().find(|(it, _)| *it == name)?;
        Some((file, version == self.version))
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/manifest+json",
    }
}

fn served(media_type: &'static str, content: String) -> Served {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let gzipped = encoder.write_all(content.as_bytes());
    let gzipped = gzipped.and_then(|()| encoder.finish());
    let digest = Sha256::digest(&content);
    Served {
        media_type,
        gzipped: gzipped.expect("memory takes what is written").into(),
        plain: content.into(),
        tag: format!("\"{}\"", hex::encode(&digest[..8])),
    }
}

/// As text of HTML, also in quotes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the whole page, compressed.
    const MOST: usize = 40_000;

    fn files(name: &str) -> Files {
        Files::new(&PageConfig {
            name: name.into(),
            questions: vec!["Apa itu \"ITB\"?".into(), "a < b".into()],
        })
    }

    #[test]
    fn the_page_is_small_and_names_no_other_origin() {
        let files = files("Asisten");
        let all = files.files.iter().map(|(_, file)| file);
        let all: Vec<_> = all.chain([&files.index]).collect();
        let size: usize = all.iter().map(|file| file.gzipped.len()).sum();
        assert!(size <= MOST, "{size} bytes");
        for file in all {
            let text = std::str::from_utf8(&file.plain).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"));
            for left in ["{{files}}", "{{name}}", "{{questions}}", "{{json_name}}"] {
                assert!(!text.contains(left), "{left}");
            }
        }
    }

    #[test]
    fn a_name_is_text_wherever_it_stands() {
        let files = files("</title><script>\"'&");
        let index = std::str::from_utf8(&files.index.plain).unwrap();
        assert!(index.contains("<title>&lt;/title&gt;&lt;script&gt;&quot;'&amp;</title>"));
        assert!(index.contains("data-questions=\"Apa itu &quot;ITB&quot;?|a &lt; b\""));
        let (manifest, _) = files.get("", "app.webmanifest").unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.plain).unwrap();
        assert_eq!(manifest["name"], "</title><script>\"'&");
    }

    #[test]
    fn the_page_asks_for_the_files_that_there_are() {
        let files = files("Asisten");
        let index = std::str::from_utf8(&files.index.plain).unwrap();
        let folder = format!("{FOLDER}/{}/", files.version);
        let asked: Vec<_> = index.split(&folder).skip(1).collect();
        assert!(asked.len() >= 4);
        for rest in asked {
            let name = rest.split('"').next().unwrap();
            let (_, is_current) = files.get(&files.version, name).expect(name);
            assert!(is_current);
        }
        assert!(files.get(&files.version, "docs.js").is_none());
    }
}
