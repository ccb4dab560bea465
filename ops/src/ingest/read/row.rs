//! Rows of tables as text that can be searched, quoted and read out.

use std::iter::repeat;

use workers::knowledge::markdown::{Block, Section};

use super::MAX_TEXT;
use crate::ingest::outline::{one_line, row};

/// Columns of one table; a wider one is no table to be read.
pub const MAX_COLUMNS: usize = 1_024;

/// Lines of one cell that can stand above the names of the columns.
const MAX_TITLES: usize = 5;

/// Takes rows from the top; the first one with two cells names the columns, and what stands above it is a title.
#[derive(Default)]
pub struct Rows {
    /// Rows of one cell at the top: titles of a table, or a table of one column.
    above: Vec<Vec<String>>,
    columns: Option<Vec<String>>,
    blocks: Vec<Block>,
    /// Bytes of rows, which repeat the names of their columns.
    bytes: usize,
}

impl Rows {
    pub fn push(&mut self, cells: impl Iterator<Item = String>) {
        // More than any file may hold is refused as a whole, and need not be made first.
        if self.bytes > MAX_TEXT {
            return;
        }
        let cells: Vec<String> = cells
            .take(MAX_COLUMNS)
            .map(|cell| one_line(&cell))
            .collect();
        if cells.iter().all(String::is_empty) {
            return;
        }
        match &self.columns {
            None if cells.iter().filter(|cell| !cell.is_empty()).count() == 1 => {
                self.above.push(cells);
                if self.above.len() > MAX_TITLES {
                    self.as_one_column();
                }
            }
            None => {
                let titles = self.above.drain(..).flatten();
                let titles = titles.filter(|title| !title.is_empty());
                self.blocks.extend(titles.map(Block::Paragraph));
                self.columns = Some(cells);
            }
            Some(columns) => {
                let row = named(columns, &cells);
                self.bytes += row.len();
                self.blocks.push(Block::Row(row));
            }
        }
    }

    fn as_one_column(&mut self) {
        let mut rows = self.above.drain(..);
        if let Some(columns) = rows.next() {
            self.blocks
                .extend(rows.map(|cells| Block::Row(named(&columns, &cells))));
            self.columns = Some(columns);
        }
    }

    /// A table of one row has nothing to name, and is kept as it is.
    pub fn finish(mut self, heading: Option<String>) -> Option<Section> {
        if self.columns.is_none() {
            self.as_one_column();
        }
        let columns = self.columns?;
        if !self
            .blocks
            .iter()
            .any(|block| matches!(block, Block::Row(_)))
        {
            self.blocks.push(Block::Row(named(&[], &columns)));
        }
        Some(Section {
            heading,
            blocks: self.blocks,
        })
    }
}

/// `- Kolom: nilai; Kolom: nilai`, without the empty cells.
fn named(columns: &[String], cells: &[String]) -> String {
    let names = columns.iter().map(String::as_str).chain(repeat(""));
    row(names.zip(cells.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_above_the_columns_do_not_name_them() {
        for (table, expected) in [
            (
                "Tarif 2025||\nper bulan||\nKamar|Biaya\nGanda|Rp1",
                vec!["Tarif 2025", "per bulan", "- Kamar: Ganda; Biaya: Rp1"],
            ),
            (
                "Tarif 2025\nKamar|Biaya",
                vec!["Tarif 2025", "- Kamar; Biaya"],
            ),
            (
                "Nama\nAsrama\nKantin",
                vec!["- Nama: Asrama", "- Nama: Kantin"],
            ),
            (
                "Nama\n1\n2\n3\n4\n5\n6|7",
                vec![
                    "- Nama: 1",
                    "- Nama: 2",
                    "- Nama: 3",
                    "- Nama: 4",
                    "- Nama: 5",
                    "- Nama: 6; 7",
                ],
            ),
            ("Nama", vec!["- Nama"]),
        ] {
            let mut rows = Rows::default();
            for line in table.lines() {
                rows.push(line.split('|').map(str::to_owned));
            }
            let section = rows.finish(None).expect("a table");
            let found: Vec<&str> = section.blocks.iter().map(Block::text).collect();
            assert_eq!(found, expected, "{table}");
        }
    }
}
