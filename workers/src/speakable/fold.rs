//! Unicode reduced to what the voice knows.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Symbols beyond ASCII that are read out or that pause.
const KEPT: &str = "°±×÷≤≥≠≈–—€£¥§²³→•【】";

/// Folds compatibility forms (full width, mathematical letters, ligatures) and
/// accents to plain letters, and takes out control characters and emoji.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Compatibility decomposition would make "m2" and "51/2" of these.
            '²' | '³' => folded.push(c),
            '½' => folded.push_str(" setengah "),
            '¼' => folded.push_str(" seperempat "),
            '¾' => folded.push_str(" tiga perempat "),
            // It would put a combining mark of its own before these.
            '´' | '¨' | '¸' | '¯' => folded.push(' '),
            _ => folded.extend(std::iter::once(c).nfkd().filter_map(plain)),
        }
    }
    folded
}

fn plain(c: char) -> Option<char> {
    Some(match c {
        '\n' | '\u{2028}' | '\u{2029}' => '\n',
        c if is_invisible(c) || is_combining_mark(c) => return None,
        '‘' | '’' | 'ʼ' | '′' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐' | '‑' | '‒' | '−' => '-',
        '―' => '—',
        '⁄' | '∕' => '/',
        '·' | '●' | '▪' | '◦' | '‣' => '•',
        'ı' => 'i',
        'ø' => 'o',
        'Ø' => 'O',
        'ł' => 'l',
        'đ' => 'd',
        c if c.is_alphanumeric() || c.is_ascii_graphic() || KEPT.contains(c) => c,
        _ => ' ',
    })
}

/// Parts of a word or of an emoji that leave no gap.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_reduced_to_plain_letters() {
        let table = [
            ("café naïve", "cafe naive"),
            ("𝐈𝐓𝐁 ＩＴＢ ﬁ", "ITB ITB fi"),
            ("a\u{200b}b\u{ad}c\u{feff}", "abc"),
            ("halo 😀👩‍🎓!", "halo    !"),
            ("m² 8–14 25°C", "m² 8–14 25°C"),
            ("“ya” ‘ya’", "\"ya\" 'ya'"),
            ("a\u{0}b\tc\r\nd", "a b c \nd"),
            ("…", "..."),
        ];
        for (text, folded) in table {
            assert_eq!(fold(text), folded);
        }
    }
}
