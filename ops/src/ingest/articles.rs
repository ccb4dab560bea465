//! The structure of text without marks: chapters, articles, clauses, lists and paragraphs, told by their lines.
//!
//! The names of the parts are those of Indonesian regulations (Law 12 of 2011, annex II): Bab, Bagian, Paragraf, Pasal
//! and ayat, in that order.

use workers::knowledge::markdown::Section;

use super::outline::Outline;

/// Characters of a line that can still be a heading.
const LONGEST_HEADING: usize = 120;

/// Bytes of a word that a line's end can part.
const LONGEST_WORD: usize = 200;

/// Words of a part's name.
const LONGEST_NAME: usize = 12;

const ORDINALS: &[&str] = &[
    "kesatu",
    "pertama",
    "kedua",
    "ketiga",
    "keempat",
    "kelima",
    "keenam",
    "ketujuh",
    "kedelapan",
    "kesembilan",
    "kesepuluh",
    "kesebelas",
];

/// Words that stay small in a name.
const SMALL_WORDS: &[&str] = &[
    "dan", "atau", "di", "ke", "dari", "yang", "untuk", "pada", "dengan", "dalam", "oleh", "bagi",
    "serta", "tentang", "of", "the", "and", "for", "in", "on", "to",
];

/// The sections of a whole text.
pub fn sections(text: &str) -> Vec<Section> {
    let mut reader = Articles::default();
    reader.lines(text.lines());
    reader.finish()
}

/// Reads lines, page by page.
#[derive(Default)]
pub struct Articles {
    outline: Outline,
    open: Option<Open>,
    /// A heading without a name was read last; the next line can be it.
    unnamed: bool,
    /// A line that is a heading unless the next one looks like it too, and its level.
    chapter: Option<(u8, String)>,
}

struct Open {
    text: String,
    item: bool,
}

impl Articles {
    pub fn lines<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        for line in lines {
            self.line(line.trim());
        }
    }

    /// What was read so far. The headings stay in force.
    pub fn take(&mut self) -> Vec<Section> {
        self.close();
        self.outline.take()
    }

    /// What is left when all has been read.
    pub fn finish(mut self) -> Vec<Section> {
        self.close();
        self.outline.finish()
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.close();
        }
        if let Some(heading) = heading(line) {
            self.close();
            self.outline.heading(heading.level, line);
            self.unnamed = !heading.named;
            return;
        }
        if self.unnamed && is_name(line) {
            self.outline.extend_heading(line);
            // A name in capitals can go on in the next line.
            self.unnamed = is_capitals(line);
            return;
        }
        self.unnamed = false;
        if self.open.is_none()
            && let Some(level) = chapter(line)
        {
            return self.chapter(level, line);
        }
        self.end_chapter();
        if let Some(mark) = mark(line) {
            self.close();
            let text = match mark {
                Mark::Bullet(text) => format!("- {text}"),
                Mark::Number | Mark::Clause => line.to_owned(),
            };
            let item = !matches!(mark, Mark::Clause);
            self.open = Some(Open { text, item });
            return;
        }
        match &mut self.open {
            Some(open) => append(&mut open.text, line),
            None => {
                self.open = Some(Open {
                    text: line.to_owned(),
                    item: false,
                });
            }
        }
    }

    /// Lines one after the other that look alike are rows of a table or names, unless they go deeper.
    fn chapter(&mut self, level: u8, line: &str) {
        match self.chapter.take() {
            Some((before, first)) if level <= before => {
                let text = format!("{first} {line}");
                self.open = Some(Open { text, item: false });
            }
            before => {
                self.chapter = before;
                self.end_chapter();
                self.chapter = Some((level, line.to_owned()));
            }
        }
    }

    fn end_chapter(&mut self) {
        if let Some((level, name)) = self.chapter.take() {
            self.outline.heading(level, &name);
        }
    }

    fn close(&mut self) {
        self.end_chapter();
        match self.open.take() {
            Some(Open { text, item: true }) => self.outline.item(&text),
            Some(Open { text, .. }) => self.outline.paragraph(&text),
            None => {}
        }
    }
}

/// The level of a part of a regulation, from 1, if a line is the heading of one.
pub fn level(line: &str) -> Option<u8> {
    heading(line).map(|heading| heading.level)
}

struct Heading {
    level: u8,
    named: bool,
}

fn heading(line: &str) -> Option<Heading> {
    if line.chars().count() > LONGEST_HEADING {
        return None;
    }
    let mut words = line.splitn(3, ' ');
    let (part, number) = (words.next()?, words.next()?);
    let name = words.next().unwrap_or("").trim();
    let number = number.trim_end_matches(['.', ':']);
    let level = match part.to_lowercase().as_str() {
        "bab" if is_roman(number) || is_number(number) => 1,
        "bagian" if ORDINALS.contains(&number.to_lowercase().as_str()) => 2,
        "paragraf" if is_number(number) || is_roman(number) => 3,
        "pasal" if is_number(number) || is_roman(number) => 4,
        "ayat" if is_number(number.trim_matches(['(', ')'])) => 5,
        _ => return None,
    };
    let starts_large = part.chars().next().is_some_and(char::is_uppercase);
    let named = !name.is_empty();
    (starts_large && (!named || is_name(name.trim_start_matches(['-', '–', ' ']))))
        .then_some(Heading { level, named })
}

