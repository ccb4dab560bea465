//! Small documents that are expensive to read. Each is sound in form, and no honest program writes it.

use std::io::{Cursor, Write as _};

use flate2::{Compression, write::ZlibEncoder};

/// A name, and the file.
pub fn documents() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("berlapis.pdf", nested(8)),
        ("berlapis-lagi.pdf", nested(30)),
        ("tabel-kosong.pdf", endless_table()),
        ("teks-bersama.xlsx", countless_strings()),
    ]
}

/// A page whose content is packed again and again: each reader of a layer unpacks all of it.
fn nested(layers: usize) -> Vec<u8> {
    let mut content = b"BT /F1 12 Tf 10 10 Td (halo) Tj ET\n".repeat(3_000_000);
    for _ in 0..layers {
        content = packed(&content);
    }
    let filters = "/FlateDecode ".repeat(layers);
    let head = format!(
        "<< /Filter [{filters}] /Length {} >>\nstream\n",
        content.len()
    );
    let content = [head.as_bytes(), &content, b"\nendstream"].concat();
    pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        &content,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ])
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("it is in memory");
    encoder.finish().expect("it is in memory")
}

/// Objects from number 1 on, the first of which is the catalogue.
pub fn pdf(objects: &[&[u8]]) -> Vec<u8> {
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in (1..).zip(objects) {
        table += &format!("{:010} 00000 n \n", file.len());
        file.extend(format!("{number} 0 obj\n").as_bytes());
        file.extend(*object);
        file.extend(b"\nendobj\n");
    }
    let (start, count) = (file.len(), objects.len() + 1);
    let end = format!(
        "xref\n0 {count}\n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF"
    );
    file.extend(end.as_bytes());
    file
}

/// A table of two thousand million objects whose entries are no bytes long (ISO 32000-1, section 7.5.8).
fn endless_table() -> Vec<u8> {
    let objects = "%PDF-1.5\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\n";
    let start = objects.len();
    format!(
        "{objects}3 0 obj\n<< /Type /XRef /Size 2147483647 /W [0 0 0] /Index [0 2147483647] /Root 1 0 R /Length 4 \
         >>\nstream\n    \nendstream\nendobj\nstartxref\n{start}\n%%EOF"
    )
    .into_bytes()
}

/// A sheet that says that it shares four thousand million texts, for which room is made at once.
pub fn countless_strings() -> Vec<u8> {
    const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    const LINKS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let related = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{LINKS}/{kind}\" Target=\"{target}\"/>")
    };
    let relations = |links: &str| {
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{links}</Relationships>"
        )
    };
    let parts = [
        (
            "_rels/.rels",
            relations(&related("a", "officeDocument", "xl/workbook.xml")),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook {MAIN} xmlns:r=\"{LINKS}\"><sheets><sheet name=\"A\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            relations(
                &(related("a", "worksheet", "worksheets/sheet1.xml")
                    + &related("b", "sharedStrings", "sharedStrings.xml")),
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!(
                "<worksheet {MAIN}><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row></sheetData></worksheet>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            format!(
                "<sst {MAIN} count=\"4294967295\" uniqueCount=\"4294967295\"><si><t>halo</t></si></sst>"
            ),
        ),
    ];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).expect("it is in memory");
        archive
            .write_all(content.as_bytes())
            .expect("it is in memory");
    }
    archive.finish().expect("it is in memory").into_inner()
}
