//! Text as no model writes it.

use common::testing::fuzz::explore;
use proptest::{collection::vec, prelude::*};

use super::*;

/// Pieces of sentences, and what the ends of sentences are told by.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "Halo",
        "kata",
        "Prof.",
        "dll.",
        "No.",
        "10",
        "3,51",
        "08.00",
        "www.itb.ac.id",
        ".",
        "!",
        "?",
        "...",
        "[1]",
        "[1",
        "\"",
        ")",
        "(",
        " ",
        "  ",
        "         ",
        "\n",
        "\n\n",
        ", ",
        "; ",
        "B.",
        "S.T.",
        "é",
        "😀",
        "【2】",
        "[",
        "- ",
        "**",
        "Jl",
        "a.n.",
        "…",
        ":",
        "\u{301}",
        "\u{200d}",
        "\u{202e}",
        "\u{a0}",
        "\0",
        "panjangsekali",
    ]);
    let piece = prop_oneof![
        40 => piece.prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (any::<char>(), 1..400_usize).prop_map(|(c, times)| String::from(c).repeat(times)),
    ];
    vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

#[test]
fn nothing_is_lost_and_the_pieces_do_not_matter_however_a_text_comes() {
    explore(&(text(), vec(1_usize..9, 1..40)), |(text, cuts)| {
        let chars: Vec<char> = text.chars().collect();
        let mut deltas = Vec::new();
        let (mut start, mut cuts) = (0, cuts.iter().cycle());
        while start < chars.len() {
            let end = (start + cuts.next().copied().unwrap_or(1)).min(chars.len());
            deltas.push(chars[start..end].iter().collect::<String>());
            start = end;
        }
        let whole = spoken([text.as_str()]);
        prop_assert_eq!(&spoken(deltas.iter().map(String::as_str)), &whole);
        prop_assert_eq!(solid(&whole.concat()), solid(&text));
        prop_assert_eq!(solid(&split(&text).concat()), solid(&text));
        prop_assert!(whole.iter().all(|sentence| !sentence.is_empty()));
        Ok(())
    });
}

#[test]
fn any_text_at_all_survives() {
    explore(&any::<String>(), |text| {
        prop_assert_eq!(solid(&by_character(&text).concat()), solid(&text));
        prop_assert_eq!(by_character(&text), spoken([text.as_str()]));
        Ok(())
    });
}
