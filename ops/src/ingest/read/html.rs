//! Web pages: what a reader would read, without menus and scripts.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::{Content, Original, ReadError, encoding};

mod page;

use page::{Extent, Page};

/// How far the declaration of the encoding may stand (HTML, section 4.2.5.4).
const CHARSET_BYTES: usize = 1_024;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text_in(&original.bytes, declared_encoding(&original.bytes))?;
    let main = text.to_ascii_lowercase().contains("<main");
    let mut page = walk(&text, if main { Extent::Main } else { Extent::Body });
    if page.is_empty() {
        // A menu that is never closed would hide everything after it.
        page = walk(&text, Extent::Everything);
    }
    let (title, url, sections) = page.finish();
    let mut document = original.document(title, sections);
    document.reference.url = url;
    Ok(document.into())
}

fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(CHARSET_BYTES)]).to_lowercase();
    let (_, declared) = head.split_once("charset=")?;
    let label = declared.trim_start_matches(['"', '\'']);
    let end = label
        .find(|character: char| !character.is_ascii_alphanumeric() && !"-_:".contains(character));
    Encoding::for_label(&label.as_bytes()[..end.unwrap_or(label.len())])
}

/// Token by token: no tree is made, so that no depth of nesting does harm.
fn walk(text: &str, extent: Extent) -> Page {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut page = Page::new(extent);
    for token in Tokenizer::new_with_emitter(text, emitter) {
        // Reading from memory does not fail.
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                page.open(&name, &attributes(&tag), tag.self_closing);
            }
            Token::EndTag(tag) => page.close(&String::from_utf8_lossy(&tag.name)),
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    page
}

/// Those that hide an element, and all of the elements that carry something in them.
fn attributes(tag: &StartTag<()>) -> BTreeMap<String, String> {
    let all = matches!(tag.name.as_slice(), b"meta" | b"link" | b"ol");
    let hiding = |name: &[u8]| matches!(name, b"hidden" | b"aria-hidden" | b"style");
    let written = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    tag.attributes
        .iter()
        .filter(|(name, _)| all || hiding(name.as_slice()))
        .map(|(name, value)| (written(name), written(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use workers::knowledge::document::Document;

    use super::*;

    fn page(text: &str) -> Document {
        let original = Original {
            id: "docs/halaman-satu.html".into(),
            bytes: text.into(),
        };
        read(&original).expect("a page").documents.remove(0)
    }

    fn lines(document: &Document) -> Vec<String> {
        let sections = document.sections.iter();
        sections
            .flat_map(|section| {
                let heading = section.heading.as_deref().unwrap_or("");
                let blocks = section.blocks.iter();
                blocks.map(move |block| format!("{heading}|{}", block.text()))
            })
            .collect()
    }

    #[test]
    fn a_page_gives_its_headings_lists_and_tables_without_its_menus() {
        let found = page(
            "<!doctype html><html><head><title>Cuti &amp; izin | ITB</title>\
             <link rel=canonical href='https://itb.ac.id/cuti'><style>p{}</style></head><body>\
             <nav><ul><li>Beranda</ul></nav><header><h1>Cuti &amp; izin</h1></header>\
             <p>Pembuka<br>lanjut<script>var a = '<p>x</p>';</script>\
             <h2>Syarat</h2><ul><li>Aktif<li>Lunas<ol start=3><li>Dalam</ol></ul>\
             <h3>Biaya</h3><table><tr><th>Jenjang<th>UKT<tr><td>S1<td>Rp1<tr><td>S2<td><p>Rp2</p></table>\
             <h2>Pasal</h2><p>Pasal 3</p><p>Isi pasal.</p>\
             <aside>Iklan</aside><footer>Hak cipta</footer></body></html>",
        );
        assert_eq!(found.reference.title, "Cuti & izin");
        assert_eq!(
            found.reference.url.as_deref(),
            Some("https://itb.ac.id/cuti")
        );
        assert_eq!(
            lines(&found),
            [
                "|Pembuka lanjut",
                "Syarat|- Aktif",
                "Syarat|- Lunas",
                "Syarat|3. Dalam",
                "Syarat – Biaya|- S1; UKT: Rp1",
                "Syarat – Biaya|- S2; UKT: Rp2",
                "Pasal – Pasal 3|Isi pasal."
            ]
        );
    }

    #[test]
    fn only_the_main_part_is_read_where_there_is_one() {
        let found = page(
            "<title>T</title><meta property=og:url content=https://a.id><div>Menu</div><main><p>Isi</main>Kaki",
        );
        assert_eq!(lines(&found), ["|Isi"]);
        assert_eq!(found.reference.url.as_deref(), Some("https://a.id"));
    }

    #[test]
    fn a_menu_without_an_end_hides_nothing() {
        assert_eq!(lines(&page("<nav>Menu<p>Isi")), ["|Menu", "|Isi"]);
    }

    #[test]
    fn what_a_reader_does_not_see_is_left_out() {
        for (text, expected) in [
            (
                "<p>A<div style='Display : none'>x<div>y</div>z</div><p>B",
                vec!["|A", "|B"],
            ),
            ("<p>A <span hidden>x</span>B", vec!["|A B"]),
            ("<p>A <i aria-hidden=true>x</i>B", vec!["|A B"]),
            ("<i aria-hidden=false>A</i>", vec!["|A"]),
            ("<div hidden=until-found>A</div>", vec!["|A"]),
            ("<p>A<input hidden><br style='display:none'>B", vec!["|AB"]),
            ("<p hidden>x<p>A", vec!["|A"]),
            (
                "<ul><li>A<li hidden>x<ul><li>y</ul><li>B</ul>C",
                vec!["|- A", "|- B", "|C"],
            ),
            ("<div><p hidden>x</div>A", vec!["|A"]),
            ("<body style='display:none'><p>A", vec!["|A"]),
        ] {
            assert_eq!(lines(&page(text)), expected, "{text}");
        }
    }

    #[test]
    fn no_depth_of_nesting_does_harm() {
        let deep = "<div><table><tr><td><ul><li>".repeat(50_000);
        assert_eq!(lines(&page(&format!("{deep}Isi"))).len(), 1);
    }

    #[test]
    fn the_declared_encoding_is_used() {
        let original = Original {
            id: "a.html".into(),
            bytes: b"<meta charset=\"iso-8859-2\"><p>\xb9</p>".to_vec(),
        };
        let content = read(&original).expect("a page");
        assert_eq!(lines(&content.documents[0]), ["|š"]);
    }
}