fn is_roman(text: &str) -> bool {
    !text.is_empty() && text.len() <= 8 && text.chars().all(|digit| "IVXLC".contains(digit))
}

/// `12`, and `12A` of an article put in later.
fn is_number(text: &str) -> bool {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_uppercase());
    (1..=4).contains(&digits.len())
        && text.len() <= digits.len() + 1
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether a line can be the name of a part, and not the beginning of its text.
fn is_name(line: &str) -> bool {
    let starts_large = line.chars().next().is_some_and(char::is_uppercase);
    let ends_open = !line.ends_with(['.', ';', ':', ',', '?', '!']);
    let words: Vec<&str> = line.split_whitespace().collect();
    let large = |word: &&str| {
        let first = word.chars().find(|character| character.is_alphanumeric());
        first.is_none_or(|first| first.is_uppercase() || first.is_numeric())
            || SMALL_WORDS.contains(&word.to_lowercase().as_str())
    };
    starts_large && ends_open && words.len() <= LONGEST_NAME && words.iter().all(large)
}

fn is_capitals(line: &str) -> bool {
    let letters = line.chars().filter(|character| character.is_alphabetic());
    letters.clone().count() >= 4
        && line.chars().count() <= LONGEST_HEADING
        && letters.clone().all(char::is_uppercase)
        && !line.split_whitespace().next_back().is_some_and(is_amount)
}

/// A number that a name would not end with, as a year would: `STEI 31`, `UKT RP500.000`.
fn is_amount(word: &str) -> bool {
    let is_year = |part: &str| part.len() == 4 && part.starts_with(['1', '2']) && is_number(part);
    word.contains(|character: char| character.is_ascii_digit())
        && !word.split(['/', '-', '–']).all(is_year)
}

