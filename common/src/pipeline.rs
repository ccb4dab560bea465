//! Which stages there are and in which order a job visits them.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumString, VariantArray};
use utoipa::ToSchema;

/// A step of the pipeline. Each has one work queue and a pool of workers.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    AsRefStr,
    Display,
    EnumString,
    VariantArray,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Stage {
    /// Speech to text.
    Stt,
    /// The speaker's emotion from voice and words.
    Emotion,
    /// Retrieval-augmented generation: the answer.
    Rag,
    /// Text to speech.
    Tts,
    /// Telling a client's address of another job's end.
    Webhook,
}

impl Stage {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn as_str(&self) -> &str {
        self.as_ref()
    }

    /// Whether its work is done by a machine of a client's choosing, which may be away for long.
    pub const fn is_at_the_client(self) -> bool {
        matches!(self, Self::Webhook)
    }

    /// Whether the jobs of a conversation visit it one after the other.
    pub const fn takes_turns(self) -> bool {
        matches!(self, Self::Rag)
    }

    /// The stage that this one follows while it is at work: its message is sent with the first piece of that one's answer, and
    /// what it works on is in the job's log.
    pub const fn follows(self) -> Option<Self> {
        match self {
            Self::Tts => Some(Self::Rag),
            Self::Stt | Self::Emotion | Self::Rag | Self::Webhook => None,
        }
    }
}

/// What a job is for, and with it the stages it visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, AsRefStr, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Route {
    /// A spoken question, answered in speech.
    Voice,
    /// A written question, answered in writing.
    Text,
    /// Speech to text alone.
    Transcribe,
    /// Text to speech alone.
    Speak,
    /// Telling of another job's end.
    Webhook,
}

impl Route {
    /// Whether its input is a recording.
    pub fn takes_recording(self) -> bool {
        self.stages().first() == Some(&Stage::Stt)
    }

    /// Whether it comes to an answer.
    pub fn answers(self) -> bool {
        self.stages().contains(&Stage::Rag)
    }

    /// Whether it comes to speech.
    pub fn speaks(self) -> bool {
        self.stages().contains(&Stage::Tts)
    }

    /// Whether `stage` follows another one on this route.
    pub fn follows_at(self, stage: Stage) -> bool {
        let stages = self.stages();
        stages.contains(&stage) && stage.follows().is_some_and(|it| stages.contains(&it))
    }

    pub const fn stages(self) -> &'static [Stage] {
        match self {
            Self::Voice => &[Stage::Stt, Stage::Emotion, Stage::Rag, Stage::Tts],
            Self::Text => &[Stage::Rag],
            Self::Transcribe => &[Stage::Stt],
            Self::Speak => &[Stage::Tts],
            Self::Webhook => &[Stage::Webhook],
        }
    }
}

/// The stages that a job has yet to visit; the first is where it is now.
///
/// It travels with the message (Enterprise Integration Patterns, *Routing
/// Slip*), so that a route may change without stranding jobs under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Stage>", into = "Vec<Stage>")]
pub struct RoutingSlip {
    current: Stage,
    next: Vec<Stage>,
}

impl RoutingSlip {
    pub fn of(route: Route) -> Self {
        let (current, next) = route
            .stages()
            .split_first()
            .expect("every route names at least one stage");
        Self {
            current: *current,
            next: next.to_vec(),
        }
    }

    pub fn current(&self) -> Stage {
        self.current
    }

    /// The stage after the current one.
    pub fn next(&self) -> Option<Stage> {
        self.next.first().copied()
    }

    /// The slip that visits `stage` first.
    pub fn from(self, stage: Stage) -> Self {
        let next = std::iter::once(self.current).chain(self.next);
        Self {
            current: stage,
            next: next.collect(),
        }
    }

    /// The slip for the next stage, or `None` when the current one is the last.
    pub fn advanced(&self) -> Option<Self> {
        let (current, next) = self.next.split_first()?;
        Some(Self {
            current: *current,
            next: next.to_vec(),
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a routing slip names at least one stage")]
pub struct EmptySlip;

impl TryFrom<Vec<Stage>> for RoutingSlip {
    type Error = EmptySlip;

    fn try_from(stages: Vec<Stage>) -> Result<Self, EmptySlip> {
        let (current, next) = stages.split_first().ok_or(EmptySlip)?;
        Ok(Self {
            current: *current,
            next: next.to_vec(),
        })
    }
}

impl From<RoutingSlip> for Vec<Stage> {
    fn from(slip: RoutingSlip) -> Self {
        std::iter::once(slip.current).chain(slip.next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_visits_the_stages_of_its_route_in_order_and_ends() {
        for route in [
            Route::Voice,
            Route::Text,
            Route::Transcribe,
            Route::Speak,
            Route::Webhook,
        ] {
            let mut visited = Vec::new();
            let mut slip = Some(RoutingSlip::of(route));
            while let Some(at) = slip {
                visited.push(at.current());
                slip = at.advanced();
            }
            assert_eq!(visited, route.stages(), "{route}");
        }
    }

    #[test]
    fn a_stage_is_written_and_read_by_its_name() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse::<Stage>().ok(), Some(*stage));
        }
        assert!("nope".parse::<Stage>().is_err());
    }

    #[test]
    fn an_empty_slip_is_refused() {
        assert!(serde_json::from_str::<RoutingSlip>("[]").is_err());
    }
}
