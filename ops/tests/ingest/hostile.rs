//! Documents that are broken, forged or extreme.

use std::{
    fs,
    io::{Cursor, Write as _},
    path::Path,
};

use crate::{
    desk::{Desk, FIXTURES, reasons},
    forged,
};

#[test]
fn what_is_broken_or_hostile_is_reported_and_the_rest_goes_on() {
    let desk = Desk::new();
    desk.write("baik.md", "Isi.");
    desk.fixture("rahasia.pdf");
    desk.fixture("pindaian.pdf");
    let pdf = fs::read(Path::new(FIXTURES).join("peraturan-akademik.pdf")).expect("a fixture");
    desk.write("terpotong.pdf", &pdf[..900]);
    desk.write("bukan.pdf", "Ini bukan PDF.");
    desk.write("kosong.txt", "");
    desk.write("spasi.md", " \n\t\n");
    desk.write("biner.txt", [0, 1, 2, 3, 255]);
    desk.write("biner.csv", [0, 1, 2, 3, 255]);
    desk.write("bom.docx", bomb("word/document.xml"));
    desk.write("bom.xlsx", bomb("xl/workbook.xml"));
    desk.write("bukan.docx", zipped("lain.xml", b"<a/>"));
    desk.write(
        "rusak.docx",
        zipped("word/document.xml", b"<w:document><w:p><w:t>Isi</w:body>"),
    );
    desk.write("rusak.xlsx", zipped("xl/workbook.xml", b"<workbook"));
    desk.write("dalam.json", "[".repeat(1_000_000));
    desk.write("rusak.jsonl", "{\"text\": \"a\"}\n{\"text\"\n");
    desk.write("menu.html", "<nav></nav><script>var a;</script>");
    let (code, summary) = desk.ingest(&[]);
    assert_eq!(code, 2);
    assert_eq!(desk.of("docs/baik.md").len(), 1);
    let reasons = reasons(&summary);
    for (name, reason) in [
        ("rahasia.pdf", "is protected by a password"),
        ("pindaian.pdf", "pictures of pages"),
        ("terpotong.pdf", ""),
        ("bukan.pdf", "is not a PDF"),
        ("kosong.txt", "holds no text"),
        ("spasi.md", "holds no text"),
        ("biner.txt", "is not text"),
        ("biner.csv", "is not text"),
        ("bom.docx", "bytes when unpacked"),
        ("bom.xlsx", "bytes when unpacked"),
        ("bukan.docx", "is not a Word document"),
        ("rusak.docx", "is broken"),
        ("rusak.xlsx", "is broken"),
        ("dalam.json", "is broken"),
        ("rusak.jsonl", "line 2"),
        ("menu.html", "holds no text"),
    ] {
        let found = reasons.get(&format!("docs/{name}"));
        let found = found.unwrap_or_else(|| panic!("{name} is not reported: {reasons:?}"));
        assert!(found.contains(reason), "{name}: {found}");
    }
    assert_eq!(reasons.len(), 16);
}

#[test]
fn what_is_expensive_to_read_costs_itself_alone() {
    let desk = Desk::new();
    desk.write("baik.md", "Isi.");
    for (name, file) in forged::documents() {
        desk.write(name, file);
    }
    let (code, summary) = desk.ingest(&[]);
    assert_eq!(code, 2);
    assert_eq!(desk.of("docs/baik.md").len(), 1);
    let reasons = reasons(&summary);
    for (name, _) in forged::documents() {
        let found = reasons.get(&format!("docs/{name}"));
        let found = found.unwrap_or_else(|| panic!("{name} is not reported: {reasons:?}"));
        assert!(
            found.contains("needs more memory to be read"),
            "{name}: {found}"
        );
    }
}

#[test]
fn what_is_merely_extreme_is_read() {
    let desk = Desk::new();
    desk.fixture("jarang.xlsx");
    desk.write("panjang.txt", "kata ".repeat(400_000));
    desk.write(
        "dalam.html",
        format!("{}Isi dalam.", "<div><b>".repeat(200_000)),
    );
    let (code, summary) = desk.ingest(&[]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!(desk.of("docs/jarang.xlsx")[0].2, "- Kolom: nilai");
    assert_eq!(desk.of("docs/dalam.html")[0].2, "Isi dalam.");
    let long = desk.of("docs/panjang.txt");
    assert!(long.iter().all(|(_, _, text)| text.len() <= 2_000));
}

fn zipped(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).expect("a part");
    archive.write_all(content).expect("written");
    archive.finish().expect("a zip file").into_inner()
}

/// A file of less than 1 MB that unpacks to 600 MB.
fn bomb(name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).expect("a part");
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..600 {
        archive.write_all(&zeros).expect("written");
    }
    archive.finish().expect("a zip file").into_inner()
}
