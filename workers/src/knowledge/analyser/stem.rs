//! The stem of an Indonesian word.

use std::collections::HashMap;
use std::sync::LazyLock;

use tantivy_stemmers::algorithms::indonesian_tala;

/// Shorter words are roots, abbreviations or codes, which a stemmer only damages.
const MIN_CHARS: usize = 5;

/// Roots, and irregular forms with theirs.
static ROOTS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("../../../data/lexicon/roots.txt").lines();
    let words = lines
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    words
        .map(|word| word.split_once('=').unwrap_or((word, word)))
        .collect()
});

/// Endings, none first: the less is taken off, the surer the root.
const SUFFIXES: &[&str] = &[
    "", "nya", "ku", "mu", "lah", "kah", "pun", "kan", "an", "i", "kannya", "annya", "inya", "in",
];

/// Prefixes, each with the consonants that may have melted into it.
const PREFIXES: &[(&str, &[&str])] = &[
    ("", &[""]),
    ("di", &[""]),
    ("ter", &[""]),
    ("ber", &[""]),
    ("se", &[""]),
    ("ke", &[""]),
    ("keter", &[""]),
    ("per", &[""]),
    ("meny", &["s"]),
    ("peny", &["s"]),
    ("meng", &["", "k"]),
    ("peng", &["", "k"]),
    ("mem", &["", "p"]),
    ("pem", &["", "p"]),
    ("men", &["", "t"]),
    ("pen", &["", "t"]),
    ("me", &[""]),
    ("pe", &[""]),
    ("be", &[""]),
    ("te", &[""]),
    ("memper", &[""]),
    ("diper", &[""]),
    ("menge", &[""]),
    ("penge", &[""]),
];

/// The stem of a folded word: its listed root, or what the rules of Tala (2003) leave.
///
/// The rules need no dictionary and so do not always find the root a speaker would name; `mengirim` and `dikirim` would
/// come apart. The listed roots mend that for common words. It is enough that the forms of one word meet in one stem.
pub fn stem(word: &str) -> String {
    if word.len() < MIN_CHARS || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word.to_owned();
    }
    listed_root(word).map_or_else(|| indonesian_tala(word).into_owned(), str::to_owned)
}

fn listed_root(word: &str) -> Option<&'static str> {
    let mut candidate = String::with_capacity(word.len() + 1);
    for suffix in SUFFIXES {
        let Some(base) = word.strip_suffix(suffix) else {
            continue;
        };
        for (prefix, melted) in PREFIXES {
            let Some(rest) = base.strip_prefix(prefix).filter(|rest| rest.len() >= 3) else {
                continue;
            };
            for consonant in *melted {
                candidate.clear();
                candidate.push_str(consonant);
                candidate.push_str(rest);
                if let Some(root) = ROOTS.get(candidate.as_str()) {
                    return Some(root);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_word_meet_and_different_words_stay_apart() {
        for (forms, root) in [
            ("mengirim dikirim pengiriman kirimkan", "kirim"),
            ("menunggu ditunggu tunggu", "tunggu"),
            ("menilai dinilai penilaian nilainya", "nilai"),
            ("memulai dimulai mulai", "mulai"),
            ("mengembalikan dikembalikan pengembalian kembali", "kembali"),
            ("didirikan berdiri pendirian", "berdiri"),
            ("keterlambatan terlambat", "lambat"),
            ("membayar pembayaran dibayarkan", "bayar"),
            ("sks ukt s1 3.51", ""),
        ] {
            for form in forms.split(' ') {
                assert_eq!(
                    stem(form),
                    if root.is_empty() { form } else { root },
                    "{form}"
                );
            }
        }
        assert_ne!(stem("bermasalah"), stem("masa"));
        assert_ne!(stem("didirikan"), stem("diri"));
    }
}
