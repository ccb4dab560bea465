//! What a model thinks before it answers, taken out of its text.
//!
//! Reasoning models write `<think>…</think>`, or `<thinking>…</thinking>`,
//! before the answer. Templates of
//! some (DeepSeek R1, QwQ, Qwen3 Thinking) open the thought in the prompt, so
//! that only `</think>` is in the text. That cannot be known when the first
//! word comes, and text is passed on at once. The rule:
//!
//! - Text is taken for an answer until the opposite is known.
//! - When a thought is closed that was never opened and some of it was passed
//!   on already, the completion has failed ([`Leaked`]), because its text must
//!   not become an answer. From then on the model's texts are held back until
//!   the thought is closed ([`Habit`]): the next try is right.
//! - A text that was held back for nothing (the model ended it of its own
//!   accord, without a thought) is an answer, and the next is passed on at
//!   once again.
//! - A text that was held back and is cut short is a thought, and is dropped.
//!
//! Who knows the model says so ([`ThoughtStyle::OpenedByPrompt`]), and no
//! completion has to fail.

use std::sync::atomic::{AtomicBool, Ordering};

/// What models write around a thought. Any of the ends ends it: where the
/// prompt opened it, the beginning is not seen.
const TAGS: &[(Side, &[u8])] = &[
    (Side::Open, b"<think>"),
    (Side::Open, b"<thinking>"),
    (Side::Close, b"</think>"),
    (Side::Close, b"</thinking>"),
];

const LONGEST_TAG: usize = b"</thinking>".len();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    Close,
}

/// A tag and its place in a text, in bytes.
struct Found {
    side: Side,
    at: usize,
    length: usize,
}

/// Where a model's thoughts begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThoughtStyle {
    /// At `<think>`, if it has any. A model that turns out to begin elsewhere
    /// costs one failed completion.
    #[default]
    Tagged,
    /// At the beginning of the text: the prompt's template has the tag. The
    /// first word of an answer waits for the end of the thoughts.
    OpenedByPrompt,
}

/// What is known about a model's thoughts, shared by its completions.
pub(super) struct Habit {
    style: ThoughtStyle,
    seen_opened_by_prompt: AtomicBool,
}

impl Habit {
    pub(super) fn new(style: ThoughtStyle) -> Self {
        Self {
            style,
            seen_opened_by_prompt: AtomicBool::new(false),
        }
    }

    /// For the next completion.
    pub(super) fn thoughts(&self) -> Thoughts {
        let holds = self.style == ThoughtStyle::OpenedByPrompt
            || self.seen_opened_by_prompt.load(Ordering::Relaxed);
        Thoughts::new(if holds { Mode::Holding } else { Mode::Showing })
    }

    pub(super) fn learn_opened_by_prompt(&self) {
        self.seen_opened_by_prompt.store(true, Ordering::Relaxed);
    }

    fn learn_not_opened(&self) {
        self.seen_opened_by_prompt.store(false, Ordering::Relaxed);
    }
}

/// Thoughts were passed on as if they were an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaked;

/// How a text came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The model had no more to say.
    Complete,
    /// It was not allowed to say more.
    CutShort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Text is an answer.
    Showing,
    /// Text is a thought, until it is closed.
    Thinking,
    /// Text may be either; which, its end tells.
    Holding,
}

/// Takes the thoughts out of one text, whose pieces may be cut anywhere.
pub(super) struct Thoughts {
    mode: Mode,
    /// What is not decided: a tag's beginning, or all that is held back.
    pending: String,
    /// Bytes of `pending` where no tag begins.
    searched: usize,
    /// White space is dropped until something else comes.
    trimming: bool,
    /// Something was passed on.
    shown: bool,
    /// A thought has ended.
    closed: bool,
}

