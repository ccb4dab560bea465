//! Abbreviations written with dots: "dll.", "Prof.", "S.T.".

use std::collections::HashMap;
use std::sync::LazyLock;

/// Where the form counts as the abbreviation, and whether its dot can be a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    BeforeDigit,
    MayEndSentence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abbreviation {
    pub(crate) reading: &'static str,
    pub(crate) place: Place,
}

static TABLE: LazyLock<HashMap<&'static str, Abbreviation>> = LazyLock::new(|| {
    let lines = include_str!("data/abbreviations.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(row)
        .collect()
});

/// The longest form in bytes, and so the look-ahead that is enough.
pub(crate) const LONGEST: usize = 16;

fn row(line: &'static str) -> Option<(&'static str, Abbreviation)> {
    let mut cells = line.split('\t');
    let (form, reading, place) = (cells.next()?, cells.next()?, cells.next()?);
    let place = match place {
        "d" => Place::BeforeDigit,
        "e" => Place::MayEndSentence,
        _ => Place::Anywhere,
    };
    Some((form, Abbreviation { reading, place }))
}

/// The abbreviation that is exactly `form`, its last dot included.
pub(crate) fn lookup(form: &str) -> Option<Abbreviation> {
    if form.len() > LONGEST {
        return None;
    }
    TABLE
        .get(form)
        .or_else(|| TABLE.get(form.to_lowercase().as_str()))
        .copied()
}

/// The abbreviation at the start of `rest` and its length in bytes, the longest
/// that fits: "S.T." in "S.T., M.T.", "Prof." in "Prof.Dr.".
pub(super) fn at_start(rest: &str) -> Option<(Abbreviation, usize)> {
    let window = &rest[..rest.floor_char_boundary(LONGEST)];
    let end = window
        .find(|c: char| !c.is_ascii_alphabetic() && c != '.' && c != '/')
        .unwrap_or(window.len());
    let ends = (1..=end).rev().filter(|end| {
        let next = rest[*end..].chars().next();
        rest[..*end].ends_with('.')
            || rest[..*end].contains('/') && !next.is_some_and(char::is_alphanumeric)
    });
    ends.filter_map(|end| Some((lookup(&rest[..end])?, end)))
        .find(|(abbreviation, end)| {
            abbreviation.place != Place::BeforeDigit || digit_follows(&rest[*end..])
        })
}

fn digit_follows(rest: &str) -> bool {
    rest.trim_start_matches(' ')
        .starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_complete_and_short_enough_to_be_found() {
        for line in include_str!("data/abbreviations.tsv").lines() {
            if line.starts_with('#') {
                continue;
            }
            let (form, abbreviation) = row(line).unwrap_or_else(|| panic!("{line:?}"));
            assert_eq!(lookup(form), Some(abbreviation), "{form}");
        }
    }

    #[test]
    fn the_longest_form_wins_and_numbers_are_asked_for() {
        let found = |text: &str| at_start(text).map(|(found, end)| (found.reading, end));
        assert_eq!(found("S.T., M.T."), Some(("sarjana teknik", 4)));
        assert_eq!(found("Prof.Dr.Ir. Budi"), Some(("profesor", 5)));
        assert_eq!(found("No. 10"), Some(("nomor", 3)));
        assert_eq!(found("no. thanks"), None);
        assert_eq!(found("s/d Juni"), Some(("sampai dengan", 3)));
        assert_eq!(found("rumah."), None);
    }
}
