//! Runs of packets in a fragmented MP4 that claim more packets than the file can hold.
//!
//! A run (`trun`; ISO/IEC 14496-12, 8.8.8) says how many packets it has. Where no table of them follows, nothing bounds
//! that number, and the reader counts up to it before it gives the next packet: four bytes cost a dozen seconds of a
//! processor within one call, where no bound on packets or on sound can end it.

use std::borrow::Cow;

const RUN: [u8; 4] = *b"trun";

/// Flags of a run, one for each column that its table can have. A table ends with the run, and the count with it.
const TABLE: u32 = 0xf00;

/// The file with no more packets in such runs than it has bytes, since a packet with sound takes one at least; and
/// whether there were more. A run that claims more is left without packets: those after it may be whole.
pub(super) fn tidy(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let mut file = Cow::Borrowed(bytes);
    let mut left = bytes.len() as u64;
    for (at, packets) in runs(bytes) {
        match left.checked_sub(packets) {
            Some(rest) => left = rest,
            None => file.to_mut()[at..at + 4].fill(0),
        }
    }
    let claimed_more = matches!(file, Cow::Owned(_));
    (file, claimed_more)
}

/// Where each run without a table says how many packets it has, and how many. Runs are looked for by their name alone:
/// where one is damaged, the boxes around it may be as well, and the reader goes wherever those lead.
fn runs(bytes: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    let windows = bytes.windows(4).enumerate();
    let names = windows.filter(|(_, name)| *name == RUN);
    names.filter_map(move |(at, _)| {
        // A size of 1 stands for one of eight bytes after the name.
        let long = bytes[..at].ends_with(&[0, 0, 0, 1]);
        let flags = at + if long { 12 } else { 4 };
        let packets = u64::from(number(bytes, flags + 4)?);
        (number(bytes, flags)? & TABLE == 0).then_some((flags + 4, packets))
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(flags: u32, packets: u32) -> Vec<u8> {
        let (flags, packets) = (flags.to_be_bytes(), packets.to_be_bytes());
        [&[0, 0, 0, 16][..], &RUN, &flags, &packets].concat()
    }

    /// A file of a hundred bytes.
    fn file(runs: &[Vec<u8>]) -> Vec<u8> {
        let mut file = runs.concat();
        file.resize(100, 7);
        file
    }

    #[test]
    fn a_run_keeps_the_packets_that_the_file_has_room_for() {
        let cases = [
            ("as many as bytes", 1, 100, 100),
            ("one more", 1, 101, 0),
            ("as many as can be said", 0, u32::MAX, 0),
            ("a table of sizes", 0x201, u32::MAX, u32::MAX),
        ];
        for (name, flags, claimed, kept) in cases {
            let bytes = file(&[run(flags, claimed)]);
            let (tidied, more) = tidy(&bytes);
            assert_eq!(*tidied, file(&[run(flags, kept)]), "{name}");
            assert_eq!(more, kept != claimed, "{name}");
        }
    }

    #[test]
    fn all_runs_share_the_bytes_and_a_wrong_one_takes_none() {
        let bytes = file(&[run(1, 60), run(1, 101), run(1, 40), run(1, 1)]);
        let expected = file(&[run(1, 60), run(1, 0), run(1, 40), run(1, 0)]);
        assert_eq!(*tidy(&bytes).0, expected);
    }

    #[test]
    fn a_run_with_a_long_size_is_known_and_one_that_is_cut_is_no_panic() {
        let long = |packets: u32| {
            let size = 24_u64.to_be_bytes();
            let packets = packets.to_be_bytes();
            [&[0, 0, 0, 1][..], &RUN, &size, &[0; 4], &packets].concat()
        };
        let bytes = long(u32::MAX);
        assert_eq!(*tidy(&bytes).0, long(0));
        for length in 0..bytes.len() {
            assert!(!tidy(&bytes[..length]).1, "{length} bytes");
        }
    }
}
