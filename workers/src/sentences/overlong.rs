//! Where to cut a sentence that is too long to wait for.

/// A voice needs about fifteen seconds for this; longer is too long to wait.
pub(super) const MAX_CHARS: usize = 240;
/// A piece shorter than this share of the text would sound chopped.
const SHORTEST: usize = 3;

/// The length in bytes to cut `text` at: after the last semicolon, else comma,
/// else space, else at the end.
pub(super) fn cut(text: &str) -> usize {
    let soonest = text.len() / SHORTEST;
    let last = |accepts: fn(char) -> bool| {
        let marks = text.char_indices().rev().filter(|(_, c)| accepts(*c));
        let ends = marks.map(|(index, c)| index + c.len_utf8());
        ends.take_while(|end| *end >= soonest)
            .find(|end| text[*end..].starts_with(char::is_whitespace))
    };
    last(|c| matches!(c, ';' | ':' | '—'))
        .or_else(|| last(|c| c == ','))
        .or_else(|| last(|c| !c.is_whitespace() && c != '.'))
        .or_else(|| last(|c| !c.is_whitespace()))
        .unwrap_or(text.len())
}
