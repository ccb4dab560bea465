//! The grammar of citation marks.
//!
//! `[1]`, `[1][2]`, `[1, 3]`, `[1-3]`, `[[1]]`, `([1])`, `【1†sumber】`, `[^1]`, `[Dokumen 1]`, `[1, hlm. 4]` and
//! `[1](https://…)` are marks. `(1)` is an item of a list, and `[2024]`, `[catatan]` and `[1.5]` are text.
//!
//! A mark is read from its first character on. A verdict other than [`Verdict::Open`] holds whatever comes next, so
//! that it does not depend on how a stream is cut into pieces.

use std::ops::RangeInclusive;

/// Whether text may follow the end of what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    MayCome,
    IsOver,
}

/// What stands at the start of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Mark {
        numbers: Vec<RangeInclusive<u32>>,
        /// In bytes.
        length: usize,
    },
    Text,
    /// The next characters decide.
    Open,
}

/// Characters that a mark, or a run of marks, can begin with.
pub fn may_begin(c: char) -> bool {
    c == '(' || closing(c).is_some()
}

/// Reads the mark at the start of `text`.
pub fn read(text: &str, more: More) -> Verdict {
    let mut cursor = Cursor { text, at: 0, more };
    match cursor.group() {
        Ok(numbers) => Verdict::Mark {
            numbers,
            length: cursor.at,
        },
        Err(Stop::NotAMark) => Verdict::Text,
        Err(Stop::Unfinished) => Verdict::Open,
    }
}

/// What may stand before a number; it says nothing that the number does not.
const LABELS: &[&str] = &[
    "dokumen",
    "dok",
    "document",
    "documents",
    "doc",
    "sumber",
    "source",
    "sources",
    "kutipan",
    "passage",
    "passages",
    "bagian",
    "referensi",
    "reference",
    "ref",
    "nomor",
    "no",
    "dan",
    "and",
];

/// What stands before a number of a page, which is no passage.
const PAGES: &[&str] = &["halaman", "hlm", "hal", "page", "pages", "pp", "p"];

/// Longer brackets are text.
const MAX_BRACKET_CHARS: usize = 48;

/// Longer addresses after a mark are left as text.
const MAX_TARGET_CHARS: usize = 300;

/// Brackets in one run; the next begins another.
const MAX_BRACKETS: usize = 10;

const MAX_DIGITS: usize = 3;
const MAX_SPACES: usize = 3;

type Numbers = Vec<RangeInclusive<u32>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotAMark,
    Unfinished,
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    more: More,
}

impl Cursor<'_> {
    fn group(&mut self) -> Result<Numbers, Stop> {
        if !self.eats(|c| c == '(')? {
            return self.brackets();
        }
        self.spaces()?;
        let numbers = self.brackets()?;
        self.spaces()?;
        self.expects(')')?;
        Ok(numbers)
    }

    fn brackets(&mut self) -> Result<Numbers, Stop> {
        let mut numbers = self.bracket()?;
        for _ in 1..MAX_BRACKETS {
            match self.optionally(Self::next_bracket)? {
                Some(more) => numbers.extend(more),
                None => break,
            }
        }
        Ok(numbers)
    }

    fn next_bracket(&mut self) -> Result<Numbers, Stop> {
        self.spaces()?;
        self.eats(|c| ",;".contains(c))?;
        self.spaces()?;
        self.bracket()
    }

    fn bracket(&mut self) -> Result<Numbers, Stop> {
        let start = self.at;
        let close = closing(self.peek()?).ok_or(Stop::NotAMark)?;
        self.advance();
        let doubled = self.eats(|c| closing(c) == Some(close))?;
        self.eats(|c| c == '^')?;
        let numbers = self.inside(start, close)?;
        self.expects(close)?;
        if doubled {
            self.expects(close)?;
        }
        self.optionally(Self::target)?;
        Ok(numbers)
    }

    fn inside(&mut self, start: usize, close: char) -> Result<Numbers, Stop> {
        let mut numbers = Vec::new();
        self.spaces()?;
        loop {
            numbers.extend(self.item()?);
            self.spaces()?;
            if self.at - start > MAX_BRACKET_CHARS {
                return Err(Stop::NotAMark);
            }
            match self.peek()? {
                c if c == close => return Ok(numbers),
                '†' => return self.comment(close).map(|()| numbers),
                ',' | ';' | '&' | '/' | '+' => self.advance(),
                c if c.is_alphanumeric() => {}
                _ => return Err(Stop::NotAMark),
            }
            self.spaces()?;
        }
    }

    /// A number or a range; nothing for a page.
    fn item(&mut self) -> Result<Option<RangeInclusive<u32>>, Stop> {
        let mut page = false;
        while self.peek()?.is_alphabetic() {
            page |= self.label()?;
            self.eats(|c| c == '.')?;
            self.spaces()?;
        }
        self.eats(|c| c == '#')?;
        let first = self.number()?;
        let last = self.optionally(Self::range_end)?.unwrap_or(first);
        Ok((!page).then(|| first.min(last)..=first.max(last)))
    }

    fn range_end(&mut self) -> Result<u32, Stop> {
        self.spaces()?;
        if !self.eats(|c| "-–—‐‑".contains(c))? {
            return Err(Stop::NotAMark);
        }
        self.spaces()?;
        self.number()
    }

    /// Takes a word, and says whether it announces a page.
    fn label(&mut self) -> Result<bool, Stop> {
        let mut word = String::new();
        loop {
            match self.peek() {
                Ok(c) if c.is_alphabetic() => {
                    word.extend(c.to_lowercase());
                    self.advance();
                }
                Ok(_) => break,
                Err(stop) => {
                    return Err(if begins_label(&word) {
                        stop
                    } else {
                        Stop::NotAMark
                    });
                }
            }
            if !begins_label(&word) {
                return Err(Stop::NotAMark);
            }
        }
        let page = PAGES.contains(&word.as_str());
        if page || LABELS.contains(&word.as_str()) {
            Ok(page)
        } else {
            Err(Stop::NotAMark)
        }
    }

    fn number(&mut self) -> Result<u32, Stop> {
        let mut number = 0;
        let mut digits = 0;
        loop {
            match (self.peek()?.to_digit(10), digits) {
                (Some(_), MAX_DIGITS) | (None, 0) => return Err(Stop::NotAMark),
                (Some(digit), _) => number = number * 10 + digit,
                (None, _) => return Ok(number),
            }
            digits += 1;
            self.advance();
        }
    }

    fn comment(&mut self, close: char) -> Result<(), Stop> {
        for _ in 0..MAX_BRACKET_CHARS {
            if self.peek()? == close {
                return Ok(());
            }
            self.advance();
        }
        Err(Stop::NotAMark)
    }

    /// The address of a mark that is a link.
    fn target(&mut self) -> Result<(), Stop> {
        "(http".chars().try_for_each(|c| self.expects(c))?;
        for _ in 0..MAX_TARGET_CHARS {
            match self.peek()? {
                ')' => {
                    self.advance();
                    return Ok(());
                }
                c if c.is_whitespace() => return Err(Stop::NotAMark),
                _ => self.advance(),
            }
        }
        Err(Stop::NotAMark)
    }

    fn spaces(&mut self) -> Result<(), Stop> {
        for _ in 0..MAX_SPACES {
            if !self.eats(|c| c == ' ' || c == '\u{a0}')? {
                break;
            }
        }
        Ok(())
    }

    fn expects(&mut self, wanted: char) -> Result<(), Stop> {
        if self.eats(|c| c == wanted)? {
            Ok(())
        } else {
            Err(Stop::NotAMark)
        }
    }

    fn eats(&mut self, fits: impl Fn(char) -> bool) -> Result<bool, Stop> {
        let found = fits(self.peek()?);
        if found {
            self.advance();
        }
        Ok(found)
    }

    /// Stays where it was when it does not fit.
    fn optionally<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        let before = self.at;
        match read(self) {
            Ok(found) => Ok(Some(found)),
            Err(Stop::NotAMark) => {
                self.at = before;
                Ok(None)
            }
            Err(Stop::Unfinished) => Err(Stop::Unfinished),
        }
    }

    fn peek(&self) -> Result<char, Stop> {
        self.text[self.at..].chars().next().ok_or(match self.more {
            More::MayCome => Stop::Unfinished,
            More::IsOver => Stop::NotAMark,
        })
    }

    fn advance(&mut self) {
        let next = self.text[self.at..].chars().next();
        self.at += next.map_or(0, char::len_utf8);
    }
}

