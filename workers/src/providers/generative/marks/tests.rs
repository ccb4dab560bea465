mod fuzz;

use common::testing::growth::{MARKS, assert_linear, pieces};

use super::*;

const REFUSAL: &str = "Maaf, tidak ada.";
const LIMIT: usize = 4_000;

fn fence() -> Fence {
    Fence::numbered(7)
}

/// The deltas of a reply that comes in `pieces`, and what was made of it.
fn read(pieces: &[&str], limit: usize) -> (Vec<String>, String, Vec<Lean>, State) {
    let fence = fence();
    let mut reader = Reader::new(Rules {
        fence: &fence,
        passages: 3,
        limit,
        refusal: REFUSAL,
    });
    let mut deltas: Vec<String> = pieces
        .iter()
        .map(|piece| reader.push(piece).to_owned())
        .collect();
    deltas.push(reader.finish().to_owned());
    let state = reader.state();
    let (text, leans) = reader.into_parts();
    (deltas, text, leans, state)
}

fn whole(reply: &str) -> (String, Vec<(usize, Vec<usize>)>) {
    let (_, text, leans, _) = read(&[reply], LIMIT);
    let leans = leans.into_iter().map(|lean| (lean.at, lean.passages));
    (text, leans.collect())
}

#[test]
fn marks_are_taken_out_with_the_space_before_them() {
    for (reply, text, leans) in [
        ("ITB [1].", "ITB.", vec![(3, vec![0])]),
        ("ITB.[1] Lalu", "ITB. Lalu", vec![(4, vec![0])]),
        ("ITB. [1] Lalu", "ITB. Lalu", vec![(4, vec![0])]),
        ("ITB.[1]Lalu", "ITB. Lalu", vec![(4, vec![0])]),
        ("ITB [1] .", "ITB.", vec![(3, vec![0])]),
        ("ITB [1](lihat) ya", "ITB (lihat) ya", vec![(3, vec![0])]),
        ("ITB [1][2].", "ITB.", vec![(3, vec![0, 1])]),
        ("ITB [1] [2].", "ITB.", vec![(3, vec![0, 1])]),
        ("ITB [1], [3].", "ITB.", vec![(3, vec![0, 2])]),
        ("ITB [1, 3].", "ITB.", vec![(3, vec![0, 2])]),
        ("ITB [1-3].", "ITB.", vec![(3, vec![0, 1, 2])]),
        ("ITB【2】", "ITB", vec![(3, vec![1])]),
        ("ITB ([1]).", "ITB.", vec![(3, vec![0])]),
        ("ITB [9].", "ITB.", vec![]),
        ("ITB [0].", "ITB.", vec![]),
        ("[1] ITB itu", "ITB itu", vec![(0, vec![0])]),
        (
            "Satu.[1]\n\nDua. [2]\n",
            "Satu.\n\nDua.",
            vec![(5, vec![0]), (11, vec![1])],
        ),
        ("ITB (1) dan [catatan]", "ITB (1) dan [catatan]", vec![]),
        ("tahun [2024] ini [", "tahun [2024] ini [", vec![]),
        ("terpotong [1", "terpotong", vec![]),
        ("  ITB  ya\t\u{0}", "ITB ya", vec![]),
        ("", "", vec![]),
        (" [1] ", "", vec![(0, vec![0])]),
    ] {
        assert_eq!(whole(reply), (text.to_owned(), leans), "{reply}");
    }
}

#[test]
fn simple_markdown_and_what_leaks_of_the_prompt_are_taken_out() {
    for (reply, text) in [
        ("**ITB** itu `kampus` *besar*", "ITB itu kampus besar"),
        ("# Judul\n\n## Dua\nIsi #3", "Judul\n\nDua\nIsi #3"),
        ("* satu\n* dua **[1]**", "- satu\n- dua"),
        ("2*3 dan 2 * 3", "2*3 dan 2 * 3"),
        ("***tebal***", "tebal"),
        ("ITB</kutipan-zq0000000000000007> ya", "ITB ya"),
        ("<kutipan-zq0000000000000007 nomor=\"1\">\nITB", "ITB"),
        ("kode zq0000000000000007 itu", "kode itu"),
        ("ITB <kutipan-zq0000000000000007 no", "ITB"),
        ("IPK < 3 dan zona", "IPK < 3 dan zona"),
    ] {
        assert_eq!(whole(reply).0, text, "{reply}");
    }
}

