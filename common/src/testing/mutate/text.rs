//! The anatomy of anything that is written in text: numbers, brackets, elements, lines and words.

use std::ops::Range;

use super::{Anatomy, Coding, Field, Part};

/// Brackets of one, two and many letters that hold what is between them.
const PAIRS: &[(&[u8], &[u8])] = &[
    (b"<<", b">>"),
    (b"[", b"]"),
    (b"{", b"}"),
    (b"(", b")"),
    (b"\"", b"\""),
    (b"obj", b"endobj"),
    (b"stream", b"endstream"),
    (b"BT", b"ET"),
    (b"q", b"Q"),
];

/// Bytes of a tag.
const LONGEST_TAG: usize = 1_000;

/// What is open at some place: by which token, and where that stands.
struct Open<'a> {
    closed_by: &'a [u8],
    at: usize,
    head: usize,
}

/// Pairs come first among the parts, then lines, then words: the first of them are changed more often.
pub fn walk(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    let (mut words, mut open) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < file.len() {
        let token = token(file, at);
        if is_number(&file[token.clone()]) {
            found
                .fields
                .push(Field::new(at, token.len(), Coding::Decimal));
        }
        pair(file, token.clone(), &mut open, &mut found.parts);
        words.push(Part::leaf(token.clone()));
        at = token.end;
    }
    let mut start = 0;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        found.parts.push(Part::leaf(start..start + line.len()));
        start += line.len();
    }
    found.parts.extend(words);
    found
}

/// The token that begins at a place: a tag, a word or number, a double bracket, or one byte.
fn token(file: &[u8], at: usize) -> Range<usize> {
    let rest = &file[at..];
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let length = match rest {
        [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!' | b'?', ..] => {
            let reach = &rest[..rest.len().min(LONGEST_TAG)];
            reach
                .iter()
                .position(|byte| *byte == b'>')
                .map_or(1, |end| end + 1)
        }
        [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
        [b'-', b'0'..=b'9', ..] => 1 + rest[1..].iter().take_while(|byte| is_word(byte)).count(),
        [byte, ..] if is_word(byte) => rest.iter().take_while(|byte| is_word(byte)).count(),
        _ => 1,
    };
    at..at + length
}

fn is_number(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// Opens what a token opens, or closes the innermost that it closes, together with all that is still open within.
fn pair<'a>(file: &'a [u8], token: Range<usize>, open: &mut Vec<Open<'a>>, parts: &mut Vec<Part>) {
    // Enough to look back for each token of a file that opens only.
    const DEEPEST: usize = 64;
    let text = &file[token.clone()];
    let name = closing_name(text).unwrap_or(text);
    let near = open.len().saturating_sub(DEEPEST);
    if let Some(place) = open[near..].iter().rposition(|open| open.closed_by == name) {
        let opened = &open[near + place];
        parts.push(Part {
            range: opened.at..token.end,
            head: opened.head,
            tail: token.len(),
            size: None,
        });
        open.truncate(near + place);
    } else if let Some(closed_by) = closed_by(text) {
        open.push(Open {
            closed_by,
            at: token.start,
            head: token.len(),
        });
    }
}

/// `name` of `</name>`.
fn closing_name(tag: &[u8]) -> Option<&[u8]> {
    tag.strip_prefix(b"</")?.strip_suffix(b">")
}

/// Elements are closed by a tag of their name.
fn closed_by(token: &[u8]) -> Option<&[u8]> {
    if let [b'<', rest @ .., b'>'] = token
        && rest.first().is_some_and(u8::is_ascii_alphabetic)
    {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.".contains(byte);
        let length = rest.iter().take_while(|byte| is_name(byte)).count();
        return (!rest.ends_with(b"/")).then_some(&rest[..length]);
    }
    let pair = PAIRS.iter().find(|(opening, _)| *opening == token)?;
    Some(pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_numbers_are_found() {
        let text = b"1 0 obj << /Kids [3 -14] >> endobj <w:p a='7'><b>x</b></w:p>";
        let found = walk(text);
        let numbers: Vec<i128> = found.fields.iter().map(|field| field.read(text)).collect();
        assert_eq!(numbers, [1, 0, 3, -14]);
        let held: Vec<_> = found.parts[..5]
            .iter()
            .map(|part| String::from_utf8_lossy(&text[part.content()]))
            .collect();
        let object = " << /Kids [3 -14] >> ";
        assert_eq!(held, ["3 -14", " /Kids [3 -14] ", object, "x", "<b>x</b>"]);
    }
}
