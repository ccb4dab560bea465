//! Many texts as several calls.

use std::num::NonZeroUsize;

pub(super) struct Limits {
    pub(super) texts: NonZeroUsize,
    pub(super) characters: usize,
}

/// All texts in their order, in batches that are as large as `limits` allow. A
/// text that is too long by itself is alone.
pub(super) fn split(texts: Vec<String>, limits: &Limits) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut characters = 0_usize;
    for text in texts {
        let length = text.chars().count();
        characters = characters.saturating_add(length);
        match batches.last_mut() {
            Some(batch) if batch.len() < limits.texts.get() && characters <= limits.characters => {
                batch.push(text);
            }
            _ => {
                characters = length;
                batches.push(vec![text]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_the_order_and_both_limits() {
        for (texts, most, characters, expected) in [
            (&[][..], 2, 10, &[][..]),
            (&["a"], 2, 10, &[&["a"][..]][..]),
            (&["a", "b", "c"], 2, 10, &[&["a", "b"], &["c"]]),
            (
                &["aaaa", "bbb", "cc", "d"],
                9,
                5,
                &[&["aaaa"], &["bbb", "cc"], &["d"]],
            ),
            (&["aaaaaaaa", "b", "c"], 9, 3, &[&["aaaaaaaa"], &["b", "c"]]),
            (&["é🙂", "é"], 9, 3, &[&["é🙂", "é"]]),
            (&["a", "b"], 9, 0, &[&["a"], &["b"]]),
        ] {
            let limits = Limits {
                texts: NonZeroUsize::new(most).unwrap(),
                characters,
            };
            let texts = texts.iter().map(ToString::to_string).collect();
            assert_eq!(split(texts, &limits), expected);
        }
    }
}
