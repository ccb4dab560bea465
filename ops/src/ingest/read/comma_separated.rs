//! CSV and its kin, parted by commas, semicolons, tabs or bars.

use super::{Content, Original, ReadError, encoding, row::Rows};

/// How much of a file is looked at to find what parts its cells.
const SAMPLE_LINES: usize = 20;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    let (delimiter, text) = match declared_delimiter(&text) {
        Some((delimiter, rest)) => (delimiter, rest),
        None => (delimiter(&text), text.as_str()),
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows = Rows::default();
    // One for all: a copy of it would have room for as many cells as the widest row before it.
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(ReadError::broken)? {
        rows.push(record.iter().map(str::to_owned));
    }
    let sections = rows.finish(None).into_iter().collect();
    Ok(original.document(None, sections).into())
}

/// `sep=;` in the first line, as a spreadsheet program writes it.
fn declared_delimiter(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('\n')?;
    match first.trim_end().strip_prefix("sep=")?.as_bytes() {
        [delimiter] => Some((*delimiter, rest)),
        _ => None,
    }
}

/// The one that parts most lines into as many cells as the first, and the more cells the better.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(SAMPLE_LINES)
        .collect();
    let fitness = |delimiter: &u8| {
        let cells: Vec<usize> = lines.iter().map(|line| count(line, *delimiter)).collect();
        let first = cells.first().copied().unwrap_or(0);
        let alike = cells.iter().filter(|count| **count == first).count();
        if first == 0 { (0, 0) } else { (alike, first) }
    };
    // The last of equals wins.
    b"|\t;,".iter().copied().max_by_key(fitness).unwrap_or(b',')
}

/// Outside of quotes.
fn count(line: &str, delimiter: u8) -> usize {
    let mut quoted = false;
    let mut found = 0;
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte == delimiter && !quoted => found += 1,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_parted_whatever_parts_them() {
        for text in [
            "Nama,Biaya\nAsrama,\"Rp1,5 juta\"\n",
            "Nama;Biaya\nAsrama;Rp1,5 juta\n",
            "Nama\tBiaya\nAsrama\tRp1,5 juta\n",
            "Nama|Biaya\nAsrama|Rp1,5 juta\n",
            "sep=;\r\nNama;Biaya\r\nAsrama;Rp1,5 juta\r\n",
            "\n\nNama;Biaya\nAsrama;Rp1,5 juta;\n",
        ] {
            let original = Original {
                id: "docs/a.csv".into(),
                bytes: text.into(),
            };
            let content = read(&original).expect(text);
            let blocks = &content.documents[0].sections[0].blocks;
            assert_eq!(
                blocks[0].text(),
                "- Nama: Asrama; Biaya: Rp1,5 juta",
                "{text}"
            );
        }
    }
}
