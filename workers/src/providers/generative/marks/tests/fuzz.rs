//! Replies of a model that was told to misbehave.

use common::testing::fuzz::explore;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::providers::generative::mark;

/// Pieces of what is hard to cut.
fn shard() -> impl Strategy<Value = String> {
    let hard = prop::sample::select(vec![
        "[",
        "]",
        "1",
        "2",
        "12",
        "(",
        ")",
        ",",
        ";",
        "-",
        "^",
        "【",
        "】",
        "†",
        "Dokumen",
        "dan",
        "hlm.",
        " ",
        "  ",
        "\n",
        "*",
        "**",
        "#",
        "# ",
        "`",
        "<",
        ">",
        "</",
        "<kutipan-",
        "zq0000000000000007",
        "zq00",
        "NIR",
        "JAWAB",
        "NIRJAWAB",
        "n",
        "ITB",
        ".",
        "a",
        "A",
        "(https://a.id)",
        "(http",
        "[1]",
        "[1, 2]",
        "é",
        "…",
        "\"",
        "\u{0}",
    ]);
    prop_oneof![9 => hard.prop_map(str::to_owned), 1 => any::<String>()]
}

#[test]
fn the_pieces_of_a_reply_do_not_matter() {
    let limit = prop::sample::select(vec![LIMIT, 30]);
    let input = (vec(shard(), 0..40), vec(any::<Index>(), 0..12), limit);
    explore(&input, |(shards, cuts, limit)| {
        let reply = shards.concat();
        let end = |cut: &Index| reply.floor_char_boundary(cut.index(reply.len() + 1));
        let mut ends: Vec<usize> = cuts.iter().map(end).collect();
        ends.extend([0, reply.len()]);
        ends.sort_unstable();
        let pieces: Vec<&str> = ends
            .windows(2)
            .map(|pair| &reply[pair[0]..pair[1]])
            .collect();
        let (deltas, text, leans, state) = read(&pieces, limit);
        prop_assert_eq!(deltas.concat(), text.as_str());
        let (unsplit, unsplit_text, unsplit_leans, unsplit_state) = read(&[&reply], limit);
        prop_assert_eq!(unsplit.concat(), unsplit_text.as_str());
        prop_assert_eq!(
            (&text, &leans, state),
            (&unsplit_text, &unsplit_leans, unsplit_state)
        );
        prop_assert_eq!(text.trim(), text.as_str());
        let fence = fence();
        let name = fence.name();
        let number = name.split('-').next_back().unwrap_or_default();
        prop_assert!(!text.contains(number));
        if state != State::Refused {
            prop_assert!(text.chars().count() <= limit);
        }
        for lean in &leans {
            prop_assert!(text.is_char_boundary(lean.at));
            prop_assert!(lean.passages.iter().all(|passage| *passage < 3));
        }
        Ok(())
    });
}

/// What is decided of a beginning holds for the whole.
#[test]
fn a_mark_is_the_same_mark_whatever_comes_after_it() {
    explore(
        &(vec(shard(), 0..12), vec(shard(), 0..4)),
        |(begun, more)| {
            let begun = begun.concat();
            let whole = [begun.as_str(), more.concat().as_str()].concat();
            let early = mark::read(&begun, mark::More::MayCome);
            if early != mark::Verdict::Open {
                prop_assert_eq!(&mark::read(&whole, mark::More::MayCome), &early);
            }
            match mark::read(&whole, mark::More::IsOver) {
                mark::Verdict::Mark { length, .. } => {
                    prop_assert!(length > 0 && whole.is_char_boundary(length));
                }
                verdict => prop_assert_eq!(verdict, mark::Verdict::Text),
            }
            Ok(())
        },
    );
}