fn closing(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '【' => Some('】'),
        '［' => Some('］'),
        _ => None,
    }
}

fn begins_label(word: &str) -> bool {
    let mut labels = LABELS.iter().chain(PAGES);
    labels.any(|label| label.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_from_other_brackets() {
        for (text, expected) in [
            ("[1]", Some((&[1..=1][..], 3))),
            ("[1].", Some((&[1..=1], 3))),
            ("[1][2] ya", Some((&[1..=1, 2..=2], 6))),
            ("[1], [2], ya", Some((&[1..=1, 2..=2], 8))),
            ("[1, 3]", Some((&[1..=1, 3..=3], 6))),
            ("[1 dan 3]", Some((&[1..=1, 3..=3], 9))),
            ("[3–1]", Some((&[1..=3], 7))),
            ("[ 1 - 3 ]", Some((&[1..=3], 9))),
            ("【1】", Some((&[1..=1], 7))),
            ("【4†sumber】", Some((&[4..=4], 16))),
            ("[^1]", Some((&[1..=1], 4))),
            ("[[12]]", Some((&[12..=12], 6))),
            ("([1], [2])", Some((&[1..=1, 2..=2], 10))),
            ("[Dokumen 1]", Some((&[1..=1], 11))),
            ("[dok. #2, Sumber 3]", Some((&[2..=2, 3..=3], 19))),
            ("[1, hlm. 4]", Some((&[1..=1], 11))),
            ("[1](https://itb.ac.id/a) ya", Some((&[1..=1], 24))),
            ("[1](lihat)", Some((&[1..=1], 3))),
            ("[999]", Some((&[999..=999], 5))),
            ("[2024]", None),
            ("[1.5]", None),
            ("[]", None),
            ("[ ] tugas", None),
            ("[catatan]", None),
            ("[x1]", None),
            ("(1)", None),
            ("(lihat)", None),
            ("([1] dan", None),
            ("[1", None),
            ("[", None),
            ("[Dokumen", None),
        ] {
            let expected = expected.map_or(Verdict::Text, |(numbers, length)| Verdict::Mark {
                numbers: numbers.to_vec(),
                length,
            });
            assert_eq!(read(text, More::IsOver), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_decided_yet_stays_open_and_nothing_else_does() {
        for text in [
            "[", "[1", "[1]", "[1,", "[Dok", "[^", "【", "(", "([1]", "[1](ht", "[1], [",
        ] {
            assert_eq!(read(text, More::MayCome), Verdict::Open, "{text}");
        }
        for text in ["[x", "(a", "[Dox", "[1234", "[1.", "(1", "[ ]"] {
            assert_eq!(read(text, More::MayCome), Verdict::Text, "{text}");
        }
    }
}
