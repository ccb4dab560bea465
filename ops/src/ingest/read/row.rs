//! Rows of tables as text that can be searched, quoted and read out.

use workers::knowledge::markdown::{Block, Section};

use crate::ingest::outline::one_line;

/// Columns of one table; a wider one is no table to be read.
pub const MAX_COLUMNS: usize = 1_024;

/// Takes rows from the top; the first one with a cell names the columns.
#[derive(Default)]
pub struct Rows {
    columns: Option<Vec<String>>,
    blocks: Vec<Block>,
}

impl Rows {
    pub fn push(&mut self, cells: impl Iterator<Item = String>) {
        let cells: Vec<String> = cells
            .take(MAX_COLUMNS)
            .map(|cell| one_line(&cell))
            .collect();
        if cells.iter().all(String::is_empty) {
            return;
        }
        match &self.columns {
            None => self.columns = Some(cells),
            Some(columns) => self.blocks.push(Block::Row(named(columns, &cells))),
        }
    }

    /// A table of one row has nothing to name, and is kept as it is.
    pub fn finish(mut self, heading: Option<String>) -> Option<Section> {
        if self.blocks.is_empty() {
            self.blocks.push(Block::Row(named(&[], &self.columns?)));
        }
        Some(Section {
            heading,
            blocks: self.blocks,
        })
    }
}

/// `- Kolom: nilai; Kolom: nilai`, without the empty cells.
pub fn named(columns: &[String], cells: &[String]) -> String {
    let filled = cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| !cell.is_empty());
    let parts: Vec<String> = filled
        .map(|(at, cell)| match columns.get(at).map(String::as_str) {
            None | Some("") => cell.clone(),
            Some(column) => format!("{}: {cell}", column.trim_end_matches(':')),
        })
        .collect();
    format!("- {}", parts.join("; "))
}