/// The level of a heading that names no part: in capitals, or counted like `2.5 Pendaftaran ulang`.
fn chapter(line: &str) -> Option<u8> {
    if is_capitals(line) && is_name(line) {
        return Some(2);
    }
    let (number, name) = line.split_once(' ')?;
    let numbers: Vec<&str> = number.trim_end_matches('.').split('.').collect();
    let counted = (2..=4).contains(&numbers.len())
        && numbers.iter().all(|number| {
            (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    let named = name.chars().next().is_some_and(char::is_uppercase)
        && name.chars().count() <= 80
        && !name.ends_with(['.', ';', ':', ',', '?', '!']);
    (counted && named).then_some(numbers.len() as u8)
}

enum Mark<'a> {
    Bullet(&'a str),
    /// `3. text`, `a. text`, `b) text`.
    Number,
    /// `(3) text`, which regulations call an ayat.
    Clause,
}

fn mark(line: &str) -> Option<Mark<'_>> {
    let (first, rest) = line.split_once(' ')?;
    if matches!(first, "-" | "*" | "•" | "◦" | "▪" | "●" | "" | "–") {
        return Some(Mark::Bullet(rest.trim_start()));
    }
    if let Some(inner) = first
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
    {
        return is_number(inner).then_some(Mark::Clause);
    }
    let label = first.strip_suffix(['.', ')'])?;
    let letter = label.len() == 1 && label.bytes().all(|byte| byte.is_ascii_lowercase());
    let number = label.len() <= 2 && label.bytes().all(|byte| byte.is_ascii_digit());
    (letter || (number && !label.is_empty())).then_some(Mark::Number)
}

/// Goes on with a line of the same paragraph, and joins a word that the end of the line parts.
fn append(text: &mut String, line: &str) {
    let small = line.chars().next().is_some_and(char::is_lowercase);
    let (before, after) = (last_word(text), first_word(line));
    let parted = text.ends_with('\u{ad}')
        || (text.ends_with('-') && small && !before.is_empty() && !is_doubled(before, after));
    if parted {
        text.pop();
    } else if !(text.ends_with('-') && small) {
        text.push(' ');
    }
    text.push_str(line);
}

/// Whether the hyphen is the word's own: `undang-undang`, `berubah-ubah`, `mahasiswa-mahasiswi`.
fn is_doubled(before: &str, after: &str) -> bool {
    let beginning: String = after.chars().take(3).collect();
    beginning.chars().count() == 3 && (before.starts_with(&beginning) || before.ends_with(after))
}

/// The end of it where it is longer than any word, so that the work for a line does not grow with the lines before it.
fn last_word(text: &str) -> &str {
    let text = &text[text.ceil_char_boundary(text.len().saturating_sub(LONGEST_WORD))..];
    let text = text.trim_end_matches('-');
    text.rsplit(|character: char| !character.is_alphabetic())
        .next()
        .unwrap_or("")
}

fn first_word(text: &str) -> &str {
    text.split(|character: char| !character.is_alphabetic())
        .next()
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_and_articles_become_headings() {
        let text = "PERATURAN REKTOR\nTENTANG CUTI\n\nBAB III\nKEMAHASISWAAN\nBagian Kedua\nCuti Akademik\n\nPasal 12\n\
                    (1) Mahasiswa dapat mengajukan cuti\nsesuai Pasal 5.\n(2) Syaratnya:\na. aktif; dan\nb. lunas.\n\
                    Pasal 13A\nCuti paling lama dua semester.\n";
        let found = sections(text);
        let seen: Vec<(Option<&str>, Vec<&str>)> = found
            .iter()
            .map(|section| {
                let blocks = section.blocks.iter().map(|block| block.text()).collect();
                (section.heading.as_deref(), blocks)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (None, vec!["PERATURAN REKTOR TENTANG CUTI"]),
                (
                    Some("BAB III KEMAHASISWAAN – Bagian Kedua Cuti Akademik – Pasal 12"),
                    vec![
                        "(1) Mahasiswa dapat mengajukan cuti sesuai Pasal 5.",
                        "(2) Syaratnya:",
                        "a. aktif; dan",
                        "b. lunas."
                    ]
                ),
                (
                    Some("BAB III KEMAHASISWAAN – Bagian Kedua Cuti Akademik – Pasal 13A"),
                    vec!["Cuti paling lama dua semester."]
                ),
            ]
        );
    }

    #[test]
    fn a_line_is_a_heading_only_as_a_whole() {
        for (line, is_heading) in [
            ("Pasal 12", true),
            ("Pasal 12 Cuti Akademik", true),
            ("BAB IV", true),
            ("Bab 4 Penutup", true),
            ("Bagian Kesatu", true),
            ("Pasal 12 ayat (2) berlaku untuk semua.", false),
            ("Pasal ini berlaku", false),
            ("pasal 12", false),
            ("Bagian akademik melayani", false),
            ("Bab yang lalu", false),
        ] {
            assert_eq!(heading(line).is_some(), is_heading, "{line}");
        }
    }

    #[test]
    fn capitals_and_counted_names_are_headings() {
        for (line, level) in [
            ("TATA CARA PENDAFTARAN", Some(2)),
            ("2.5 Pendaftaran ulang", Some(2)),
            ("2.5.1. Syarat", Some(3)),
            ("3.51 adalah IPK paling rendah", None),
            ("1. Mengisi formulir", None),
            ("08.30 Pembukaan acara.", None),
            ("UKT", None),
            ("FTSL 17", None),
            ("BIAYA ASRAMA RP500.000", None),
            ("KALENDER AKADEMIK 2025/2026", Some(2)),
        ] {
            assert_eq!(chapter(line), level, "{line}");
        }
    }

    #[test]
    fn lines_in_a_row_that_look_like_headings_are_text() {
        for (text, expected) in [
            (
                "FTSL 17\nFMIPA 23\nSTEI 31\nKuota tahun ini.",
                vec!["|FTSL 17 FMIPA 23 STEI 31 Kuota tahun ini."],
            ),
            ("FTSL\nFMIPA\nSTEI\nKuota.", vec!["|FTSL FMIPA STEI Kuota."]),
            (
                "2.1 Syarat\n2.2 Biaya\n\nIsi.",
                vec!["|2.1 Syarat 2.2 Biaya", "|Isi."],
            ),
            (
                "2.1 Syarat\n2.1.1 Biaya\nIsi.",
                vec!["2.1 Syarat – 2.1.1 Biaya|Isi."],
            ),
            (
                "SYARAT\n\nBIAYA\nIsi.\n\nPENUTUP",
                vec!["|SYARAT", "BIAYA|Isi.", "|PENUTUP"],
            ),
            (
                "Mengingat:\nPasal 12\nPasal 13\n",
                vec!["|Mengingat:", "|Pasal 12", "|Pasal 13"],
            ),
        ] {
            let found = sections(text);
            let seen: Vec<String> = found
                .iter()
                .flat_map(|section| {
                    let heading = section.heading.as_deref().unwrap_or("");
                    let blocks = section.blocks.iter();
                    blocks.map(move |block| format!("{heading}|{}", block.text()))
                })
                .collect();
            assert_eq!(seen, expected, "{text}");
        }
    }

    #[test]
    fn parted_words_are_joined_and_doubled_ones_keep_their_hyphen() {
        for (first, second, joined) in [
            ("pem-", "bayaran UKT", "pembayaran UKT"),
            ("undang-", "undang", "undang-undang"),
            ("berubah-", "ubah", "berubah-ubah"),
            ("mahasiswa-", "mahasiswi", "mahasiswa-mahasiswi"),
            ("Bandung -", "Jakarta", "Bandung - Jakarta"),
            ("satu", "dua", "satu dua"),
            ("pem\u{ad}", "bayaran", "pembayaran"),
        ] {
            let mut text = first.to_owned();
            append(&mut text, second);
            assert_eq!(text, joined);
        }
    }
}
