//! Whether the work for a text grows with its length, and not with its square.
//!
//! Text from outside is as hostile as it can be: a mark that opens something and is never closed, a hundred thousand
//! times. A reader that looks ahead from each of them takes minutes for what fits into one request.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of the longer text. The square of it is seconds even for a search that compares 32 bytes at a time.
const LONG: usize = 128 * 1024;

/// How much longer it is than the shorter one.
const TIMES: usize = 8;

/// Linear work takes 8 times as long, quadratic work 64 times. Between them is room on both sides for a machine that has
/// other work.
const MOST: u32 = 24;

/// Bytes of a piece, which are some words.
const PIECE: usize = 16;

/// What is done sooner is not measured: a square would show.
const FAST: Duration = Duration::from_millis(30);

/// The shorter text takes no less than this, by which a few page faults are no measure.
const LEAST: Duration = Duration::from_millis(2);

/// Text in which a part is repeated.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// `aaaa`
    Run(&'static str),
    /// `aabb`
    Two(&'static str, &'static str),
    /// One long `a` in a frame (`before`, `after`), then many `b`.
    Long(&'static str, &'static str, &'static str, &'static str),
}

/// What readers of prose and of Markdown look for, opened and never closed among it.
pub const MARKS: &[Pattern] = &[
    Pattern::Run("["),
    Pattern::Run("]"),
    Pattern::Run("!["),
    Pattern::Run("[]"),
    Pattern::Run("[]("),
    Pattern::Run("[a](b"),
    Pattern::Run("[1]"),
    Pattern::Run("[1"),
    Pattern::Run("【1】"),
    Pattern::Run("【1†"),
    Pattern::Run("("),
    Pattern::Run(")"),
    Pattern::Run("*"),
    Pattern::Run("* "),
    Pattern::Run("  *"),
    Pattern::Run("**a"),
    Pattern::Run("_"),
    Pattern::Run("_a"),
    Pattern::Run("`"),
    Pattern::Run("`a"),
    Pattern::Run("```\n"),
    Pattern::Run("<"),
    Pattern::Run("<a"),
    Pattern::Run("<b>"),
    Pattern::Run("</"),
    Pattern::Run("<!--"),
    Pattern::Run("<think>"),
    Pattern::Run("</think>"),
    Pattern::Run("<kutipan-"),
    Pattern::Run("zq"),
    Pattern::Run("|"),
    Pattern::Run("|a"),
    Pattern::Run("|a|b\n"),
    Pattern::Run("\\"),
    Pattern::Run("\\|"),
    Pattern::Run("&"),
    Pattern::Run("&amp"),
    Pattern::Run("#"),
    Pattern::Run("# "),
    Pattern::Run("# a\n"),
    Pattern::Run("## a\nb\n"),
    Pattern::Run("> "),
    Pattern::Run("- "),
    Pattern::Run("- a\n"),
    Pattern::Run("-\n"),
    Pattern::Run("a-\n"),
    Pattern::Run("abc-\ndef-\n"),
    Pattern::Run("1. "),
    Pattern::Run("1.\n"),
    Pattern::Run("1"),
    Pattern::Run("1."),
    Pattern::Run("1,"),
    Pattern::Run("1/"),
    Pattern::Run("1:"),
    Pattern::Run("0-"),
    Pattern::Run("+62 "),
    Pattern::Run("."),
    Pattern::Run(". "),
    Pattern::Run("a. "),
    Pattern::Run("A. "),
    Pattern::Run("A."),
    Pattern::Run("Prof. "),
    Pattern::Run("!"),
    Pattern::Run("? "),
    Pattern::Run("\""),
    Pattern::Run("'"),
    Pattern::Run("a'"),
    Pattern::Run("“"),
    Pattern::Run(" "),
    Pattern::Run("\n"),
    Pattern::Run("\r"),
    Pattern::Run("\t"),
    Pattern::Run("a"),
    Pattern::Run("A"),
    Pattern::Run("a "),
    Pattern::Run("é"),
    Pattern::Run("\u{301}"),
    Pattern::Run("\u{ad}"),
    Pattern::Run("\u{200b}"),
    Pattern::Run("🙂"),
    Pattern::Run("www."),
    Pattern::Run("www.,"),
    Pattern::Run("http://"),
    Pattern::Run("a@"),
    Pattern::Run("a.b."),
    Pattern::Run("Rp"),
    Pattern::Run("Rp1 - "),
    Pattern::Run("ke-"),
    Pattern::Run("Pasal 1\n"),
    Pattern::Run("BAB I\nA\n"),
    Pattern::Run("NIRJAWAB"),
    Pattern::Run("N"),
    Pattern::Two("[", "]"),
    Pattern::Two("[", "]("),
    Pattern::Two("[", "]()"),
    Pattern::Two("(", ")"),
    Pattern::Two(")", "\n"),
    Pattern::Two(")", ")\n\n"),
    Pattern::Two("\"", "\n"),
    Pattern::Two("<b>", "\n"),
    Pattern::Two("<b>", "<b>\n\n"),
    Pattern::Two("<b>", "*"),
    Pattern::Two(" ", "\n"),
    Pattern::Two(".", "\n"),
    Pattern::Two("-", "\na-"),
    Pattern::Two("a", "\n-"),
    Pattern::Two("a", "-\nb"),
    Pattern::Two("a", "[1]."),
    Pattern::Two("\n", " "),
    Pattern::Two("* ", "\n"),
    // A title, a heading or the name of a column that everything after it repeats.
    Pattern::Long("# ", "a", "\n", "b. B\n"),
    Pattern::Long("# a\n# ", "b", "\n", "## c\nd\n"),
    Pattern::Long("|a|", "b", "|\n|-|-|\n", "|c|d|\n"),
    Pattern::Long("---\ntitle: ", "a", "\n---\n", "# b\nc\n"),
    Pattern::Long("BAB I ", "A", "\n", "Pasal 1\nb\n"),
];

