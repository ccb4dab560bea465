//! PDF files of all that its reader follows, written out plainly, so that all of it can be changed.

use std::collections::BTreeMap;

use common::testing::mutate::{Anatomy, Coding, Grammar, Kind, text};

use super::forged::pdf;

pub const KIND: Kind = Kind {
    grammar: Grammar { walk, words: WORDS },
    members: None,
    mend,
};

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "[", "]", "<<", ">>", "(", ")", "<41>", "%", "\n", "1 0 R ", "/A ", "null ",
    "/Filter [/FlateDecode /LZWDecode] ", "/FlateDecode ", "/ASCII85Decode ", "/ASCIIHexDecode ",
    "/DecodeParms << /Predictor 15 /Columns 4294967295 /Colors 255 >> ",
    "/Kids [2 0 R] ", "/Parent 3 0 R ", "/Prev 9 ", "/Type /XRef ", "/Type /ObjStm ", "/First 1 ",
    "/Resources 3 0 R ", "/Contents [4 0 R 4 0 R] ", "/W [0 65535 1] ", "/Widths [1] ",
    "/Differences [0 /A 255 /B] ", "/UseCMap 8 0 R ", "/Encrypt << /V 5 /R 6 /Length 256 >> ",
    "q ", "Q ", "BT ", "ET ", "1 0 0 1 1 1 cm ", "/F1 1 Tf ", "(A) Tj ", "T* ", "[(A) -1 (B)] TJ ",
    "/X1 Do ", "0 0 m 1 1 l S ", "/Cs cs 1 scn ", "BI /W 9 /H 9 ID EI ",
    "1 begincodespacerange <00> <ffff> endcodespacerange ",
    "1000000000 beginbfrange <0000> <ffff> <0000> endbfrange ", "1 beginbfchar <00> <d800> endbfchar ",
    "stream\n", "endstream\n", "9 0 obj\n", "endobj\n", "xref\n0 4294967295\n", "trailer\n",
];

/// Text, and numbers of one byte among it where a font or a table is not text.
fn walk(file: &[u8]) -> Anatomy {
    let mut found = text::walk(file);
    for (at, byte) in file.iter().enumerate() {
        if byte.is_ascii_control() && !byte.is_ascii_whitespace() {
            found.numbers(at, &[1], Coding::Big);
        }
    }
    found
}

pub fn files() -> Vec<Vec<u8>> {
    vec![plain(), of_streams()]
}

fn stream(dictionary: &str, content: &str) -> Vec<u8> {
    let length = content.len();
    format!("<< {dictionary} /Length {length} >>\nstream\n{content}\nendstream").into_bytes()
}

/// Two pages, with each kind of font, a form within a form, and a picture.
fn plain() -> Vec<u8> {
    const CMAP: &str = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n/CMapName /A def\n\
        1 begincodespacerange <0000> <ffff> endcodespacerange\n2 beginbfchar <0001> <0041> <0002> <00660069> endbfchar\n\
        2 beginbfrange <0003> <0020> <0043> <0021> <0022> [<0061> <0062>] endbfrange\nendcmap end end";
    const TEXT: &str = "q 1 0 0 1 50 700 cm BT /F1 12 Tf 0 0 Td (Halo dunia) Tj ET Q\n\
        BT /F2 9 Tf 1 0 0 1 10 500 Tm <000100020003> Tj 0 -14 Td [<0004> -300 <0021>] TJ ET\n\
        BT /F3 1 Tf 10 TL T* (a) Tj (a) ' /F4 8 Tf 1 Tc 2 Tw 90 Tz (AB) Tj ET /X1 Do";
    // The smallest font in the compact format (Adobe Technical Note 5176): a name, where its two letters stand, the letters.
    const FONT: &str = "\x01\0\x04\x01\0\x01\x01\x01\x02A\0\x01\x01\x01\x05\x1c\0\x17\x11\0\0\0\0\
        \0\x02\x01\x01\x02\x03\x0e\x0e";
    const TYPE_1: &str = "%!FontType1-1.0: A\n/FontBBox {0 0 9 9} readonly def\n/Encoding 256 array\n\
        0 1 255 {1 index exch /.notdef put} for\ndup 65 /A put\ndup 66 /fi put\nreadonly def\ncurrentfile eexec\n";
    pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 14 0 R] /Count 2 /MediaBox [0 0 600 800] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /XObject << /X1 9 0 R >> \
          /Font << /F1 5 0 R /F2 6 0 R /F3 11 0 R /F4 12 0 R >> >> >>",
        &stream("", TEXT),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar 65 /LastChar 67 /Widths [500 600 700] \
          /Encoding << /BaseEncoding /WinAnsiEncoding /Differences [65 /A /B 97 /fi] >> >>",
        b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [7 0 R] /ToUnicode 8 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) \
          /Supplement 0 >> /DW 1000 /W [0 [500 600] 10 20 700] /FontDescriptor 13 0 R >>",
        &stream("/Type /CMap", CMAP),
        &stream(
            "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Matrix [1 0 0 1 0 0] \
             /Resources << /XObject << /X2 10 0 R >> /Font << /F1 5 0 R >> >>",
            "BT /F1 10 Tf 20 20 Td (dalam) Tj ET /X2 Do",
        ),
        &stream(
            "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /Font << /F1 5 0 R >> >>",
            "BT /F1 10 Tf 30 30 Td (lagi) Tj ET",
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol /Encoding /MacRomanEncoding /FontDescriptor 13 0 R >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /A /FirstChar 65 /LastChar 66 /Widths [500 600] \
          /FontDescriptor << /Type /FontDescriptor /FontName /A /Flags 4 /FontFile 17 0 R >> >>",
        b"<< /Type /FontDescriptor /FontName /A /Flags 4 /FontBBox [0 0 9 9] /MissingWidth 300 /FontFile3 15 0 R >>",
        b"<< /Type /Page /Parent 2 0 R /Contents [16 0 R 4 0 R] /Rotate 90 /Resources << /Font << /F1 5 0 R /F2 6 0 R \
          /F3 11 0 R /F4 12 0 R >> /XObject << /X1 9 0 R >> /ColorSpace << /Cs [/Separation /A /DeviceGray << \
          /FunctionType 2 /Domain [0 1] /C0 [0] /C1 [1] /N 1 >>] >> >> >>",
        &stream("/Subtype /Type1C", FONT),
        &stream(
            "",
            "BI /W 1 /H 1 /BPC 8 /CS /G ID a EI 0 0 m 9 9 l S /Cs cs 1 scn BT /F1 12 Tf 9 99 Td (dua) Tj ET",
        ),
        &stream("", TYPE_1),
    ])
}

