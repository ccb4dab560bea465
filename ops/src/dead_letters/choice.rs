//! Which dead letters are meant.

use std::time::Duration;

use common::{broker::dead_letters::DeadLetter, pipeline::Stage, time::UnixMillis};

/// Those to which all of it applies; what is empty leaves the choice open.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of messages or jobs.
    pub ids: Vec<String>,
    pub stages: Vec<Stage>,
    pub reasons: Vec<String>,
    pub older_than: Option<Duration>,
    pub newer_than: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("say which: by id, by --stage, --reason, --older-than or --newer-than, or --all")]
    Nothing,
    #[error("--all and a choice of some do not go together")]
    Both,
}

impl Choice {
    /// For what changes something: all of them only when that is said.
    pub fn deliberate(self, all: bool) -> Result<Self, Unclear> {
        match (self.is_open(), all) {
            (true, false) => Err(Unclear::Nothing),
            (false, true) => Err(Unclear::Both),
            _ => Ok(self),
        }
    }

    fn is_open(&self) -> bool {
        self.ids.is_empty()
            && self.stages.is_empty()
            && self.reasons.is_empty()
            && self.older_than.is_none()
            && self.newer_than.is_none()
    }

    /// Where to look.
    pub fn stages(&self) -> &[Stage] {
        if self.stages.is_empty() {
            Stage::ALL
        } else {
            &self.stages
        }
    }

    pub fn takes(&self, letter: &DeadLetter, now: UnixMillis) -> bool {
        (self.ids.is_empty() || self.ids.iter().any(|id| is_named(letter, id)))
            && (self.reasons.is_empty() || self.reasons.contains(&letter.reason.code))
            && self.fits_age(letter.put_aside_at.map(|at| now.since(at)))
    }

    /// The ids by which none of `letters` is named.
    pub fn missing<'a>(&self, letters: impl Iterator<Item = &'a DeadLetter> + Clone) -> Vec<&str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(|id| !letters.clone().any(|letter| is_named(letter, id)))
            .collect()
    }

    /// One of unknown age is neither old nor new.
    fn fits_age(&self, age: Option<Duration>) -> bool {
        let is = |bound: Option<Duration>, fits: fn(&Duration, &Duration) -> bool| {
            bound.is_none_or(|bound| age.is_some_and(|age| fits(&age, &bound)))
        };
        is(self.older_than, Duration::gt) && is(self.newer_than, Duration::le)
    }
}

/// By its own name, or by that of its job.
fn is_named(letter: &DeadLetter, id: &str) -> bool {
    letter.id == id || letter.job().is_some_and(|job| job.to_string() == id)
}

#[cfg(test)]
mod tests {
    use common::{
        broker::{DeadLetterReason, dead_letters::Content},
        ids::CorrelationId,
    };

    use super::*;

    const NOW: UnixMillis = UnixMillis(10_000_000);

    fn letter(id: &str, job: CorrelationId, reason: &str, age: Option<u64>) -> DeadLetter {
        DeadLetter {
            id: id.into(),
            stage: Stage::Rag,
            reason: DeadLetterReason {
                code: reason.into(),
                detail: String::new(),
            },
            put_aside_at: age.map(|seconds| UnixMillis(NOW.0 - seconds * 1_000)),
            content: Content::Unreadable {
                why: common::broker::wire::WireError::UnknownVersion(2),
                job: Some(job),
                body: Vec::new(),
            },
        }
    }

    #[test]
    fn a_letter_is_taken_when_all_that_was_said_applies() {
        let (one, two) = (CorrelationId::new(), CorrelationId::new());
        let letters = [
            letter("a", one, "panicked", Some(60)),
            letter("b", two, "stage_timeout", Some(600)),
            letter("c", two, "panicked", None),
        ];
        let secs = |seconds| Some(Duration::from_secs(seconds));
        let of = |choice: Choice| {
            let taken = letters.iter().filter(|letter| choice.takes(letter, NOW));
            taken.map(|letter| &*letter.id).collect::<String>()
        };
        let ids = |ids: &[String]| Choice {
            ids: ids.to_vec(),
            ..Choice::default()
        };
        let aged = |older_than, newer_than| Choice {
            older_than,
            newer_than,
            ..Choice::default()
        };
        assert_eq!(of(Choice::default()), "abc");
        assert_eq!(of(ids(&["a".into()])), "a");
        assert_eq!(of(ids(&[two.to_string()])), "bc");
        assert_eq!(of(ids(&["x".into()])), "");
        let some = ids(&["x".into(), "a".into(), two.to_string()]);
        assert_eq!(some.missing(letters.iter()), ["x"]);
        assert_eq!(of(aged(secs(100), None)), "b");
        assert_eq!(of(aged(None, secs(100))), "a");
        assert_eq!(of(aged(secs(10), secs(100))), "a");
        let panicked = Choice {
            reasons: vec!["panicked".into()],
            ..ids(&[two.to_string()])
        };
        assert_eq!(of(panicked), "c");
    }

    #[test]
    fn all_are_meant_only_when_that_is_said() {
        let some = Choice {
            stages: vec![Stage::Tts],
            ..Choice::default()
        };
        let result = |choice: &Choice, all| choice.clone().deliberate(all).err();
        let open = Choice::default();
        assert_eq!(result(&open, false), Some(Unclear::Nothing));
        assert_eq!(result(&open, true), None);
        assert_eq!(result(&some, false), None);
        assert_eq!(result(&some, true), Some(Unclear::Both));
        assert_eq!(open.stages(), Stage::ALL);
        assert_eq!(some.stages(), [Stage::Tts]);
    }
}
