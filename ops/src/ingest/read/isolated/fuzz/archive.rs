//! Office documents: zip files, and the XML in them.

use std::io::{Cursor, Read as _, Write as _};

use common::testing::mutate::{
    Anatomy, Coding::Little, Field, Grammar, Kind, Members, Part, Table, number, text,
};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Documents whose XML has these words.
pub const fn kind(words: &'static [&'static str]) -> Kind {
    Kind {
        grammar: Grammar { walk, words: &[] },
        members: Some(Members {
            grammar: Grammar {
                walk: text::walk,
                words,
            },
            unpack: |file| parts(file).into_iter().map(|(_, text)| text).collect(),
            pack,
        }),
        mend: |file| file,
    }
}

/// The parts of a document that can be read, with their names.
fn parts(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(file)) else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    for at in 0..archive.len() {
        let mut text = Vec::new();
        if let Ok(mut part) = archive.by_index(at)
            && part.read_to_end(&mut text).is_ok()
            && let Ok(name) = part.name()
        {
            parts.push((name.into_owned(), text));
        }
    }
    parts
}

fn pack(file: &[u8], changed: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for ((name, _), text) in parts(file).into_iter().zip(changed) {
        archive
            .start_file(name, SimpleFileOptions::default())
            .expect("it is in memory");
        archive.write_all(text).expect("it is in memory");
    }
    archive.finish().expect("it is in memory").into_inner()
}

/// Records of a zip file, by their marks (PKWARE APPNOTE.TXT, section 4.3).
fn walk(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    let mut first_entry = None;
    for (at, mark) in file.windows(4).enumerate() {
        let length = |place: usize| number(file, at + place, 2, Little);
        match mark {
            b"PK\x03\x04" => {
                let size = Field::new(at + 18, 4, Little);
                let head = 30 + length(26) + length(28);
                let end = at + head + number(file, size.at, 4, Little);
                found.numbers(at + 4, &[2, 2, 2, 2, 2, 4, 4, 4, 2, 2], Little);
                found.parts.push(Part {
                    range: at..end,
                    head,
                    tail: 0,
                    size: Some(size),
                });
            }
            b"PK\x01\x02" => {
                let end = at + 46 + length(28) + length(30) + length(32);
                let layout = [2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4];
                found.numbers(at + 4, &layout, Little);
                found.parts.push(Part::leaf(at..end));
                first_entry.get_or_insert(at..end);
            }
            b"PK\x05\x06" => {
                found.numbers(at + 4, &[2, 2, 2, 2, 4, 4, 2], Little);
                directory(file, at, &mut found);
                found.tables.extend(first_entry.take().map(|entry| Table {
                    count: Field::new(at + 10, 2, Little),
                    entry,
                }));
            }
            _ => {}
        }
    }
    found
}

/// What the end of the file says of the list of its parts: how long it is, and where it begins.
fn directory(file: &[u8], at: usize, found: &mut Anatomy) {
    let start = number(file, at + 16, 4, Little).min(at);
    let grows_with = |range: std::ops::Range<usize>, size| Part {
        tail: 0,
        head: 0,
        size: Some(Field::new(size, 4, Little)),
        range,
    };
    found.parts.push(grows_with(start..at, at + 12));
    found.parts.push(grows_with(0..start, at + 16));
}
