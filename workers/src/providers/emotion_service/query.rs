//! The address of a question.

use reqwest::Url;

/// Bytes of the user's words in the address, as they are written there. Servers refuse long request lines, the strictest
/// in use (gunicorn) from 4,094 bytes on; the emotion of three minutes of speech shows in the first of them.
const LONGEST_TEXT: usize = 3_000;

/// `{base}/predict?text=…`, with a query that `base` has kept.
pub(super) fn address(base: &Url, text: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("predict");
    }
    url.query_pairs_mut().append_pair("text", beginning(text));
    url
}

/// As much of `text` as has a place, cut between words where there are any.
fn beginning(text: &str) -> &str {
    let text = text.trim();
    let mut written = 0;
    for (index, c) in text.char_indices() {
        written += width(c);
        if written > LONGEST_TEXT {
            let fits = &text[..index];
            return fits
                .rfind(char::is_whitespace)
                .map_or(fits, |end| fits[..end].trim_end());
        }
    }
    text
}

/// Bytes of `c` as a form writes it (WHATWG URL, application/x-www-form-urlencoded).
fn width(c: char) -> usize {
    match c {
        ' ' | '*' | '-' | '.' | '_' => 1,
        c if c.is_ascii_alphanumeric() => 1,
        c => 3 * c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_and_the_text_is_written_for_a_query() {
        for (base, expected) in [
            ("http://h", "http://h/predict?text=apa+%26+b%3F"),
            ("http://h/", "http://h/predict?text=apa+%26+b%3F"),
            ("http://h/v1/", "http://h/v1/predict?text=apa+%26+b%3F"),
            (
                "http://h/v1?k=1",
                "http://h/v1/predict?k=1&text=apa+%26+b%3F",
            ),
        ] {
            let url = address(&base.parse().unwrap(), " apa & b? ");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_fits() {
        let base: Url = "http://h".parse().unwrap();
        for word in ["marah ", "é ", "😡", "x"] {
            let text = word.repeat(5_000);
            let url = address(&base, &text);
            let written = url.query().unwrap().len() - "text=".len();
            assert!(
                (LONGEST_TEXT - 50..=LONGEST_TEXT).contains(&written),
                "{word}"
            );
            let (_, kept) = url.query_pairs().next().unwrap();
            assert!(text.starts_with(&*kept) && !kept.ends_with(' '), "{word}");
        }
    }
}
