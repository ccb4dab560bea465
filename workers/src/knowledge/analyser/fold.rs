//! One spelling for what looks the same: compatibility characters, accents, case.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case without accents and compatibility forms: `𝐈𝐓𝐁` and `ITB`, `ﬁ` and `fi`, `é` and `e` become one.
///
/// PDF text carries mathematical letters and ligatures; without this they are words that nobody can search for.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd()
        .filter(|character| !is_combining_mark(*character) && !is_invisible(*character))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Soft hyphens, joiners and byte-order marks: they stand inside words and mean nothing to a search.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_fold_to_the_same_text() {
        for (text, folded) in [
            ("ITB", "itb"),
            ("𝐈𝐓𝐁", "itb"),
            ("Ｋｕｌｉａｈ", "kuliah"),
            ("klasiﬁkasi", "klasifikasi"),
            ("Café", "cafe"),
            ("maha\u{00ad}siswa", "mahasiswa"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }
}
