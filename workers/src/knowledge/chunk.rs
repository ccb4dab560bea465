//! Cuts a document into passages along its headings.

use super::document::Document;
use super::markdown::{Block, Section};
use super::sentence::sentences;

/// Characters of running text in one passage: small enough to be one thought, large enough to hold its condition.
const TARGET_CHARS: usize = 400;

/// A list stays with the sentence that introduces it up to this many characters, so that an answer can give all of it.
const LIST_CHARS: usize = 1_600;

/// One sentence without an end is cut here.
const MAX_CHARS: usize = 2_000;

/// A passage of a document, before it is indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub heading: Option<String>,
    /// Lines end paragraphs and list items.
    pub text: String,
}

/// The passages of a document in order.
pub fn chunks(document: &Document) -> Vec<Chunk> {
    document.sections.iter().flat_map(section_chunks).collect()
}

fn section_chunks(section: &Section) -> Vec<Chunk> {
    let mut cut = Cut::default();
    for block in &section.blocks {
        match block {
            Block::Item(item) => cut.item(item),
            Block::Row(row) => cut.row(row),
            Block::Paragraph(text) => {
                for (at, range) in sentences(text).into_iter().enumerate() {
                    cut.sentence(&text[range], at == 0);
                }
            }
        }
    }
    cut.close();
    cut.done
        .into_iter()
        .map(|text| Chunk {
            heading: section.heading.clone(),
            text,
        })
        .collect()
}

#[derive(Default)]
struct Cut {
    done: Vec<String>,
    open: String,
}

impl Cut {
    fn sentence(&mut self, sentence: &str, first_of_paragraph: bool) {
        for piece in pieces(sentence) {
            let after_list = self.open.lines().last().is_some_and(is_item);
            if after_list || self.open.chars().count() + piece.chars().count() > TARGET_CHARS {
                self.close();
            }
            self.push(piece, if first_of_paragraph { '\n' } else { ' ' });
        }
    }

    fn item(&mut self, item: &str) {
        for piece in pieces(item) {
            if self.open.chars().count() + piece.chars().count() > LIST_CHARS {
                self.close();
            }
            self.push(piece, '\n');
        }
    }

    /// Rows share a passage while it stays one thought; none is cut in the middle of a cell if that can be helped.
    fn row(&mut self, row: &str) {
        for piece in pieces_ending(row, "; ") {
            if self.open.chars().count() + piece.chars().count() > TARGET_CHARS {
                self.close();
            }
            self.push(piece, '\n');
        }
    }

    fn push(&mut self, piece: &str, separator: char) {
        if !self.open.is_empty() {
            self.open.push(separator);
        }
        self.open.push_str(piece);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}

/// Whether a line of a passage is an item of a list.
pub fn is_item(line: &str) -> bool {
    item_text(line).is_some()
}

/// A list item without its mark, and the number of an ordered one.
pub fn item_text(line: &str) -> Option<(Option<u8>, &str)> {
    if let Some(text) = line.strip_prefix("- ") {
        return Some((None, text));
    }
    let (number, text) = line.split_once(". ")?;
    Some((Some(number.parse().ok()?), text))
}

/// The text itself, or cut at white space where it is too long for one passage.
fn pieces(text: &str) -> Vec<&str> {
    pieces_ending(text, " ")
}

/// As [`pieces`], at the last `end` before the limit, or else at white space.
fn pieces_ending<'a>(text: &'a str, end: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((limit, _)) = rest.char_indices().nth(MAX_CHARS) {
        let at = rest[..limit]
            .rfind(end)
            .map(|at| at + end.len())
            .or_else(|| rest[..limit].rfind(char::is_whitespace))
            .filter(|at| *at > 0)
            .unwrap_or(limit);
        found.push(rest[..at].trim());
        rest = rest[at..].trim_start();
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<Chunk> {
        chunks(&Document::from_markdown("uji", text))
    }

    #[test]
    fn passages_follow_headings_and_end_at_sentences() {
        let sentence = "Mahasiswa wajib mendaftar ulang setiap semester sesuai kalender akademik yang berlaku. ";
        let found = cut(&format!("## Satu\n{}\n## Dua\nPendek.", sentence.repeat(9)));
        assert_eq!(found.len(), 4);
        assert!(
            found.iter().all(
                |chunk| chunk.text.ends_with('.') && chunk.text.chars().count() <= TARGET_CHARS
            )
        );
        assert_eq!(
            found[3],
            Chunk {
                heading: Some("Dua".into()),
                text: "Pendek.".into()
            }
        );
    }

    #[test]
    fn a_list_stays_with_its_introduction() {
        let items: String = (1..=12)
            .map(|number| format!("{number}. Langkah nomor {number} yang cukup panjang juga\n"))
            .collect();
        let found = cut(&format!(
            "## Langkah\nLangkahnya:\n\n{items}\nSetelah itu selesai."
        ));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text.lines().count(), 13);
        assert_eq!(found[1].text, "Setelah itu selesai.");
    }

    #[test]
    fn rows_are_kept_whole() {
        let row = |number: usize| Block::Row(format!("- No: {number}; Nama: {}", "x".repeat(150)));
        let document = |blocks| Document {
            sections: vec![Section {
                heading: None,
                blocks,
            }],
            ..Document::from_markdown("uji", "")
        };
        let found = chunks(&document((1..=5).map(row).collect()));
        let lines: Vec<usize> = found
            .iter()
            .map(|chunk| chunk.text.lines().count())
            .collect();
        assert_eq!(lines, [2, 2, 1]);
        let long = Block::Row(format!(
            "- {}",
            "Kolom: nilai sel; ".repeat(300).trim_end_matches("; ")
        ));
        let found = chunks(&document(vec![long]));
        assert!(found.len() > 1);
        assert!(
            found[1..]
                .iter()
                .all(|chunk| chunk.text.starts_with("Kolom: "))
        );
    }

    #[test]
    fn endless_text_is_cut() {
        let found = cut(&"kata ".repeat(10_000));
        assert!(
            found
                .iter()
                .all(|chunk| chunk.text.chars().count() <= MAX_CHARS)
        );
        assert!(cut(&"é".repeat(9_000)).len() >= 4);
        assert!(cut("").is_empty());
    }
}
