//! Headings and blocks, as readers find them, become sections.

use workers::knowledge::{
    headings::{self, Headings},
    markdown::{Block, Section},
};

/// Sections in the making. A section is named after the headings above it too.
#[derive(Default)]
pub struct Outline {
    done: Vec<Section>,
    headings: Headings,
    blocks: Vec<Block>,
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

    fn push(&mut self, text: String, block: fn(String) -> Block) {
        if !text.is_empty() {
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
        self.done.push(Section {
            heading: self.headings.name(),
            blocks: std::mem::take(&mut self.blocks),
        });
    }
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
