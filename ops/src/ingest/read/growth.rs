//! Files as hostile as they can be are read in time that grows with their length.

use std::io::{Cursor, Write as _};

use common::testing::growth::{MARKS, Pattern, assert_linear};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Format, Original};

const TAGS: &[Pattern] = &[
    Pattern::Run("<div>"),
    Pattern::Run("</div>"),
    Pattern::Run("<p>a"),
    Pattern::Run("<ul><li>a"),
    Pattern::Run("<li>a"),
    Pattern::Run("<table><tr><td>"),
    Pattern::Run("<tr><td>a"),
    Pattern::Run("<td>a"),
    Pattern::Run("<th>a"),
    Pattern::Run("<h1>a"),
    Pattern::Run("<h2>a</h2><p>b"),
    Pattern::Run("<nav>"),
    Pattern::Run("<main>a"),
    Pattern::Run("<p hidden>a"),
    Pattern::Run("<a a=\"b\""),
    Pattern::Run("<a a='b"),
    Pattern::Run("<script>a"),
    Pattern::Run("<script></"),
    Pattern::Run("<title>a"),
    Pattern::Run("<textarea>a"),
    Pattern::Run("<![CDATA["),
    Pattern::Run("<!DOCTYPE"),
    Pattern::Run("&#"),
    Pattern::Run("&#x110000;"),
    Pattern::Run("&notit"),
    Pattern::Long("<a ", "b=c ", ">", "<p>a"),
    Pattern::Long("<title>", "a", "</title>", "<h1>b</h1>"),
    Pattern::Long("<h1>", "a", "</h1>", "<h2>b</h2><p>c"),
    Pattern::Long("<table><tr>", "<th>a", "", "<tr><td>b<td>c"),
    Pattern::Long("<table><tr><th>a<th>", "b", "", "<tr><td>c<td>d"),
];

const RECORDS: &[Pattern] = &[
    Pattern::Run("{"),
    Pattern::Run("{\"a\":"),
    Pattern::Run("[{"),
    Pattern::Run("{}\n"),
    Pattern::Run("{\"a\":1}\n"),
    Pattern::Run("{\"text\":\"a\"}\n"),
    Pattern::Run("{\"text\":\"a\"\n"),
    Pattern::Long("[{\"id\":\"", "a", "\"}", ",{\"id\":\"b\"}"),
    Pattern::Long("{\"", "a", "\":[1", ",1"),
    Pattern::Long("{\"", "a", "\":{\"b\":[1", ",{\"c\":null}"),
    Pattern::Long("{\"title\":\"", "a", "\",\"text\":\"", "## b\\nc\\n"),
    Pattern::Long("a,", "b", "\n", "c,d\n"),
    Pattern::Long("", "a,", "\n", "b,c\n"),
    Pattern::Run("\"a\",\"b\"\n"),
    Pattern::Run("\"\"\"\n"),
    Pattern::Run("sep=,\n"),
    Pattern::Run(",,,\n"),
];

fn read(format: Format, bytes: Vec<u8>) {
    let id = "docs/a".into();
    let _ = (format.reader())(&Original { id, bytes });
}

#[test]
fn text_is_read_in_linear_time() {
    for format in [Format::Markdown, Format::Text, Format::Html] {
        assert_linear(&format!("{format:?}"), MARKS, |text| {
            read(format, text.into())
        });
    }
    assert_linear("tags", TAGS, |text| read(Format::Html, text.into()));
    assert_linear(
        "a page that is PDF",
        &[Pattern::Run("%PDF-stream\n")],
        |text| {
            read(Format::Pdf, text.into());
        },
    );
}

#[test]
fn records_are_read_in_linear_time() {
    for format in [Format::CommaSeparated, Format::Json, Format::JsonLines] {
        let name = format!("{format:?}");
        assert_linear(&name, MARKS, |text| read(format, text.into()));
        assert_linear(&name, RECORDS, |text| read(format, text.into()));
    }
    let in_string = |text: &str| serde_json::json!({ "text": text, "title": text, "id": text });
    assert_linear("a record's text", MARKS, |text| {
        read(Format::Json, in_string(text).to_string().into());
    });
}

