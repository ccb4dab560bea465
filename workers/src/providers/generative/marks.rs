//! The text of an answer, taken out of a model's reply while it still comes.
//!
//! What is text is given back at once. Citation marks are taken out and remembered with their place; so is what the
//! model repeats of the prompt's fences, and simple Markdown (stars, backticks, headings), which nobody wants to hear or
//! see. White space is given back before the character that follows it, as it is dropped before a mark and at the
//! end. The result depends on the reply alone, never on how it was cut into pieces.

use super::{
    fence::{self, Fence},
    mark::{self, More, Verdict},
    refusal::{self, Found, MARKER},
};

/// Of a reply, text or not, more is never read.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// What a model may still say after it refused, until it is stopped. Its
/// usage comes after that.
const MAX_CHATTER_BYTES: usize = 2_000;

/// The part of the limit after which the next end of a sentence is the end.
const SOFT_LIMIT_TENTHS: usize = 9;

/// What a reply is read by.
pub struct Rules<'a> {
    pub fence: &'a Fence,
    /// Marks above this number have no passage.
    pub passages: usize,
    /// In characters.
    pub limit: usize,
    /// What is said when the model refuses.
    pub refusal: &'a str,
}

/// Where an answer leans on passages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lean {
    /// In bytes of the text, after what leans.
    pub at: usize,
    /// Counted from 0, in the order of the mark.
    pub passages: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is given back yet; the reply may be the refusal.
    Opening,
    Writing,
    /// The model said the agreed marker.
    Refused,
    /// As long as an answer may be.
    Full,
}

/// Reads one reply.
pub struct Reader<'a> {
    rules: Rules<'a>,
    state: State,
    /// What is not decided yet.
    held: String,
    text: String,
    chars: usize,
    leans: Vec<Lean>,
    gap: Gap,
    taken: usize,
    chatter: usize,
    /// A mark was taken out, and nothing was written since.
    after_mark: Option<Gap>,
    in_stars: bool,
    /// The marker was taken out; the stop behind it goes too.
    after_marker: bool,
}

/// White space that is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    Paragraph,
}

