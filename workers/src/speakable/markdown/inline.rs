//! Marks inside a line: emphasis, links, citations, tags, code.

/// Citations, tags and link targets longer than this are taken for prose.
const MAX_CITATION: usize = 40;
const MAX_TAG: usize = 300;
const MAX_TARGET: usize = 2_000;
/// White space on a side of a star: what stands further away is no factor.
const MAX_GAP: usize = 8;

/// Appends `line` to `prose` without its marks.
pub(super) fn strip(line: &str, prose: &mut String) {
    let mut rest = line;
    let mut open_labels = 0_usize;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut taken = c.len_utf8();
        match c {
            '\\' if after.starts_with(|c: char| c.is_ascii_punctuation()) => {
                taken += 1;
                prose.extend(after.chars().next().filter(|c| !"*_`[]".contains(*c)));
            }
            '!' if after.starts_with('[') => {}
            '[' | '【' => match citation(rest) {
                Some(length) => {
                    taken = length;
                    prose.truncate(prose.trim_end().len());
                }
                None => open_labels += 1,
            },
            ']' => {
                if open_labels > 0 {
                    open_labels -= 1;
                    taken += target(after).unwrap_or(0);
                }
            }
            '<' => match tag(after) {
                Some((content, length)) => {
                    taken += length;
                    prose.push_str(content);
                }
                None => prose.push(c),
            },
            '&' => match entity(rest) {
                Some((content, length)) => {
                    taken = length;
                    prose.push_str(content);
                }
                None => prose.push(c),
            },
            '*' => prose.extend(times(prose, after)),
            '_' if is_inside_word(prose, after) => prose.push(c),
            '~' if after.starts_with('~') => taken += 1,
            '|' => prose.push_str(", "),
            '_' | '`' | '"' | '】' => {}
            _ => prose.push(c),
        }
        rest = &rest[taken..];
    }
}

/// The length of "[1]", "[2, 3]", "[4–6]", `[^7]` or "【1】" at the start.
fn citation(rest: &str) -> Option<usize> {
    let window = &rest[..rest.floor_char_boundary(MAX_CITATION)];
    let end = window.find([']', '】'])?;
    let inside = window[..end].trim_start_matches(['[', '【', '^']);
    let numbers = inside
        .chars()
        .all(|c| c.is_ascii_digit() || " ,;-–†:".contains(c));
    let footnote = window.starts_with("[^");
    let close = window[end..].chars().next().map_or(0, char::len_utf8);
    // "[2](https://…)" is a citation with a link.
    let length = end + close;
    (footnote || numbers && inside.contains(|c: char| c.is_ascii_digit()))
        .then(|| length + target(&rest[length..]).unwrap_or(0))
}

/// The length of "(https://…)" at the start, brackets in pairs.
fn target(rest: &str) -> Option<usize> {
    if !rest.starts_with('(') {
        return None;
    }
    let window = &rest[..rest.floor_char_boundary(MAX_TARGET)];
    let mut depth = 0_usize;
    for (index, c) in window.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// What remains of a tag, and the length to its end: an address, or a gap.
fn tag(after: &str) -> Option<(&str, usize)> {
    if !after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
        return None;
    }
    let window = &after[..after.floor_char_boundary(MAX_TAG)];
    let end = window.find('>')?;
    let inside = &window[..end];
    let address = !inside.contains(' ') && (inside.contains("://") || inside.contains('@'));
    Some((if address { inside } else { " " }, end + 1))
}

fn entity(rest: &str) -> Option<(&'static str, usize)> {
    const ENTITIES: [(&str, &str); 6] = [
        ("&nbsp;", " "),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", ""),
        ("&#39;", "'"),
    ];
    let found = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
    found.map(|(entity, content)| (*content, entity.len()))
}

/// A star is a multiplication between numbers or spaces, else emphasis.
fn times(prose: &str, after: &str) -> Option<char> {
    let is_side = |c: char| c.is_ascii_digit() || c == ' ';
    let numbers = is_digit_near(prose.chars().rev()) && is_digit_near(after.chars());
    let sides = prose.ends_with(is_side) && after.starts_with(is_side);
    (numbers && sides).then_some('×')
}

fn is_digit_near(side: impl Iterator<Item = char>) -> bool {
    let nearest = side.take(MAX_GAP).find(|c| !c.is_whitespace());
    nearest.is_some_and(|c| c.is_ascii_digit())
}

fn is_inside_word(prose: &str, after: &str) -> bool {
    prose.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric)
}
