//! Text as an Indonesian synthesiser should get it.
//!
//! Written answers hold what a voice cannot say: citation marks, Markdown, web
//! addresses, sums of money, abbreviations. [`speakable`] writes them out in
//! words that eSpeak NG (voice `id`) pronounces as a speaker of Indonesian
//! would read them. Readings live in the tables in `speakable/data`.
//!
//! Deliberately absent: any understanding of the sentence. Where a form has two
//! readings (10.30 as a time or a number) the words next to it decide.

pub(crate) mod abbreviations;
mod cardinal;
mod clock;
mod dates;
mod fold;
mod markdown;
mod money;
mod numeral;
mod phone;
mod quantity;
mod reader;
mod roman;
mod spoken;
mod symbols;
mod web;
mod words;

/// Writes `text` out in words.
///
/// Takes any text. The result holds no line breaks, control characters, emoji
/// or digits of the ASCII range, and is at most sixteen times as long as the
/// text in bytes: the worst case are numbers of nines, prose hardly doubles.
/// Takes time in proportion to the length.
#[must_use]
pub fn speakable(text: &str) -> String {
    let folded = fold::fold(text);
    let prose = markdown::strip(&folded);
    reader::read(&prose)
}

#[cfg(test)]
mod tests;
