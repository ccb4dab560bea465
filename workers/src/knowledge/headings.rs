//! The headings that are in force while a document is read.

use super::markdown::{Block, Section};

/// Bytes of a section's name, without what joins them. Each section repeats the headings above it, which could be more
/// than any memory holds.
const LONGEST_NAME: usize = 500;

/// Headings from the highest to the present one.
///
/// What looks like a heading can be all that there is: `## Kepala UPT: Dr. Anisa`, a question without an answer, a row of
/// a table. One that ends without text under it is given back as text, so that it does not vanish.
#[derive(Debug, Default)]
pub struct Headings {
    path: Vec<Heading>,
}

#[derive(Debug)]
struct Heading {
    level: u8,
    text: String,
    /// Whether text stands under it.
    used: bool,
}

impl Headings {
    /// Puts a heading of `level`, where 1 is the highest, in the place of those of its level and below.
    /// Those that end without text come back as sections, in their order.
    #[must_use]
    pub fn open(&mut self, level: u8, text: String) -> Vec<Section> {
        let lone = self.close(level);
        self.path.push(Heading {
            level,
            text,
            used: false,
        });
        lone
    }

    /// Ends the headings of `level` and below, as [`Self::open`] does.
    #[must_use]
    pub fn close(&mut self, level: u8) -> Vec<Section> {
        let mut lone = Vec::new();
        while let Some(ended) = self.path.pop_if(|last| last.level >= level) {
            if !ended.used {
                lone.push(Section {
                    heading: self.name(),
                    blocks: vec![Block::Paragraph(ended.text)],
                });
            }
        }
        lone
    }

    /// Adds to the heading that was opened last.
    pub fn extend(&mut self, text: &str) {
        if let Some(last) = self.path.last_mut() {
            last.text.push(' ');
            last.text.push_str(text);
        }
    }

    /// The name of a section with text, which names those above it too, as far as they are short enough together. The
    /// others count as headings without text.
    pub fn name(&mut self) -> Option<String> {
        let mut left = LONGEST_NAME;
        let mut fits = |heading: &Heading| {
            let rest = left.checked_sub(heading.text.len());
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let lowest_first = self.path.iter().rev();
        let named = lowest_first.take_while(|heading| fits(heading)).count();
        let from = self.path.len() - named;
        let named = self.path[from..].iter_mut().map(|heading| {
            heading.used = true;
            heading.text.as_str()
        });
        let names: Vec<&str> = named.collect();
        (!names.is_empty()).then(|| names.join(" – "))
    }
}

/// Adds headings without text to what was read before them: a run of them is one thought, or a list.
pub fn append(done: &mut Vec<Section>, lone: Vec<Section>) {
    for section in lone {
        match done.last_mut() {
            Some(last) if last.heading == section.heading => last.blocks.extend(section.blocks),
            _ => done.push(section),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_that_ends_without_text_becomes_text_under_the_one_above() {
        let mut headings = Headings::default();
        assert!(headings.open(1, "BAB I".into()).is_empty());
        assert!(headings.open(2, "Kepala: Anisa".into()).is_empty());
        let mut done = headings.open(2, "Wakil: Budi".into());
        append(&mut done, headings.close(1));
        let found: Vec<(Option<&str>, Vec<&str>)> = done
            .iter()
            .map(|section| {
                let blocks = section.blocks.iter().map(Block::text).collect();
                (section.heading.as_deref(), blocks)
            })
            .collect();
        assert_eq!(
            found,
            [(Some("BAB I"), vec!["Kepala: Anisa", "Wakil: Budi"])]
        );
    }

    #[test]
    fn a_heading_too_long_to_be_repeated_is_text_once() {
        let mut headings = Headings::default();
        let long = "A".repeat(LONGEST_NAME);
        assert!(headings.open(1, long.clone()).is_empty());
        assert_eq!(headings.name().as_deref(), Some(long.as_str()));
        assert!(headings.open(2, "Pasal 1".into()).is_empty());
        assert_eq!(headings.name().as_deref(), Some("Pasal 1"));
        let longer = "B".repeat(LONGEST_NAME + 1);
        assert!(headings.open(1, longer.clone()).is_empty());
        assert!(headings.open(2, "Pasal 2".into()).is_empty());
        assert_eq!(headings.name().as_deref(), Some("Pasal 2"));
        let lone = headings.close(1);
        assert_eq!(lone.len(), 1);
        assert_eq!(lone[0].blocks[0].text(), longer);
    }

    #[test]
    fn headings_that_name_a_section_are_not_given_back() {
        let mut headings = Headings::default();
        assert!(headings.open(1, "BAB I".into()).is_empty());
        assert!(headings.open(4, "Pasal 1".into()).is_empty());
        assert_eq!(headings.name().as_deref(), Some("BAB I – Pasal 1"));
        assert!(headings.close(1).is_empty());
    }
}
