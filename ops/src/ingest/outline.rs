//! Headings and blocks, as readers find them, become sections.

use workers::knowledge::{
    headings::{self, Headings},
    markdown::{Block, Section},
};

use super::read::MAX_TEXT;

/// Sections in the making. A section is named after the headings above it too.
#[derive(Default)]
pub struct Outline {
    done: Vec<Section>,
    headings: Headings,
    blocks: Vec<Block>,
    /// Bytes of text so far.
    bytes: usize,
}

impl Outline {
    /// A heading of `level`, where 1 is the highest. The one that it replaces becomes text if nothing stands under it.
    pub fn heading(&mut self, level: u8, text: &str) {
        let text = one_line(text);
        if text.is_empty() {
            return;
        }
        self.close_section();
        let lone = self.headings.open(level, text);
        headings::append(&mut self.done, lone);
    }

    /// The title of the whole, under which everything stands: it names no section.
    pub fn title(&mut self) {
        self.end_headings();
    }

    /// Adds to the heading that was opened last, while nothing stands under it.
    pub fn extend_heading(&mut self, text: &str) {
        self.headings.extend(&one_line(text));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.push(one_line(text), Block::Paragraph);
    }

    /// A list item or a row of a table, with its mark.
    pub fn item(&mut self, text: &str) {
        self.push(one_line(text), Block::Item);
    }

    /// A row of a table as an item: `- cell; column: cell`. The first cell names its row.
    pub fn row(&mut self, columns: &[String], cells: &[String]) {
        if !self.is_full() {
            let named = cells.iter().enumerate().map(|(at, cell)| {
                let column = columns.get(at).filter(|_| at > 0);
                (column.map_or("", String::as_str), cell.as_str())
            });
            self.item(&row(named));
        }
    }

    /// Rows repeat the names of their columns, and sections the headings above them: what is more than any file may hold,
    /// and so is refused as a whole, is not made first.
    fn is_full(&self) -> bool {
        self.bytes > MAX_TEXT
    }

    fn push(&mut self, text: String, block: fn(String) -> Block) {
        if !text.is_empty() && !self.is_full() {
            self.bytes += text.len();
            self.blocks.push(block(text));
        }
    }

    /// What was read so far; the headings stay in force for what follows, as they do over a page's end.
    pub fn take(&mut self) -> Vec<Section> {
        self.close_section();
        std::mem::take(&mut self.done)
    }

    /// What is left when all has been read.
    pub fn finish(mut self) -> Vec<Section> {
        self.end_headings();
        self.done
    }

    fn end_headings(&mut self) {
        self.close_section();
        let lone = self.headings.close(1);
        headings::append(&mut self.done, lone);
    }

    fn close_section(&mut self) {
        if self.blocks.is_empty() {
            return;
        }
        let heading = self.headings.name();
        self.bytes += heading.as_ref().map_or(0, String::len);
        self.done.push(Section {
            heading,
            blocks: std::mem::take(&mut self.blocks),
        });
    }
}

/// `- Kolom: nilai; nilai`: cells with their names, which can be empty, without the empty cells.
pub fn row<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut row = String::from("- ");
    for (column, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
        if row.len() > 2 {
            row.push_str("; ");
        }
        let column = column.trim_end_matches(':');
        if !column.is_empty() {
            row.push_str(column);
            row.push_str(": ");
        }
        row.push_str(cell);
    }
    row
}

/// White space as one space each, without what cannot be seen or quoted.
pub fn one_line(text: &str) -> String {
    let visible = |character: &char| !matches!(character, '\u{ad}' | '\u{200b}' | '\u{feff}');
    let text: String = text
        .chars()
        .filter(visible)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_named_after_their_headings_and_keep_them_over_pages() {
        let mut outline = Outline::default();
        outline.paragraph("Pembuka");
        outline.heading(1, "BAB I");
        outline.extend_heading("UMUM");
        outline.heading(4, "Pasal 1");
        outline.paragraph("Satu\u{ad}an\n  dua");
        let first = outline.take();
        outline.item("- butir");
        outline.heading(1, "BAB II");
        outline.paragraph(" ");
        let second = outline.finish();
        let headings: Vec<_> = first
            .iter()
            .chain(&second)
            .map(|section| section.heading.as_deref())
            .collect();
        assert_eq!(
            headings,
            [
                None,
                Some("BAB I UMUM – Pasal 1"),
                Some("BAB I UMUM – Pasal 1"),
                None
            ]
        );
        assert_eq!(second[1].blocks[0].text(), "BAB II");
        assert_eq!(first[1].blocks[0].text(), "Satuan dua");
    }
}
