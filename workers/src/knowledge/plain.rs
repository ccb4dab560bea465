//! Passages as a turn may hold them. Whoever writes a document decides what it
//! says and not what a client does with it: it is text, nothing in it is hidden,
//! and it links to pages alone.
//!
//! Done here and not where something is quoted: a quote stands in its passage
//! letter by letter.

use std::borrow::Cow;

use common::web_address::{is_invisible, is_shown};

use super::{DocumentRef, Passage};

/// Of a title or a heading; longer ones are texts by mistake.
const LONGEST_TITLE: usize = 300;

impl Passage {
    #[must_use]
    pub fn plain(self) -> Self {
        let DocumentRef { id, title, url } = self.document;
        Self {
            document: DocumentRef {
                id,
                title: one_line(&title),
                url: url.filter(|url| is_shown(url)),
            },
            heading: self.heading.as_deref().map(one_line),
            text: match without_hidden(&self.text) {
                Cow::Borrowed(_) => self.text,
                Cow::Owned(text) => text,
            },
            ..self
        }
    }
}

fn one_line(text: &str) -> String {
    let text = without_hidden(text);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(LONGEST_TITLE).collect()
}

/// Without control characters, but for white space.
fn without_hidden(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| is_invisible(c) || (c.is_control() && !c.is_whitespace());
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_hidden, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(title: &str, url: &str, text: &str) -> Passage {
        Passage {
            id: "a".into(),
            document: DocumentRef {
                id: "b".into(),
                title: title.into(),
                url: Some(url.into()),
            },
            heading: Some(title.into()),
            page: None,
            text: text.into(),
            score: 1.0,
        }
    }

    #[test]
    fn what_is_hidden_goes_and_what_is_text_stays() {
        let markup = "<img src=x onerror=alert(1)> & [a](javascript:b)";
        for (title, expected) in [
            (markup, markup),
            ("Biaya\r\n kuliah\t2024", "Biaya kuliah 2024"),
            ("Biaya\u{202e}2024\u{202c}", "Biaya2024"),
            ("\u{2066}Biaya\u{2069}\u{7}\u{1b}[31m", "Biaya[31m"),
            ("Biaya \u{0}\u{9f}", "Biaya"),
            ("日本 – “Asrama” 🏴", "日本 – “Asrama” 🏴"),
        ] {
            let plain = passage(title, "https://contoh.id/", "a").plain();
            assert_eq!(plain.document.title, expected, "{title:?}");
            assert_eq!(plain.heading.as_deref(), Some(expected), "{title:?}");
        }
        let long = passage(&"a".repeat(10_000), "", "a").plain();
        assert_eq!(long.document.title.len(), LONGEST_TITLE);
        for (text, expected) in [
            ("Satu.\n- dua\ttiga", "Satu.\n- dua\ttiga"),
            ("Sa\u{202e}tu\u{0}.\r\nDua", "Satu.\r\nDua"),
            (markup, markup),
        ] {
            let plain = passage("a", "", text).plain();
            assert_eq!(plain.text, expected, "{text:?}");
        }
    }

    #[test]
    fn only_addresses_of_pages_are_kept() {
        for (url, kept) in [
            ("https://contoh.id/a", true),
            ("javascript:alert(1)", false),
            ("file:///etc/passwd", false),
            ("https://a:b@contoh.id/", false),
        ] {
            let plain = passage("a", url, "a").plain();
            assert_eq!(plain.document.url.is_some(), kept, "{url}");
        }
    }
}
