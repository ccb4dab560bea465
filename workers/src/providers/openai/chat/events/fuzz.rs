//! Streams of a server that is broken, or not what it says.

use common::testing::fuzz::explore;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let written = prop::sample::select(vec![
        "data:",
        "data: ",
        "data",
        "event: error",
        "event:",
        "error: x",
        "id: 1",
        "retry: 1",
        ": comment",
        "\r",
        "\n",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "{\"a\":1}",
        "[DONE]",
        "\u{feff}",
        "é",
        "\0",
    ]);
    prop_oneof![
        9 => written.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..30),
    ]
}

fn read(pieces: &[&[u8]]) -> (Vec<Event>, Result<(), Overlong>) {
    let (mut events, mut found) = (Events::default(), Vec::new());
    let read = pieces
        .iter()
        .try_for_each(|piece| events.feed(piece, &mut found));
    let read = read.and_then(|()| events.finish(&mut found));
    (found, read)
}

#[test]
fn events_are_the_same_wherever_the_bytes_are_cut() {
    explore(
        &(vec(piece(), 0..40), vec(any::<Index>(), 0..12)),
        |(pieces, cuts)| {
            let bytes = pieces.concat();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.extend([0, bytes.len()]);
            ends.sort_unstable();
            let cut: Vec<&[u8]> = ends
                .windows(2)
                .map(|pair| &bytes[pair[0]..pair[1]])
                .collect();
            prop_assert_eq!(read(&cut), read(&[&bytes]));
            Ok(())
        },
    );
}
