//! Files that are a row of frames after some headers: MP3, FLAC and Ogg.

use common::testing::mutate::{Anatomy, Coding, Field, Grammar, Members, Part, Table, number};
use workers::testing::forged;

use Coding::{Big, Little, Sevens};

/// Parts of one file; the rest is more of the same.
const MOST: usize = 2_000;

/// MP3: a tag (ID3v2), then frames, the first of which can hold a table of the others.
pub fn mp3(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    let mut start = 0;
    if file.starts_with(b"ID3") {
        let size = Field::new(6, 4, Sevens);
        start = number(file, 6, 4, Sevens) + 10;
        found.numbers(3, &[1, 1, 1], Big);
        found.fields.push(size);
        found.parts.push(sized(0, start, 10, size));
        let mut at = 10;
        while at + 10 < start.min(file.len()) && file[at] != 0 {
            let size = Field::new(at + 4, 4, Sevens);
            let end = at + 10 + number(file, at + 4, 4, Sevens);
            found.numbers(at, &[4], Big);
            found.fields.push(size);
            found.numbers(at + 8, &[1, 1, 1], Big);
            found.parts.push(sized(at, end, 10, size));
            at = end;
        }
    }
    let head = [start, start + 400].map(|at| at.min(file.len()));
    for (at, name) in file[head[0]..head[1]].windows(4).enumerate() {
        if matches!(name, b"Xing" | b"Info" | b"VBRI" | b"LAME" | b"Lavc") {
            found.numbers(start + at, &[4, 4, 4, 4, 1, 1, 1, 1], Big);
        }
    }
    frames(file, start, [0xff, 0xe0], &mut found);
    found
}

fn sized(start: usize, end: usize, head: usize, size: Field) -> Part {
    Part {
        range: start..end,
        head,
        tail: 0,
        size: Some(size),
    }
}

/// From one mark of a beginning to the next. The numbers of a frame lie at its start.
fn frames(file: &[u8], start: usize, mark: [u8; 2], found: &mut Anatomy) {
    let rest = file.get(start..).unwrap_or_default();
    let marks = rest.windows(2).enumerate();
    let marked = marks.filter(|(_, two)| two[0] == mark[0] && two[1] & mark[1] == mark[1]);
    let mut starts: Vec<usize> = marked.map(|(at, _)| start + at).take(MOST).collect();
    starts.push(file.len());
    for pair in starts.windows(2) {
        found.numbers(pair[0], &[1; 10], Big);
        found.parts.push(Part::leaf(pair[0]..pair[1]));
    }
}

/// FLAC: blocks about the stream, then frames (RFC 9639).
pub fn flac(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    flac_from(file, 4, &mut found);
    found
}

fn flac_from(file: &[u8], mut at: usize, found: &mut Anatomy) {
    while at + 4 <= file.len() && found.parts.len() < MOST {
        let size = Field::new(at + 1, 3, Big);
        let end = at + 4 + number(file, at + 1, 3, Big);
        found.numbers(at, &[1], Big);
        found.fields.push(size);
        found.parts.push(sized(at, end, 4, size));
        match file[at] & 0x7f {
            0 => found.numbers(at + 4, &[2, 2, 3, 3, 1, 1, 1, 1, 4, 8, 8], Big),
            4 => comments(at + 4, file, found),
            _ => found.numbers(at + 4, &[4; 8], Big),
        }
        let last = file[at] & 0x80 != 0;
        at = end;
        if last {
            break;
        }
    }
    frames(file, at, [0xff, 0xf8], found);
}

/// Who made it, then a count of comments, each with its length.
fn comments(at: usize, file: &[u8], found: &mut Anatomy) {
    let count = Field::new(
        at.saturating_add(4 + number(file, at, 4, Little)),
        4,
        Little,
    );
    found.numbers(at, &[4], Little);
    found.fields.push(count);
    let first = count.range().end;
    found.numbers(first, &[4], Little);
    let end = first.saturating_add(4 + number(file, first, 4, Little));
    found.tables.push(Table {
        count,
        entry: first..end,
    });
}

/// Ogg: pages, each with a table of lengths (RFC 3533).
pub fn ogg(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    for page in pages(file) {
        found.numbers(page.at + 4, &[1, 1, 8, 4, 4, 4, 1], Little);
        found.numbers(page.at + 27, &[1; 4], Little);
        found.parts.push(Part {
            range: page.at..page.end,
            head: page.body - page.at,
            tail: 0,
            size: None,
        });
    }
    found
}

/// Where a page stands, and what is in it.
struct Page {
    at: usize,
    body: usize,
    end: usize,
}

