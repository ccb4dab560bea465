//! Sums of money: the currency is written first and said last.

use super::numeral::{self, Numeral};
use super::reader::{Kind, Reading};

const CURRENCIES: [(&str, &str); 15] = [
    ("Rp.", "rupiah"),
    ("Rp", "rupiah"),
    ("RP", "rupiah"),
    ("rp", "rupiah"),
    ("IDR", "rupiah"),
    ("US$", "dolar Amerika"),
    ("USD", "dolar Amerika"),
    ("S$", "dolar Singapura"),
    ("SGD", "dolar Singapura"),
    ("EUR", "euro"),
    ("JPY", "yen"),
    ("$", "dolar"),
    ("€", "euro"),
    ("£", "pound"),
    ("¥", "yen"),
];

/// Said between the number and the currency.
const MAGNITUDES: [(&str, &str); 9] = [
    ("ribu", "ribu"),
    ("rb", "ribu"),
    ("juta", "juta"),
    ("jt", "juta"),
    ("miliar", "miliar"),
    ("milyar", "miliar"),
    ("triliun", "triliun"),
    ("M", "miliar"),
    ("T", "triliun"),
];

/// Whether a sum begins here; a dash before it makes a range.
pub(super) fn starts(rest: &str) -> bool {
    sum(rest).is_some()
}

pub(super) fn read(rest: &str) -> Option<Reading> {
    let (currency, first, mut length) = sum(rest)?;
    let mut words = say(&first);
    if let Some((second, more)) = range_end(&rest[length..], currency) {
        words = format!("{words} sampai {}", say(&second));
        length += more;
    }
    if let Some((magnitude, more)) = magnitude(&rest[length..]) {
        words = format!("{words} {magnitude}");
        length += more;
    }
    // "Rp5.000,-" says that there are no cents.
    let dash = [",-", ",–", ",--"]
        .into_iter()
        .rev()
        .find(|dash| rest[length..].starts_with(dash));
    length += dash.map_or(0, str::len);
    Some(Reading::new(
        length,
        format!("{words} {currency}"),
        Kind::Number,
    ))
}

fn sum(rest: &str) -> Option<(&'static str, Numeral<'_>, usize)> {
    let (sign, currency) = CURRENCIES.iter().find(|(sign, _)| rest.starts_with(sign))?;
    let after = &rest[sign.len()..];
    let gap = usize::from(after.starts_with(' '));
    let (number, length) = numeral::parse(&after[gap..])?;
    Some((currency, number, sign.len() + gap + length))
}

fn range_end<'a>(rest: &'a str, currency: &str) -> Option<(Numeral<'a>, usize)> {
    let after = rest
        .trim_start_matches(' ')
        .strip_prefix(['-', '–'])?
        .trim_start_matches(' ');
    let skipped = rest.len() - after.len();
    if skipped > 5 {
        return None;
    }
    let (number, length) = match sum(after) {
        Some((same, number, length)) if same == currency => (number, length),
        Some(_) => return None,
        None => numeral::parse(after)?,
    };
    Some((number, skipped + length))
}

fn magnitude(rest: &str) -> Option<(&'static str, usize)> {
    let gap = usize::from(rest.starts_with(' '));
    MAGNITUDES.iter().find_map(|(form, said)| {
        let after = rest[gap..].strip_prefix(form)?;
        let ends = !after.starts_with(char::is_alphanumeric);
        ends.then_some((*said, gap + form.len()))
    })
}

/// Cents of nothing are not worth saying.
fn say(number: &Numeral) -> String {
    match number {
        Numeral::Decimal(whole, "00") => Numeral::Whole(*whole).say(),
        other => other.say(),
    }
}
