//! Times of day: "08.00", "pukul 7.30", "23:59".

use super::cardinal;
use super::reader::{Before, Kind, Reading};

const ZONES: [&str; 4] = ["WIB", "WITA", "WIT", "GMT"];
/// A number of two digits after one of these is no time.
const MEASURES: [&str; 8] = [
    "ipk", "ip", "nilai", "skor", "indeks", "sebesar", "rata", "senilai",
];
/// Words after which any time is one.
const ANNOUNCERS: [&str; 5] = ["pukul", "jam", "pkl", "sampai", "hingga"];

/// Minutes as written, to be read as they are heard: "delapan nol lima".
struct Time<'a> {
    hour: u64,
    hour_digits: usize,
    minute: &'a str,
    separator: u8,
    length: usize,
}

pub(super) fn read(rest: &str, before: &Before) -> Option<Reading> {
    let time = parse(rest)?;
    let announced = ANNOUNCERS.contains(&before.word.as_str());
    if !announced && !is_surely_time(&time, &rest[time.length..], before) {
        return None;
    }
    let said = announced || before.kind == Kind::Time;
    let words = format!("{}{}", if said { "" } else { "pukul " }, say(&time));
    Some(Reading::new(time.length, words, Kind::Time))
}

fn parse(rest: &str) -> Option<Time<'_>> {
    let hour_digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let hour: u64 = rest[..hour_digits]
        .parse()
        .ok()
        .filter(|hour| *hour <= 24)?;
    let separator = *rest.as_bytes().get(hour_digits)?;
    let minute = rest.get(hour_digits + 1..hour_digits + 3)?;
    let valid = minute.bytes().all(|byte| byte.is_ascii_digit()) && minute < "60";
    let length = hour_digits + 3;
    let after = &rest.as_bytes()[length..];
    let goes_on = matches!(
        after,
        [b'0'..=b'9', ..] | [b'.' | b',' | b':', b'0'..=b'9', ..] | [b'%', ..]
    );
    (valid && !goes_on && matches!(separator, b'.' | b':')).then_some(Time {
        hour,
        hour_digits,
        minute,
        separator,
        length,
    })
}

fn is_surely_time(time: &Time, after: &str, before: &Before) -> bool {
    if before.kind == Kind::Time {
        return true;
    }
    let next = after.trim_start_matches([' ', '-', '–']);
    let in_zone = ZONES
        .iter()
        .any(|zone| after.trim_start().starts_with(zone));
    let is_range = next.len() < after.len()
        && !after.starts_with("  ")
        && after.trim_start().starts_with(['-', '–'])
        && parse(next).is_some();
    let is_measure = MEASURES.contains(&before.word.as_str());
    let looks_like_one = time.hour_digits == 2
        && (time.separator == b':' || time.hour < 10 || matches!(time.minute, "00" | "30"));
    in_zone || is_range || (looks_like_one && !is_measure)
}

fn say(time: &Time) -> String {
    let hour = if time.hour == 0 {
        "nol nol".to_owned()
    } else {
        cardinal::say(time.hour)
    };
    match time.minute {
        "00" => hour,
        minute if minute.starts_with('0') => format!("{hour} {}", cardinal::say_digits(minute)),
        minute => format!(
            "{hour} {}",
            cardinal::say(minute.parse().unwrap_or_default())
        ),
    }
}