fn office(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut file = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        file.start_file(*name, SimpleFileOptions::default())
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    file.finish().unwrap().into_inner()
}

const ELEMENTS: &[Pattern] = &[
    Pattern::Run("<w:p>"),
    Pattern::Run("<w:p><w:r><w:t>a</w:t></w:r></w:p>"),
    Pattern::Run("<w:tbl><w:tr><w:tc><w:p>"),
    Pattern::Run("<w:t>a-</w:t>"),
    Pattern::Run("<Fallback>"),
    Pattern::Run("<Fallback></Fallback>"),
    Pattern::Run("&#1;"),
    Pattern::Run("&"),
    Pattern::Run("<![CDATA["),
    Pattern::Long("<w:pStyle ", "a='b' ", "/>", "<w:t>c</w:t>"),
    Pattern::Long(
        "<w:t>",
        "a",
        "</w:t>",
        "<w:p><w:pStyle w:val='Judul'/><w:t>b</w:t></w:p>",
    ),
    Pattern::Long(
        "<w:tbl><w:tr>",
        "<w:tc><w:t>a</w:t></w:tc>",
        "</w:tr>",
        "<w:tr><w:tc><w:t>b</w:t></w:tc><w:tc><w:t>c</w:t></w:tc></w:tr>",
    ),
];

#[test]
fn word_documents_are_read_in_linear_time() {
    let styles = "<w:style w:styleId='Judul'><w:name w:val='Title'/></w:style>";
    let document = |text: &str, title: &str| {
        office(&[
            ("word/document.xml", text),
            ("word/styles.xml", styles),
            ("docProps/core.xml", title),
        ])
    };
    for patterns in [ELEMENTS, MARKS] {
        assert_linear("Word", patterns, |text| {
            read(Format::Word, document(text, ""))
        });
    }
    let paragraph = "<w:p><w:pPr><w:pStyle w:val='Judul'/></w:pPr><w:r><w:t>b</w:t></w:r></w:p>";
    assert_linear("a Word title", &[Pattern::Run("a")], |text| {
        let title = format!("<dc:title>{text}</dc:title>");
        read(
            Format::Word,
            document(&paragraph.repeat(text.len() / paragraph.len()), &title),
        );
    });
    assert_linear("styles", ELEMENTS, |text| {
        let parts = [("word/document.xml", "<w:p/>"), ("word/styles.xml", text)];
        read(Format::Word, office(&parts));
    });
}

/// A workbook with one sheet of `rows`, and `strings` that its cells can name.
fn workbook(strings: &str, rows: &str) -> Vec<u8> {
    let main = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'";
    let relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    office(&[
        (
            "xl/workbook.xml",
            &format!(
                "<workbook {main} xmlns:r='{relation}'><sheets><sheet name='A' sheetId='1' r:id='r1'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!(
                "<Relationships><Relationship Id='r1' Type='{relation}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            &format!("<sst {main}>{strings}</sst>"),
        ),
        (
            "xl/worksheets/sheet1.xml",
            &format!("<worksheet {main}><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ])
}

const CELLS: &[Pattern] = &[
    Pattern::Run("<row>"),
    Pattern::Run("<c>"),
    Pattern::Run("<row><c t='s'><v>0</v></c></row>"),
    Pattern::Run("<c t='s'><v>0</v></c>"),
    Pattern::Run("<c r='XFD1048576'><v>1</v></c>"),
    Pattern::Run("<row r='1048576'/>"),
    Pattern::Run("<mergeCell ref='A1:XFD1048576'/>"),
    Pattern::Long("<c ", "a='b' ", "/>", "<c/>"),
];

#[test]
fn spreadsheets_are_read_in_linear_time() {
    assert_linear("sheet", CELLS, |rows| {
        read(Format::Sheet, workbook("<si><t>a</t></si>", rows));
    });
    let shared = [Pattern::Run("a"), Pattern::Run("</t></si><si><t>")];
    assert_linear("shared strings", &shared, |text| {
        let strings = format!("<si><t>{text}</t></si>");
        let cell = "<row><c t='s'><v>0</v></c><c t='s'><v>0</v></c></row>";
        read(
            Format::Sheet,
            workbook(&strings, &cell.repeat(text.len() / cell.len())),
        );
    });
}