#[test]
fn the_marker_refuses_unless_something_was_proven_before() {
    for (reply, text, state) in [
        ("NIRJAWAB", REFUSAL, State::Refused),
        (" **nirjawab**. Maaf ya.", REFUSAL, State::Refused),
        ("\"NIRJAWAB\"", REFUSAL, State::Refused),
        ("[1] NIRJAWAB", REFUSAL, State::Refused),
        ("Hm. NIRJAWAB. Ya", "Hm. Maaf, tidak ada.", State::Refused),
        ("Maaf, NIRJAWAB", "Maaf, tidak ada.", State::Refused),
        ("Itu 5 [1]. NIRJAWAB. Ya", "Itu 5. Ya", State::Writing),
        ("Nilai akhir", "Nilai akhir", State::Writing),
        ("NIRJAWA", "NIRJAWA", State::Writing),
    ] {
        let (_, found, _, found_state) = read(&[reply], LIMIT);
        assert_eq!((found.as_str(), found_state), (text, state), "{reply}");
    }
}

#[test]
fn text_passes_at_once_unless_it_may_be_a_mark_or_the_marker() {
    for (pieces, deltas) in [
        (
            &["ITB", " adalah", " kampus", "."][..],
            &["ITB", " adalah", " kampus", "."][..],
        ),
        (&["Nama", " saya"], &["Nama", " saya"]),
        (&["N", "ama"], &["", "Nama"]),
        (&["ITB ", "[", "1", "]", "."], &["ITB", "", "", "", "."]),
        (&["ITB [", "a]"], &["ITB", " [a]"]),
        (&["NIR", "JAWAB", " maaf"], &["", REFUSAL, ""]),
        (&["ITB <", "b>"], &["ITB", " <b>"]),
        (&["ITB (", "1)"], &["ITB", " (1)"]),
        (&["ITB [1", "](https://a", ".id) ya"], &["ITB", "", " ya"]),
    ] {
        let (found, ..) = read(pieces, LIMIT);
        assert_eq!(found[..deltas.len()], *deltas, "{pieces:?}");
    }
}

#[test]
fn a_long_answer_ends_with_a_sentence_and_is_never_longer_than_the_limit() {
    let sentence = "Ini satu kalimat yang ada. [1] ";
    let (_, text, leans, state) = read(&[&sentence.repeat(30)], 200);
    assert_eq!(state, State::Full);
    assert!(
        text.ends_with("ada.") && text.chars().count() <= 200,
        "{text}"
    );
    assert_eq!(leans.last().map(|lean| lean.at), Some(text.len()));
    let (_, text, _, state) = read(&["kata tanpa akhir ".repeat(30).as_str()], 200);
    assert_eq!((text.chars().count(), state), (200, State::Full));
    assert!(text.ends_with('…'));
    let (_, _, _, state) = read(&[" [1]".repeat(30_000).as_str()], 200);
    assert_eq!(state, State::Full);
}

#[test]
fn a_model_that_goes_on_after_its_refusal_is_stopped() {
    let fence = fence();
    let mut reader = Reader::new(Rules {
        fence: &fence,
        passages: 3,
        limit: LIMIT,
        refusal: REFUSAL,
    });
    assert_eq!(reader.push("NIRJAWAB"), REFUSAL);
    assert_eq!(reader.push(". Maaf."), "");
    assert!(!reader.is_done());
    reader.push(&"x".repeat(MAX_CHATTER_BYTES));
    assert!(reader.is_done());
}

/// Also where a prompt asks for much longer answers than are usual.
#[test]
fn a_reply_is_read_in_linear_time() {
    assert_linear("reply", MARKS, |text| {
        read(&[text], text.len());
    });
    assert_linear("reply as it comes", MARKS, |text| {
        let pieces: Vec<&str> = pieces(text).collect();
        read(&pieces, text.len());
    });
    assert_linear("passage in a prompt", MARKS, |text| {
        fence::harmless(text);
    });
}