/// Objects in a stream, and a table of them that is one too (ISO 32000-1, sections 7.5.7 and 7.5.8).
fn of_streams() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 6 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ];
    let (mut places, mut packed) = (String::new(), String::new());
    for (number, object) in [1, 2, 4, 5].into_iter().zip(objects) {
        places += &format!("{number} {} ", packed.len());
        packed += object;
        packed.push(' ');
    }
    let dictionary = format!("/Type /ObjStm /N 4 /First {}", places.len());
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut starts = Vec::new();
    let text = stream("", "BT /F1 12 Tf 10 10 Td (Halo dunia) Tj ET");
    for (number, object) in [(3, stream(&dictionary, &(places + &packed))), (6, text)] {
        starts.push(file.len() as u16);
        file.extend(format!("{number} 0 obj\n").as_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let at = |place: u16| [1, (place >> 8) as u8, place as u8, 0];
    let within = |index: u8| [2, 0, 3, index];
    let table = [
        [0; 4],
        within(0),
        within(1),
        at(starts[0]),
        within(2),
        within(3),
        at(starts[1]),
        at(file.len() as u16),
    ];
    let start = file.len();
    file.extend(b"7 0 obj\n<< /Type /XRef /Size 8 /W [1 2 1] /Root 1 0 R /Length 32 >>\nstream\n");
    file.extend(table.concat());
    file.extend(format!("\nendstream\nendobj\nstartxref\n{start}\n%%EOF").as_bytes());
    file
}

/// States the lengths of streams and the places of objects anew; without them nothing is read.
fn mend(file: Vec<u8>) -> Vec<u8> {
    let mut file = with_lengths(&file);
    let last = |text: &[u8]| file.windows(text.len()).rposition(|here| here == text);
    let Some(end) = last(b"startxref").filter(|end| *end > 0) else {
        return file;
    };
    let objects = objects(&file[..end]);
    let table = last(b"\nxref").map(|table| table + 1);
    let (start, table) = match (table, last(b"trailer")) {
        (Some(table), Some(trailer)) if table < trailer && trailer < end => {
            let entries: String = objects
                .iter()
                .map(|(number, at)| format!("{number} 1\n{at:010} 00000 n \n"))
                .collect();
            let trailer = String::from_utf8_lossy(&file[trailer..end]);
            let table_and_trailer = format!("xref\n0 1\n0000000000 65535 f \n{entries}{trailer}");
            (table, table_and_trailer.into_bytes())
        }
        // The table is an object, the last one.
        _ => {
            let start = objects.values().max().copied().unwrap_or(0);
            (start, file[start..end].to_vec())
        }
    };
    file.truncate(start);
    file.extend(table);
    file.extend(format!("startxref\n{start}\n%%EOF").as_bytes());
    file
}

fn find(file: &[u8], from: usize, text: &[u8]) -> Option<usize> {
    let rest = file.get(from..)?;
    rest.windows(text.len())
        .position(|here| here == text)
        .map(|at| from + at)
}

/// With the length of each stream where its dictionary has one.
fn with_lengths(file: &[u8]) -> Vec<u8> {
    const KEY: &[u8] = b"/Length ";
    let (mut mended, mut from) = (Vec::with_capacity(file.len()), 0);
    while let Some(key) = find(file, from, KEY)
        && let Some(start) = find(file, key, b"stream\n")
        && let Some(end) = find(file, start, b"endstream")
    {
        let number = key + KEY.len();
        let digits = file[number..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let content = &file[start + b"stream\n".len()..end];
        let length = content.strip_suffix(b"\n").unwrap_or(content).len();
        mended.extend(&file[from..number]);
        mended.extend(length.to_string().as_bytes());
        mended.extend(&file[number + digits..end]);
        from = end;
    }
    mended.extend(&file[from..]);
    mended
}

/// Numbers of objects, and where they stand.
fn objects(file: &[u8]) -> BTreeMap<u32, usize> {
    let mut objects = BTreeMap::new();
    for line in (0..file.len()).filter(|at| *at == 0 || file[at - 1] == b'\n') {
        let head = &file[line..file.len().min(line + 20)];
        let head = String::from_utf8_lossy(head);
        if let Some((number, _)) = head.split_once(" 0 obj")
            && let Ok(number) = number.parse()
        {
            objects.insert(number, line);
        }
    }
    objects
}