impl Thoughts {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            pending: String::new(),
            searched: 0,
            trimming: true,
            shown: false,
            closed: false,
        }
    }

    /// What of the text up to here is certainly for the user, and was not
    /// passed on yet.
    pub(super) fn push(&mut self, text: &str) -> Result<String, Leaked> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.push_str(text);
        let mut answer = String::new();
        let mut passed = 0;
        while let Some(tag) = self.next_tag(&pending, passed) {
            self.pass(tag.side, &pending[passed..tag.at], &mut answer)?;
            passed = tag.at + tag.length;
            self.searched = 0;
        }
        pending.drain(..passed);
        self.pending = pending;
        self.keep_undecided(&mut answer);
        self.shown |= !answer.is_empty();
        Ok(answer)
    }

    /// The rest for the user, when no more text comes.
    pub(super) fn finish(&mut self, ending: Ending, habit: &Habit) -> String {
        let rest = std::mem::take(&mut self.pending);
        let mut answer = String::new();
        match (self.mode, ending) {
            (Mode::Showing, _) => self.show(&rest, &mut answer),
            (Mode::Holding, Ending::Complete) => {
                habit.learn_not_opened();
                let thought = find(rest.as_bytes(), &[Side::Open], 0);
                let end = thought.map_or(rest.len(), |tag| tag.at);
                self.show(&rest[..end], &mut answer);
            }
            (Mode::Holding, Ending::CutShort) | (Mode::Thinking, _) => {}
        }
        answer
    }

    /// The next tag of `pending` from `passed` on.
    fn next_tag(&self, pending: &str, passed: usize) -> Option<Found> {
        let sides: &[Side] = match self.mode {
            Mode::Showing => &[Side::Open, Side::Close],
            Mode::Thinking | Mode::Holding => &[Side::Close],
        };
        find(pending.as_bytes(), sides, passed + self.searched)
    }

    /// Goes over a tag, which comes after `before`.
    fn pass(&mut self, side: Side, before: &str, answer: &mut String) -> Result<(), Leaked> {
        let is_end = side == Side::Close;
        match self.mode {
            Mode::Showing if is_end && !self.closed && self.shown => return Err(Leaked),
            // Nothing was passed on, so `before` can still be dropped.
            Mode::Showing if is_end && !self.closed => {}
            // A thought that spoke of the tags; its end is not known.
            Mode::Showing => self.show(before, answer),
            Mode::Thinking | Mode::Holding => {}
        }
        self.closed |= is_end;
        self.trimming |= is_end;
        self.mode = if is_end {
            Mode::Showing
        } else {
            Mode::Thinking
        };
        Ok(())
    }

    /// Decides on all of `pending` but what may become a tag.
    fn keep_undecided(&mut self, answer: &mut String) {
        let begun = begun_tag(self.pending.as_bytes());
        let decided = self.pending.len() - begun;
        if self.mode == Mode::Holding {
            self.searched = decided;
            return;
        }
        let text: String = self.pending.drain(..decided).collect();
        if self.mode == Mode::Showing {
            self.show(&text, answer);
        }
    }

    fn show(&mut self, text: &str, answer: &mut String) {
        let text = if self.trimming {
            text.trim_start()
        } else {
            text
        };
        self.trimming &= text.is_empty();
        answer.push_str(text);
    }
}

/// The first tag of these sides in `text` (in any case), at `from` or later.
/// A tag is ASCII, so that it begins and ends between characters.
fn find(text: &[u8], sides: &[Side], from: usize) -> Option<Found> {
    let tags = || TAGS.iter().filter(|(side, _)| sides.contains(side));
    (from..text.len()).find_map(|at| {
        let begins = |tag: &[u8]| {
            let place = text.get(at..at + tag.len());
            place.is_some_and(|place| place.eq_ignore_ascii_case(tag))
        };
        tags()
            .find(|(_, tag)| begins(tag))
            .map(|(side, tag)| Found {
                side: *side,
                at,
                length: tag.len(),
            })
    })
}

/// Bytes at the end of `text` that a tag may begin with.
fn begun_tag(text: &[u8]) -> usize {
    let longest = text.len().min(LONGEST_TAG - 1);
    let may_begin = |length: &usize| {
        let end = &text[text.len() - length..];
        TAGS.iter().any(|(_, tag)| {
            tag.get(..*length)
                .is_some_and(|begin| begin.eq_ignore_ascii_case(end))
        })
    };
    (1..=longest).rev().find(may_begin).unwrap_or(0)
}

#[cfg(test)]
mod tests;
