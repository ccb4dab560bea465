//! Numbers with what belongs to them: units, percent, fractions, endings.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::cardinal;
use super::numeral::{self, Numeral};
use super::reader::{Before, Kind, Reading};
use super::roman;

static UNITS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("data/units.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect()
});
/// The longest unit, in characters.
const LONGEST_UNIT: usize = 5;
/// One letter after a space is a word or a name rather than a unit, but these.
const SPACED_LETTERS: [&str; 5] = ["m", "g", "l", "L", "x"];

/// A number at the start of `rest`, with its unit.
pub(super) fn read(rest: &str, before: &Before) -> Option<Reading> {
    if before.glued && matches!(before.kind, Kind::Word | Kind::Spelled) {
        return code(rest);
    }
    if let Some(fraction) = fraction(rest) {
        return Some(fraction);
    }
    let sign = sign(rest, before);
    let (number, length) = numeral::parse(&rest[sign.len()..])?;
    let mut length = sign.len() + length;
    let mut words = match sign {
        "-" => format!("minus {}", number.say()),
        "+" => format!("plus {}", number.say()),
        _ => number.say(),
    };
    let after = &rest[length..];
    if let Some(more) = ending(after) {
        words.push_str("an");
        length += more;
    } else if let Some((unit, more)) = unit(after) {
        words = format!("{words} {unit}");
        length += more;
    }
    Some(Reading::new(length, words, Kind::Number))
}

/// A sign counts where no word or number stands right before it.
fn sign<'a>(rest: &'a str, before: &Before) -> &'a str {
    let signed = !before.glued && rest.starts_with(['-', '+']);
    if signed { &rest[..1] } else { "" }
}

/// The number of "IF2110" or "S1": digit by digit from three digits on.
fn code(rest: &str) -> Option<Reading> {
    let (number, _) = numeral::parse(rest)?;
    let length = rest.bytes().take(64).take_while(u8::is_ascii_digit).count();
    let digits = &rest[..length];
    let words = match number {
        Numeral::Whole(number) if length <= 2 => cardinal::say(number),
        _ => match digits.parse() {
            Ok(number) if length <= 2 && !digits.starts_with('0') => cardinal::say(number),
            _ => cardinal::say_digits(digits),
        },
    };
    Some(Reading::new(length, words, Kind::Number))
}

/// "1/2" and "3/4", but not the date "3/4/2024" or the year "2023/2024".
fn fraction(rest: &str) -> Option<Reading> {
    let digits = |text: &str| text.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let first = digits(rest);
    let after = rest.get(first..)?.strip_prefix('/')?;
    let second = digits(after);
    let upper: u64 = rest[..first].parse().ok()?;
    let lower: u64 = after[..second]
        .parse()
        .ok()
        .filter(|lower| (2..=10).contains(lower))?;
    let ends = !after[second..].starts_with(|c: char| c.is_alphanumeric() || c == '/');
    let words = match (upper, lower) {
        (1, 2) => "setengah".to_owned(),
        (1, 4) => "seperempat".to_owned(),
        _ => format!("{} per {}", cardinal::say(upper), cardinal::say(lower)),
    };
    (ends && (1..lower).contains(&upper))
        .then(|| Reading::new(first + 1 + second, words, Kind::Number))
}

/// "1990-an", "17an".
fn ending(after: &str) -> Option<usize> {
    let rest = after
        .strip_prefix('-')
        .unwrap_or(after)
        .strip_prefix("an")?;
    (!rest.starts_with(char::is_alphanumeric)).then(|| after.len() - rest.len())
}

fn unit(after: &str) -> Option<(&'static str, usize)> {
    let gap = usize::from(after.starts_with(' '));
    let rest = &after[gap..];
    if rest.starts_with('%') {
        return Some(("persen", gap + 1));
    }
    let form_end = rest
        .char_indices()
        .take(LONGEST_UNIT + 1)
        .find(|(_, c)| !c.is_alphanumeric() && !matches!(c, '²' | '³'))
        .map_or(rest.floor_char_boundary(2 * LONGEST_UNIT), |(index, _)| {
            index
        });
    let form = &rest[..form_end];
    let reading = UNITS.get(form)?;
    let ends = !rest[form_end..].starts_with(char::is_alphanumeric);
    let close = gap == 0 || form.len() > 1 || SPACED_LETTERS.contains(&form);
    (ends && close).then_some((*reading, gap + form_end))
}

/// "ke-3" is "ketiga", "ke-II" "kedua"; "ke-1" is "pertama".
pub(super) fn ordinal(rest: &str) -> Option<Reading> {
    let prefix = rest
        .get(..3)
        .filter(|prefix| prefix.eq_ignore_ascii_case("ke-"))?;
    let after = &rest[prefix.len()..];
    let length = after
        .bytes()
        .take(20)
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    let text = &after[..length];
    let ends = !after[length..].starts_with(char::is_alphanumeric);
    let number = text.parse().ok().or_else(|| roman::value(text));
    let number = number.filter(|number| ends && *number < cardinal::LIMIT)?;
    let words = match number {
        1 => "pertama".to_owned(),
        _ => format!("ke{}", cardinal::say(number)),
    };
    Some(Reading::new(prefix.len() + length, words, Kind::Number))
}
