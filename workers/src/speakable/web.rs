//! Web and mail addresses.

use super::cardinal;
use super::reader::{Kind, Reading};
use super::words;

/// Longer words without a scheme are not looked at.
const MAX_BARE: usize = 256;
/// Longer addresses are taken to end here (browsers give up at about this).
const MAX_ADDRESS: usize = 2_048;
/// A path longer than this is not said: nobody could note it down.
const MAX_PATH: usize = 40;
/// Endings that make "itb.ac.id" an address without "www" or a scheme.
const TOP_LEVEL: [&str; 9] = ["id", "com", "org", "net", "edu", "gov", "io", "app", "info"];

/// An address at the start of `rest`: "https://www.itb.ac.id/admisi" is said
/// as "i te be titik a ce titik i de garis miring admisi".
pub(super) fn read(rest: &str) -> Option<Reading> {
    let has_scheme = scheme(rest).is_some() || starts_with(rest, "www.");
    let limit = if has_scheme { MAX_ADDRESS } else { MAX_BARE };
    let window = &rest[..rest.floor_char_boundary(limit)];
    let end = window.find(|c: char| c.is_whitespace() || "<>()\"".contains(c));
    let token = window[..end.unwrap_or(window.len())]
        .trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '-', '–', ']', '}']);
    let address = scheme(token).map_or(token, |length| &token[length..]);
    let said = mail(address).or_else(|| site(address, has_scheme))?;
    Some(Reading::new(token.len(), said, Kind::Other))
}

fn scheme(text: &str) -> Option<usize> {
    const SCHEMES: [&str; 4] = ["https://", "http://", "mailto:", "ftp://"];
    SCHEMES
        .iter()
        .find(|scheme| starts_with(text, scheme))
        .map(|scheme| scheme.len())
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn mail(address: &str) -> Option<String> {
    let (user, domain) = address.split_once('@')?;
    let valid = !user.is_empty()
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b));
    (valid && is_domain(domain) && domain.contains('.'))
        .then(|| format!("{} at {}", say_parts(user), say_parts(domain)))
}

fn site(address: &str, has_scheme: bool) -> Option<String> {
    let end = address.find(['/', '?', '#', ':']).unwrap_or(address.len());
    let (domain, path) = address.split_at(end);
    let host = if starts_with(domain, "www.") {
        &domain[4..]
    } else {
        domain
    };
    if !is_domain(host) || !(has_scheme || is_public(host)) {
        return None;
    }
    Some(format!("{}{}", say_parts(host), say_path(path)))
}

fn is_domain(text: &str) -> bool {
    text.len() <= MAX_BARE
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_public(host: &str) -> bool {
    host.rsplit_once('.').is_some_and(|(name, top)| {
        TOP_LEVEL.contains(&top) && name.contains(|c: char| c.is_ascii_alphabetic())
    })
}

/// The query is never said, the path only where it is short and made of words.
fn say_path(path: &str) -> String {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let path = path[..end].trim_matches('/');
    let sayable = path.len() <= MAX_PATH
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"/-_.".contains(&byte));
    let segments = path
        .split('/')
        .filter(|segment| sayable && !segment.is_empty());
    segments
        .map(|segment| format!(" garis miring {}", say_parts(segment)))
        .collect()
}

/// Words with the names of the signs between them.
fn say_parts(text: &str) -> String {
    let mut said = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let same = |other: char| match c {
            _ if c.is_ascii_digit() => other.is_ascii_digit(),
            _ if c.is_ascii_alphabetic() => other.is_ascii_alphabetic(),
            _ => false,
        };
        let end = rest
            .find(|other| !same(other))
            .unwrap_or(rest.len())
            .max(c.len_utf8());
        let part = &rest[..end];
        said.push(match c {
            '.' => "titik".to_owned(),
            '-' => "strip".to_owned(),
            '_' => "garis bawah".to_owned(),
            '+' => "plus".to_owned(),
            '%' => "persen".to_owned(),
            _ if c.is_ascii_digit() => cardinal::say_digits(part),
            _ => say_label(part),
        });
        rest = &rest[end..];
    }
    said.join(" ")
}

/// "itb" and "ac" are spelled, "com" and "kampus" said.
fn say_label(label: &str) -> String {
    let lower = label.to_ascii_lowercase();
    match lower.as_str() {
        "com" => "kom".to_owned(),
        "co" => "ko".to_owned(),
        "go" | "or" | "sch" | "ac" | "id" => words::spell(&lower),
        _ => words::say(&lower.to_ascii_uppercase(), "").0,
    }
}