fn pages(file: &[u8]) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(next) = file
        .get(at..)
        .and_then(|rest| rest.windows(4).position(|four| four == b"OggS"))
    {
        at += next;
        let body = at + 27 + number(file, at + 26, 1, Big);
        let Some(lengths) = file.get(at + 27..body) else {
            break;
        };
        let end = body
            + lengths
                .iter()
                .map(|length| usize::from(*length))
                .sum::<usize>();
        if end > file.len() || pages.len() == MOST {
            break;
        }
        pages.push(Page { at, body, end });
        at = end;
    }
    pages
}

/// Readers pass over pages whose checksum is wrong.
pub fn with_checksums(mut file: Vec<u8>) -> Vec<u8> {
    for Page { at, end, .. } in pages(&file) {
        file[at + 22..at + 26].fill(0);
        let sum = forged::checksum(&file[at..end]);
        file[at + 22..at + 26].copy_from_slice(&sum.to_le_bytes());
    }
    file
}

pub const PACKETS: Members = Members {
    grammar: Grammar {
        walk: packet,
        words: &[],
    },
    unpack: |file| {
        packets(file)
            .into_iter()
            .map(|(_, packet)| packet)
            .collect()
    },
    pack: packed,
};

/// The packets of a file, each with the moment of the page where it ends.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut packets = Vec::new();
    let mut open = Vec::new();
    for page in pages(file) {
        let moment = Field::new(page.at + 6, 8, Little).read(file) as u64;
        let mut at = page.body;
        for length in &file[page.at + 27..page.body] {
            let end = at + usize::from(*length);
            open.extend_from_slice(&file[at..end]);
            at = end;
            if *length < 255 {
                packets.push((moment, std::mem::take(&mut open)));
            }
        }
    }
    packets
}

/// Each packet in a page of its own.
fn packed(file: &[u8], changed: &[Vec<u8>]) -> Vec<u8> {
    // What fits into a page.
    const LONGEST: usize = 65_000;
    let good = packets(file);
    let last = changed.len().saturating_sub(1);
    let mut number = 0..;
    let page = |(at, ((moment, _), packet)): (usize, (&(u64, _), &Vec<u8>))| {
        let flags = if at == 0 {
            2
        } else if at == last {
            4
        } else {
            0
        };
        let packet = &packet[..packet.len().min(LONGEST)];
        forged::page(number.next().unwrap_or(0), flags, *moment, &[packet])
    };
    good.iter()
        .zip(changed)
        .enumerate()
        .flat_map(page)
        .collect()
}

/// A packet of Vorbis, Opus or FLAC, by how it begins.
fn packet(bytes: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    found.parts.push(Part::leaf(0..bytes.len()));
    match bytes {
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => {
            found.numbers(7, &[4, 1, 4, 4, 4, 4, 1, 1], Little);
        }
        [3, b'v', b'o', b'r', b'b', b'i', b's', ..] => comments(7, bytes, &mut found),
        [5, b'v', b'o', b'r', b'b', b'i', b's', ..] => vorbis_set_up(bytes, &mut found),
        [b'O', b'p', b'u', b's', b'H', ..] => {
            found.numbers(8, &[1, 1, 2, 4, 2, 1, 1, 1, 1, 1, 1], Little);
        }
        [b'O', b'p', b'u', b's', b'T', ..] => comments(8, bytes, &mut found),
        [0x7f, b'F', b'L', b'A', b'C', ..] => {
            found.numbers(5, &[1, 1, 2], Big);
            flac_from(bytes, 13, &mut found);
        }
        _ => found.numbers(0, &[1; 16], Big),
    }
    found
}

/// Codebooks begin with the same three bytes at any bit, then the numbers in each entry, and of entries (Vorbis I
/// specification, section 3.2.1). After them, up to the end, stand floors, residues, mappings and modes.
fn vorbis_set_up(bytes: &[u8], found: &mut Anatomy) {
    let bits = |bit: usize, count: u8| {
        let after = (bit % 8) as u8;
        Field::new(
            bit / 8,
            usize::from(after + count).div_ceil(8),
            Coding::Bits { after, count },
        )
    };
    found.numbers(7, &[1], Big);
    let mut end = 8;
    for bit in 64..8 * bytes.len() {
        if bits(bit, 24).read(bytes) == 0x56_4342 {
            found.fields.extend([
                bits(bit + 24, 16),
                bits(bit + 40, 24),
                bits(bit + 64, 1),
                bits(bit + 65, 5),
                bits(bit + 70, 5),
            ]);
            found.parts.push(Part::leaf(end..bit / 8));
            end = bit / 8;
        }
    }
    found.parts.push(Part::leaf(end..bytes.len()));
    let rest = bytes.len().saturating_sub(200).max(end);
    found.numbers(rest, &vec![1; bytes.len() - rest], Big);
}