impl<'a> Reader<'a> {
    pub fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            state: State::Opening,
            held: String::new(),
            text: String::new(),
            chars: 0,
            leans: Vec::new(),
            gap: Gap::None,
            taken: 0,
            chatter: 0,
            after_mark: None,
            in_stars: false,
            after_marker: false,
        }
    }

    /// Takes the next piece of the reply, and gives back what it adds to the text.
    pub fn push(&mut self, piece: &str) -> &str {
        let before = self.text.len();
        if self.is_reading() {
            self.held.push_str(piece);
            self.read(More::MayCome);
        } else {
            self.chatter += piece.len();
        }
        &self.text[before..]
    }

    /// Gives back the rest of the text when the reply is over.
    pub fn finish(&mut self) -> &str {
        let before = self.text.len();
        self.read(More::IsOver);
        &self.text[before..]
    }

    /// Nothing that may still come is of use.
    pub fn is_done(&self) -> bool {
        self.state == State::Full || self.chatter > MAX_CHATTER_BYTES
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// The text and where it leans on passages.
    pub fn into_parts(self) -> (String, Vec<Lean>) {
        (self.text, self.leans)
    }

    fn is_reading(&self) -> bool {
        matches!(self.state, State::Opening | State::Writing)
    }

    fn read(&mut self, more: More) {
        let held = std::mem::take(&mut self.held);
        let mut at = 0;
        while self.is_reading() && at < held.len() {
            match self.step(&held[at..], more) {
                Some(length) => at += length,
                None => break,
            }
        }
        if self.is_reading() {
            held[at..].clone_into(&mut self.held);
        }
    }

    /// Takes what stands at the start of `rest` and gives its length, or
    /// nothing when the next characters decide what it is.
    fn step(&mut self, rest: &str, more: More) -> Option<usize> {
        let c = rest.chars().next()?;
        let length = match self.state {
            State::Opening if c.is_whitespace() => c.len_utf8(),
            State::Opening => {
                match refusal::opens(rest, more) {
                    Found::Yes => self.refuse(),
                    Found::No => self.state = State::Writing,
                    Found::Open => return None,
                }
                0
            }
            _ => self.take(c, rest, more)?,
        };
        self.taken += length;
        if self.taken > MAX_REPLY_BYTES {
            self.state = State::Full;
        }
        if self.state == State::Refused {
            return Some(rest.len());
        }
        Some(length)
    }

    fn take(&mut self, c: char, rest: &str, more: More) -> Option<usize> {
        let in_stars = std::mem::take(&mut self.in_stars);
        let after_marker = std::mem::take(&mut self.after_marker);
        let length = c.len_utf8();
        match c {
            _ if c.is_whitespace() => self.widen_gap(c),
            _ if c.is_control() || c == '`' => {}
            '*' if in_stars => self.in_stars = true,
            '*' => return self.take_star(rest, more),
            '#' if self.begins_line() => return self.take_heading(rest, more),
            '.' | '!' | '?' | ',' | '"' | '\'' if after_marker => {}
            _ if mark::may_begin(c) => return self.take_mark(c, rest, more),
            _ if fence::may_leak(c) => return self.take_leak(c, rest, more),
            'n' | 'N' if self.begins_word() => return self.take_marker(c, rest, more),
            _ => self.write(c),
        }
        Some(length)
    }

    fn widen_gap(&mut self, c: char) {
        self.gap = match (c, self.gap) {
            ('\n', Gap::Line | Gap::Paragraph) => Gap::Paragraph,
            ('\n', _) => Gap::Line,
            (_, gap) => gap.max(Gap::Space),
        };
    }

    fn take_mark(&mut self, c: char, rest: &str, more: More) -> Option<usize> {
        match mark::read(rest, more) {
            Verdict::Mark { numbers, length } => {
                let known = 1..=u32::try_from(self.rules.passages).unwrap_or(u32::MAX);
                let mut passages: Vec<usize> = Vec::new();
                for number in numbers.into_iter().flatten().filter(|n| known.contains(n)) {
                    let passage = number as usize - 1;
                    if !passages.contains(&passage) {
                        passages.push(passage);
                    }
                }
                self.lean(passages);
                Some(length)
            }
            Verdict::Open => None,
            Verdict::Text if more == More::IsOver && is_cut_mark(rest) => Some(rest.len()),
            Verdict::Text => {
                self.write(c);
                Some(c.len_utf8())
            }
        }
    }

    fn lean(&mut self, passages: Vec<usize>) {
        let dropped = self.after_mark.unwrap_or(Gap::None).max(self.gap);
        self.after_mark = Some(dropped);
        self.gap = Gap::None;
        if !passages.is_empty() {
            self.leans.push(Lean {
                at: self.text.len(),
                passages,
            });
        }
    }

    fn take_leak(&mut self, c: char, rest: &str, more: More) -> Option<usize> {
        let leak = self.rules.fence.leak(rest, more)?;
        if leak == 0 {
            self.write(c);
            return Some(c.len_utf8());
        }
        Some(leak)
    }

    fn take_marker(&mut self, c: char, rest: &str, more: More) -> Option<usize> {
        match refusal::begins(rest, MARKER, more) {
            Found::Open => None,
            Found::No => {
                self.write(c);
                Some(c.len_utf8())
            }
            // What was said before it leans on nothing: it is all refused.
            Found::Yes if self.leans.is_empty() || self.text.is_empty() => {
                self.refuse();
                Some(rest.len())
            }
            Found::Yes => {
                self.after_marker = true;
                Some(MARKER.len())
            }
        }
    }

    fn refuse(&mut self) {
        let left = refusal::left_to_say(self.rules.refusal, &self.text);
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(&left);
        self.state = State::Refused;
    }

    /// A star is an item of a list, a multiplication, or emphasis.
    fn take_star(&mut self, rest: &str, more: More) -> Option<usize> {
        let next = rest[1..].chars().next();
        if next.is_none() && more == More::MayCome {
            return None;
        }
        let apart = next.is_some_and(char::is_whitespace);
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let before = self
            .text
            .chars()
            .next_back()
            .filter(|_| self.gap == Gap::None);
        match next {
            Some('*') => self.in_stars = true,
            _ if apart && self.begins_line() => self.write('-'),
            _ if apart && self.gap != Gap::None => self.write('*'),
            _ if digit(next) && digit(before) => self.write('*'),
            _ => {}
        }
        Some(1)
    }

    fn take_heading(&mut self, rest: &str, more: More) -> Option<usize> {
        let level = rest.bytes().take_while(|byte| *byte == b'#').count();
        match rest[level..].chars().next() {
            None if more == More::MayCome && level <= 6 => None,
            Some(' ') if level <= 6 => Some(level + 1),
            _ => {
                self.write('#');
                Some(1)
            }
        }
    }

    fn begins_line(&self) -> bool {
        self.text.is_empty() || self.gap >= Gap::Line
    }

    fn begins_word(&self) -> bool {
        self.gap != Gap::None
            || self.after_mark.is_some()
            || !self.text.ends_with(char::is_alphanumeric)
    }

    fn write(&mut self, c: char) {
        let gap = self.gap_before(c);
        let soft_limit = self.rules.limit * SOFT_LIMIT_TENTHS / 10;
        let sentence_over = !gap.is_empty() && !c.is_lowercase() && ends_sentence(&self.text);
        if self.chars >= soft_limit && sentence_over {
            self.state = State::Full;
            return;
        }
        if self.chars + gap.len() + 1 >= self.rules.limit {
            self.text.push('…');
            self.state = State::Full;
            return;
        }
        self.text.push_str(gap);
        self.text.push(c);
        self.chars += gap.len() + 1;
        self.gap = Gap::None;
        self.after_mark = None;
    }

    fn gap_before(&self, c: char) -> &'static str {
        if self.text.is_empty() {
            return "";
        }
        match (self.gap, self.after_mark) {
            (Gap::None, Some(dropped))
                if c.is_alphanumeric() || (dropped != Gap::None && "([“‘".contains(c)) =>
            {
                " "
            }
            (Gap::None, _) => "",
            (Gap::Space, Some(_)) if ".,;:!?…)]".contains(c) => "",
            (Gap::Space, _) => " ",
            (Gap::Line, _) => "\n",
            (Gap::Paragraph, _) => "\n\n",
        }
    }
}

/// The reply was cut in the middle of a mark.
fn is_cut_mark(rest: &str) -> bool {
    !rest.starts_with('(')
        && rest.contains(|c: char| c.is_ascii_digit())
        && mark::read(rest, More::MayCome) == Verdict::Open
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '\'', '’', ')'])
        .ends_with(['.', '!', '?', '…'])
}

#[cfg(test)]
mod tests;
