//! A passage taken apart into what can be quoted alone.

use std::ops::Range;

use crate::knowledge::{chunk::item_text, sentence::sentences};

/// The sentences and the items of lists, in bytes of `text`. An item's own mark is left out.
pub fn units(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim_end();
        match item_text(trimmed) {
            Some((_, item)) if !item.trim().is_empty() => {
                let end = start + trimmed.len();
                found.push(end - item.trim_start().len()..end);
            }
            _ => found.extend(
                sentences(trimmed)
                    .into_iter()
                    .map(|range| start + range.start..start + range.end),
            ),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_items_are_units() {
        let text = "Satu. Dua!\r\n- tiga. empat\n2. lima\n\n  Enam";
        let found: Vec<&str> = units(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["Satu.", "Dua!", "tiga. empat", "lima", "Enam"]);
        assert!(units(" \n").is_empty());
    }
}
