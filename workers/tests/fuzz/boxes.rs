//! Containers of parts that state their lengths: RIFF, MP4 and Matroska.

use std::ops::Range;

use common::testing::mutate::{Anatomy, Coding, Field, Part, Table, number};

use Coding::{Big, Little, Prefixed};

/// Parts of one file; the rest is more of the same.
const MOST: usize = 2_000;

fn part(range: Range<usize>, head: usize, size: Option<Field>) -> Part {
    Part {
        range,
        head,
        tail: 0,
        size,
    }
}

/// WAV: chunks of a name, a length and a body that ends on an even byte (and `ds64` of RF64, EBU Tech 3306).
pub fn riff(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    found.numbers(0, &[4], Big);
    found.numbers(4, &[4], Little);
    found.numbers(8, &[4], Big);
    let size = Field::new(4, 4, Little);
    found.parts.push(part(0..file.len(), 12, Some(size)));
    let mut at = 12;
    while at + 8 <= file.len() && found.parts.len() < MOST {
        let size = Field::new(at + 4, 4, Little);
        let body = at + 8;
        let end = body.saturating_add(number(file, at + 4, 4, Little));
        found.numbers(at, &[4], Big);
        found.fields.push(size);
        let layout: &[usize] = match &file[at..at + 4] {
            b"fmt " => &[2, 2, 4, 4, 2, 2, 2, 2, 4, 2, 2, 4, 8],
            b"ds64" => &[8, 8, 8, 4, 4, 8],
            // A block of ADPCM begins with its first sample and a step.
            _ => &[2, 1, 1, 4, 4, 4],
        };
        found.numbers(body, layout, Little);
        let end = end.min(file.len());
        found.parts.push(part(at..end, 8, Some(size)));
        at = end + end % 2;
    }
    found
}

/// MP4: boxes of a length, a name and a body (ISO/IEC 14496-12).
pub fn mp4(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    boxes(file, 0..file.len(), &mut found);
    found
}

fn boxes(file: &[u8], range: Range<usize>, found: &mut Anatomy) {
    let mut at = range.start;
    while at.saturating_add(8) <= range.end && found.parts.len() < MOST {
        let size = Field::new(at, 4, Big);
        let end = match number(file, at, 4, Big) {
            0 => range.end,
            length => at.saturating_add(length.max(8)).min(range.end),
        };
        found.numbers(at, &[4, 4], Big);
        found.parts.push(part(at..end, 8, Some(size)));
        let body = at + 8..end;
        match &file[at + 4..at + 8] {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"edts" | b"mvex"
            | b"moof" | b"traf" | b"udta" | b"wave" => boxes(file, body, found),
            b"meta" => boxes(file, body.start + 4..end, found),
            b"stsd" => {
                table(
                    file,
                    &body,
                    4,
                    &[number(file, body.start + 8, 4, Big)],
                    found,
                );
                boxes(file, body.start + 8..end, found);
            }
            b"mp4a" | b"alac" | b"lpcm" | b"sowt" | b"twos" | b"fLaC" | b"Opus" => {
                sound_description(file, body, found);
            }
            b"stts" | b"ctts" | b"co64" => table(file, &body, 4, &[4, 4], found),
            b"stsc" | b"elst" => table(file, &body, 4, &[4, 4, 4], found),
            b"stco" | b"trun" | b"stss" | b"dref" => table(file, &body, 4, &[4], found),
            b"stsz" => table(file, &body, 8, &[4], found),
            b"esds" => found.numbers(body.start, &[1; 50], Big),
            b"mdat" => found.numbers(body.start, &[1; 8], Big),
            _ => found.numbers(body.start, &[4; 12], Big),
        }
        at = end;
    }
}

/// Numbers in front, then a count, then so many entries of these widths.
fn table(file: &[u8], body: &Range<usize>, before: usize, entry: &[usize], found: &mut Anatomy) {
    let count = Field::new(body.start + before, 4, Big);
    found.numbers(body.start, &[4; 3][..before / 4], Big);
    found.fields.push(count);
    let first = count.range().end;
    let length = entry
        .iter()
        .fold(0, |sum: usize, width| sum.saturating_add(*width));
    found.tables.push(Table {
        count,
        entry: first..first.saturating_add(length),
    });
    // Entries that are boxes are walked through as such.
    if entry.len() == 1 && length > 4 {
        return;
    }
    for at in 0..number(file, count.at, 4, Big).min(8) {
        found.numbers(first + at * length, entry, Big);
    }
}

/// Of three versions, each longer than the one before (QuickTime File Format Specification).
fn sound_description(file: &[u8], body: Range<usize>, found: &mut Anatomy) {
    found.numbers(body.start, &[4, 2, 2, 2, 2, 4, 2, 2, 2, 2, 4], Big);
    let more = match number(file, body.start + 8, 2, Big) {
        0 => 0,
        1 => 16,
        _ => 36,
    };
    found.numbers(body.start + 28, &[4; 9][..more / 4], Big);
    boxes(file, body.start + 28 + more..body.end, found);
}

/// Elements that hold others, by their ids (RFC 9559, section 5).
const HOLDERS: &[usize] = &[
    0x1a45_dfa3,
    0x1853_8067,
    0x114d_9b74,
    0x4dbb,
    0x1549_a966,
    0x1654_ae6b,
    0xae,
    0xe1,
    0x6d80,
    0x6240,
    0x5034,
    0x1f43_b675,
    0xa0,
    0x1c53_bb6b,
    0xbb,
    0xb7,
    0x1254_c367,
    0x7373,
    0x63c0,
    0x67c8,
];

/// Matroska and WebM: elements of an id, a length and a body (RFC 8794).
pub fn matroska(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    elements(file, 0..file.len(), &mut found);
    found
}

fn elements(file: &[u8], range: Range<usize>, found: &mut Anatomy) {
    let mut at = range.start;
    while at.saturating_add(2) <= range.end && found.parts.len() < MOST {
        let width = |at: usize| {
            file.get(at)
                .map_or(1, |first| first.leading_zeros() as usize + 1)
        };
        let id = Field::new(at, width(at).min(4), Big);
        let size = Field::new(id.range().end, width(id.range().end).min(8), Prefixed);
        let body = size.range().end;
        let length = number(file, size.at, size.width, Prefixed);
        // A length of ones alone is not known yet: up to the end.
        let end = body.saturating_add(length).min(range.end).max(body);
        found.fields.extend([id, size]);
        found.parts.push(part(at..end, body - at, Some(size)));
        let name = number(file, id.at, id.width, Big);
        match (name, end - body) {
            _ if HOLDERS.contains(&name) => elements(file, body..end, found),
            // A block: its track, its moment, how its packets lie in it.
            (0xa1 | 0xa3, _) => found.numbers(body, &[1, 2, 1, 1, 1, 1], Big),
            (_, length @ 1..=8) => found.numbers(body, &[length], Big),
            _ => found.numbers(body, &[1; 40], Big),
        }
        at = end;
    }
}
