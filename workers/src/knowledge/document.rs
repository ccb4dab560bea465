//! A document as it is loaded, before it is cut into passages.

use super::DocumentRef;
use super::markdown::{self, Section};

/// A document and its text, one section per heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub reference: DocumentRef,
    /// The page that this text is from, where the source has pages.
    pub page: Option<u32>,
    pub sections: Vec<Section>,
}

impl Document {
    /// Reads Markdown with an optional front matter (`title`, `url`). Without a title there, the first `#` heading or
    /// the id stands in.
    pub fn from_markdown(id: &str, text: &str) -> Self {
        let (front_matter, body) = split_front_matter(text.trim_start_matches('\u{feff}'));
        let title = front_matter_value(front_matter, "title")
            .or_else(|| markdown::title(body))
            .unwrap_or_else(|| id.replace(['-', '_'], " "));
        let url = front_matter_value(front_matter, "url");
        let sections = markdown::sections_under(&title, body);
        Self {
            reference: DocumentRef {
                id: id.to_owned(),
                title,
                url,
            },
            page: None,
            sections,
        }
    }
}

/// The lines between a first line `---` and the next `---`, and what follows. Lines that name nothing are text between
/// two rules.
fn split_front_matter(text: &str) -> (&str, &str) {
    let Some(rest) = text
        .strip_prefix("---\n")
        .or_else(|| text.strip_prefix("---\r\n"))
    else {
        return ("", text);
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            if !is_front_matter(&rest[..at]) {
                break;
            }
            return (&rest[..at], &rest[at + line.len()..]);
        }
        at += line.len();
    }
    ("", text)
}

/// `key: value`, and lines that go on with the value of the key above.
fn is_front_matter(text: &str) -> bool {
    let is_key = |line: &str| {
        line.split_once(':').is_some_and(|(key, value)| {
            let plain =
                |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
            !key.is_empty()
                && key.chars().all(plain)
                && (value.is_empty() || value.starts_with(' '))
        })
    };
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    lines.next().is_none_or(is_key)
        && lines.all(|line| is_key(line) || line.starts_with([' ', '\t', '-', '#']))
}

fn front_matter_value(front_matter: &str, key: &str) -> Option<String> {
    let value = front_matter.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })?;
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let value = unquoted.unwrap_or(value).trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_gives_title_and_url() {
        let text = "---\ntitle: \"Cuti: akademik\"\nurl: https://contoh.id/a\ndate: 2024-01-02\n---\n## Syarat\nIsi.\n";
        let document = Document::from_markdown("cuti", text);
        assert_eq!(document.reference.title, "Cuti: akademik");
        assert_eq!(
            document.reference.url.as_deref(),
            Some("https://contoh.id/a")
        );
        assert_eq!(document.sections[0].heading.as_deref(), Some("Syarat"));
    }

    #[test]
    fn text_between_two_rules_is_no_front_matter() {
        let document = Document::from_markdown("a", "---\nKantor tutup besok.\n---\nIsi.");
        assert_eq!(document.sections[0].blocks[0].text(), "Kantor tutup besok.");
    }

    #[test]
    fn a_missing_title_is_taken_from_the_heading_or_the_name() {
        for (text, title) in [
            ("# Asrama\nIsi.", "Asrama"),
            ("Isi saja.", "biaya kuliah"),
            ("---\ntitle:\n---\nIsi.", "biaya kuliah"),
            ("---\ntitle: tak ditutup\nIsi.", "biaya kuliah"),
        ] {
            assert_eq!(
                Document::from_markdown("biaya-kuliah", text)
                    .reference
                    .title,
                title,
                "{text}"
            );
        }
    }
}
