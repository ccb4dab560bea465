//! Whatever stands in a document is found in its passages, their headings or its title.

use workers::knowledge::passages::passages;

use super::{Format, Original};

/// A line for each kind that a reader tells apart; `{}` is a word that stands nowhere else.
const TEXT: &[&str] = &[
    "",
    "",
    "{} 17",
    "{}",
    "{} DAN {}",
    "Pasal 3",
    "Pasal 4 {}",
    "BAB II",
    "BAB III {}",
    "Bagian Kedua",
    "2.1 A{}",
    "2.1.1 A{}",
    "kalimat {} yang selesai.",
    "kalimat {} yang berlanjut",
    "- butir {}",
    "3. langkah {}",
    "(2) ayat {}",
];
const MARKDOWN: &[&str] = &[
    "",
    "",
    "# {}",
    "## {}: Dr. {}",
    "## {}",
    "### Apa itu {}?",
    "paragraf {}",
    "**tebal {}** dan `{}`",
    "- butir {}",
    "1. langkah {}",
    "| {} | {} |",
    // The name of the first column is left out: its cells name their rows.
    "\n| Nama | {} | {} |\n|---|---|---|\n| {} | |",
    "```",
    "``` {} ```",
    "---",
    "> kutipan {}",
];

/// Numbers that look random and are the same in each run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// A document, and its words.
fn written(numbers: &mut Numbers, lines: &[&str]) -> (String, Vec<String>) {
    let (mut text, mut words) = (String::new(), Vec::new());
    for _ in 0..1 + numbers.below(14) {
        let mut line = lines[numbers.below(lines.len())].to_owned();
        while line.contains("{}") {
            let letter = |at: usize| char::from(b'A' + (at % 26) as u8);
            let word = format!("QX{}{}Z", letter(words.len() / 26), letter(words.len()));
            line = line.replacen("{}", &word, 1);
            words.push(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    (text, words)
}

#[test]
fn all_words_of_a_document_are_kept() {
    let mut numbers = Numbers(20);
    for (format, lines) in [(Format::Text, TEXT), (Format::Markdown, MARKDOWN)] {
        for _ in 0..3_000 {
            let (text, words) = written(&mut numbers, lines);
            let original = Original {
                id: "docs/a".into(),
                bytes: text.clone().into_bytes(),
            };
            let content = (format.reader())(&original).expect("a document");
            let mut kept = content.documents[0].reference.title.clone();
            for passage in passages(&content.documents) {
                kept.push_str(&format!("\n{}\n", passage.heading.unwrap_or_default()));
                kept.push_str(&passage.text);
            }
            for word in words {
                assert!(kept.contains(&word), "{word} of\n{text}\nis not in\n{kept}");
            }
        }
    }
}
