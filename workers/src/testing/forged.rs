//! Small recordings that are expensive to decode. Each is sound in form, and no honest program writes it.

/// Samples of these files come at this rate.
const RATE: u32 = 8_000;

/// What is expensive about a recording, and the file.
pub fn recordings() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an MP4 of one huge packet", huge_packets(u32::MAX)),
        ("an MP4 of one large packet", huge_packets(1 << 28)),
        ("a Vorbis stream of large codebooks", large_codebooks(64)),
        ("a Vorbis stream of more of them", large_codebooks(256)),
        ("an MP4 with a table of moments", table_of_moments(700_000)),
        ("an MP4 with a longer one", table_of_moments(1_600_000)),
    ]
}

/// Sound that claims to have so many frames in each packet, which a decoder makes room for at once: version 2 of the
/// sound description (QuickTime File Format Specification, "Sound Sample Description (Version 2)").
pub fn huge_packets(frames: u32) -> Vec<u8> {
    let description = [
        &[0; 6][..],
        &be16(1),
        &be16(2),
        &[0; 6],
        &be16(3),
        &be16(16),
        &be16(0xfffe),
        &be16(0),
        &be32(0x0001_0000),
        &be32(72),
        &f64::from(RATE).to_be_bytes(),
        &be32(1),
        &be32(0x7f00_0000),
        // Signed integers of 16 bits.
        &be32(16),
        &be32(4),
        &be32(2),
        &be32(frames),
    ]
    .concat();
    mp4(&atom(b"lpcm", &description), &[(8, 1)], &[0; 16])
}

/// Sound with a table that tells of each moment by itself, and that a reader goes through for each of them.
pub fn table_of_moments(entries: usize) -> Vec<u8> {
    let description = [
        &[0; 6][..],
        &be16(1),
        &[0; 8],
        &be16(1),
        &be16(16),
        &[0; 4],
        &be32(RATE << 16),
    ]
    .concat();
    let moments = vec![(1, 1); entries];
    mp4(
        &atom(b"sowt", &description),
        &moments,
        &vec![0; 2 * entries],
    )
}

/// `ISO/IEC 14496-12`, and no more of it than a reader needs. `moments`: how many frames, and how long each.
fn mp4(description: &[u8], moments: &[(u32, u32)], sound: &[u8]) -> Vec<u8> {
    let frames = u32::try_from(sound.len() / 2).expect("a small file");
    let kind = atom(b"ftyp", b"M4A \0\0\0\0M4A mp42");
    // The same length whatever the offset in it.
    let before = kind.len() + movie(description, moments, frames, 0).len() + 8;
    let offset = u32::try_from(before).expect("a small file");
    [
        kind,
        movie(description, moments, frames, offset),
        atom(b"mdat", sound),
    ]
    .concat()
}

fn movie(description: &[u8], moments: &[(u32, u32)], frames: u32, offset: u32) -> Vec<u8> {
    let times = |id: &[u8]| [&[0; 12][..], id, &be32(RATE), &be32(frames)].concat();
    let table: Vec<u8> = moments
        .iter()
        .flat_map(|(count, length)| [be32(*count), be32(*length)].concat())
        .collect();
    let samples = atom(
        b"stbl",
        &[
            atom(b"stsd", &[&be32(0)[..], &be32(1), description].concat()),
            atom(
                b"stts",
                &[&be32(0)[..], &be32(moments.len() as u32), &table].concat(),
            ),
            atom(
                b"stsc",
                &[be32(0), be32(1), be32(1), be32(frames), be32(1)].concat(),
            ),
            atom(b"stsz", &[be32(0), be32(2), be32(frames)].concat()),
            atom(b"stco", &[be32(0), be32(1), be32(offset)].concat()),
        ]
        .concat(),
    );
    let information = atom(b"minf", &[atom(b"smhd", &[0; 8]), samples].concat());
    let media = atom(
        b"mdia",
        &[
            atom(b"mdhd", &[times(&[]), vec![0; 4]].concat()),
            atom(b"hdlr", &[&[0; 8][..], b"soun", &[0; 13]].concat()),
            information,
        ]
        .concat(),
    );
    let header = [&[0, 0, 0, 7][..], &[0; 8], &be32(1), &[0; 4], &be32(frames)].concat();
    let track = atom(
        b"trak",
        &[atom(b"tkhd", &[header, vec![0; 60]].concat()), media].concat(),
    );
    let movie = [times(&[]), vec![0; 80]].concat();
    atom(b"moov", &[atom(b"mvhd", &movie), track].concat())
}

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("a small file");
    [&be32(length)[..], kind, body].concat()
}

fn be16(number: u16) -> [u8; 2] {
    number.to_be_bytes()
}

fn be32(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A stream whose set-up unpacks to 16 MiB for each codebook of some twenty bytes (Vorbis I specification, section 3.2.1).
pub fn large_codebooks(count: usize) -> Vec<u8> {
    let identification = [
        &b"\x01vorbis"[..],
        &[0; 4],
        &[1],
        &RATE.to_le_bytes(),
        &[0; 12],
        &[0xb8, 1],
    ]
    .concat();
    let comments = [&b"\x03vorbis"[..], &[0; 8], &[1]].concat();
    let mut setup = Bits::default();
    setup.push(count as u64 - 1, 8);
    for _ in 0..count {
        codebook(&mut setup);
    }
    let setup = [&b"\x05vorbis"[..], &setup.bytes, &[0; 64]].concat();
    [
        page(0, 2, 0, &[&identification]),
        page(1, 0, 0, &[&comments, &setup]),
        page(2, 4, 0, &[&[0; 64]]),
    ]
    .concat()
}

fn codebook(bits: &mut Bits) {
    let entries: u64 = 128 * 1024;
    bits.push(0x56_4342, 24);
    // Numbers in each entry.
    bits.push(31, 16);
    bits.push(entries, 24);
    // In the order of their lengths, and all of one length: a full tree.
    bits.push(1, 1);
    bits.push(17 - 1, 5);
    bits.push(entries, 18);
    // The entries are made of a table, which has one number.
    bits.push(1, 4);
    bits.push(0, 32);
    bits.push(0, 32);
    bits.push(0, 4);
    bits.push(0, 1);
    bits.push(0, 1);
}

/// The lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, number: u64, count: usize) {
        for at in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (number >> at & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (self.used % 8);
            }
            self.used += 1;
        }
    }
}

/// A page of an Ogg stream whose sound ends at `moment` (RFC 3533, section 6).
pub fn page(number: u32, flags: u8, moment: u64, packets: &[&[u8]]) -> Vec<u8> {
    let lacing: Vec<u8> = packets
        .iter()
        .flat_map(|packet| {
            let full = std::iter::repeat_n(255, packet.len() / 255);
            full.chain([(packet.len() % 255) as u8])
        })
        .collect();
    let lacing_length = u8::try_from(lacing.len()).expect("packets that fit into a page");
    let mut page = [
        &b"OggS\0"[..],
        &[flags],
        &moment.to_le_bytes(),
        &7_u32.to_le_bytes(),
        &number.to_le_bytes(),
        &[0; 4],
        &[lacing_length],
        &lacing,
        &packets.concat(),
    ]
    .concat();
    let checksum = checksum(&page);
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

/// Of a page, in which the place for it is zero.
pub fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}