impl Pattern {
    /// About `bytes` of it.
    #[must_use]
    pub fn text(self, bytes: usize) -> String {
        let repeated = |part: &str, bytes: usize| part.repeat(bytes / part.len());
        match self {
            Self::Run(part) => repeated(part, bytes),
            Self::Two(first, second) => repeated(first, bytes / 2) + &repeated(second, bytes / 2),
            Self::Long(before, part, after, rest) => {
                let long = repeated(part, bytes / 2);
                format!("{before}{long}{after}{}", repeated(rest, bytes / 2))
            }
        }
    }
}

/// `text` as it comes over a network, in short pieces.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Has `read` read each of `patterns` in two lengths.
///
/// # Panics
///
/// When the longer text takes out of proportion more time of the processor.
pub fn assert_linear(reader: &str, patterns: &[Pattern], read: impl Fn(&str)) {
    for pattern in patterns {
        let long = pattern.text(LONG);
        let took = fastest(1, &long, &read);
        if took <= FAST {
            continue;
        }
        let short = fastest(3, &pattern.text(LONG / TIMES), &read);
        let most = short.max(LEAST) * MOST;
        let took = if took > most {
            fastest(2, &long, &read)
        } else {
            took
        };
        assert!(
            took <= most,
            "{reader}: {pattern:?} takes {took:?}, and {short:?} where it is {TIMES} times as short"
        );
    }
}

/// The least of several times: what is more is the machine's other work.
fn fastest(times: u32, text: &str, read: &impl Fn(&str)) -> Duration {
    let one = |_| {
        let started = thread_time();
        read(text);
        thread_time().saturating_sub(started)
    };
    (0..times).map(one).min().unwrap_or_default()
}

/// The time that this thread has had of a processor, so that other work beside it does not count.
pub fn thread_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn work_for_each_character_is_fine() {
        assert_linear("a count", &[Pattern::Run("a")], |text| {
            for character in text.chars() {
                black_box((0..100).fold(character, |last, _| black_box(last)));
            }
        });
    }

    #[test]
    #[should_panic(expected = "a square: Run(\"[\") takes")]
    fn a_look_at_the_rest_for_each_character_is_found() {
        assert_linear("a square", &[Pattern::Run("[")], |text| {
            for (at, _) in text.char_indices() {
                black_box(text[at..].find(']'));
            }
        });
    }
}
