//! An ordered list of providers behind one port: when one fails, the next is
//! asked, and one that is down is passed over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use common::{
    reply::Event,
    turn::{Answer, Emotion, Transcript},
};
use tracing::warn;

use super::{
    Answerer, EmotionClassifier, Grounds, SpeechSynthesizer, SpeechToText, Spoken,
    circuit::{Admission, Circuit, Tolerance, Verdict},
    failure,
};
use crate::{
    handler::{Progress, StageError},
    recording::Recording,
    retrieval::KNOWLEDGE_AWAY,
    slots::{ProviderLimit, Slot},
};

/// Every provider of the list is resting.
pub const ALL_DOWN: &str = "providers_down";

/// Providers in the order in which they are asked.
pub struct Fallback<P: ?Sized> {
    candidates: Vec<Candidate<P>>,
}

/// A provider with its name, for logs.
pub struct Candidate<P: ?Sized> {
    name: String,
    provider: Arc<P>,
    place: Place,
}

/// Where a provider is.
enum Place {
    /// In this process: always there to be asked.
    Here,
    Elsewhere {
        limit: ProviderLimit,
        circuit: Circuit,
        /// Why it was given up last.
        failure: Mutex<Option<StageError>>,
    },
}

impl<P: ?Sized> Candidate<P> {
    /// With so many calls at a time.
    pub fn remote(name: impl Into<String>, provider: Arc<P>, limit: ProviderLimit) -> Self {
        Self {
            name: name.into(),
            provider,
            place: Place::Elsewhere {
                limit,
                circuit: Circuit::new(Tolerance::None),
                failure: Mutex::default(),
            },
        }
    }

    /// In this process: always there to be asked.
    pub fn local(name: impl Into<String>, provider: Arc<P>) -> Self {
        Self {
            name: name.into(),
            provider,
            place: Place::Here,
        }
    }

    /// Waits for a slot, if it has any number of them.
    async fn slot(&self) -> Option<Slot> {
        match &self.place {
            Place::Here => None,
            Place::Elsewhere { limit, .. } => limit.slot().await,
        }
    }

    /// Leave to ask it, or why it is not to be asked now.
    fn admit(&self) -> Result<Option<Admission<'_>>, StageError> {
        let Place::Elsewhere {
            circuit, failure, ..
        } = &self.place
        else {
            return Ok(None);
        };
        circuit.admit(Instant::now()).map(Some).map_err(|rest| {
            let last = failure.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                // It is a setting of ours, and the same in a second.
                Some(failure @ StageError::Permanent { .. }) => failure.clone(),
                _ => resting(rest),
            }
        })
    }

    fn is_up(&self) -> bool {
        match &self.place {
            Place::Here => true,
            Place::Elsewhere { circuit, .. } => circuit.is_closed(),
        }
    }

    fn note(&self, error: Option<&StageError>) {
        if let Place::Elsewhere { failure, .. } = &self.place {
            let mut last = failure.lock().unwrap_or_else(PoisonError::into_inner);
            *last = error.cloned();
        }
    }
}

impl<P: ?Sized> Fallback<P> {
    pub fn new(mut candidates: Vec<Candidate<P>>) -> Self {
        if let Some(Candidate {
            place: Place::Elsewhere { circuit, .. },
            ..
        }) = candidates.last_mut()
        {
            *circuit = Circuit::new(Tolerance::Some);
        }
        Self { candidates }
    }

    /// One call's way along the list.
    pub fn tries(&self) -> Tries<'_, P> {
        Tries {
            left: self.candidates.iter(),
            failed: None,
        }
    }
}

/// Asks one provider after the other: [`next`](Self::next) gives the one to
/// ask, [`judge`](Self::judge) takes its answer, [`give_up`](Self::give_up)
/// ends the call when none is left.
pub struct Tries<'a, P: ?Sized> {
    left: std::slice::Iter<'a, Candidate<P>>,
    failed: Option<StageError>,
}

/// One provider's turn.
pub struct Try<'a, P: ?Sized> {
    pub provider: &'a P,
    candidate: &'a Candidate<P>,
    admission: Option<Admission<'a>>,
    /// Of its call.
    _slot: Option<Slot>,
}

impl<'a, P: ?Sized> Tries<'a, P> {
    #[allow(clippy::should_implement_trait)] // Not for a loop: each try is judged.
    pub async fn next(&mut self) -> Option<Try<'a, P>> {
        loop {
            let candidate = self.left.next()?;
            // Before it is asked whether it is up: that may change while others call it.
            let slot = candidate.slot().await;
            match candidate.admit() {
                Ok(admission) => {
                    return Some(Try {
                        provider: &candidate.provider,
                        candidate,
                        admission,
                        _slot: slot,
                    });
                }
                Err(error) => self.remember(error),
            }
        }
    }

    /// The end of the call, or `None` when the next provider is to be asked.
    pub fn judge<T>(
        &mut self,
        asked: Try<'_, P>,
        result: Result<T, StageError>,
    ) -> Option<Result<T, StageError>> {
        if let Some(admission) = asked.admission {
            asked.candidate.note(result.as_ref().err());
            admission.judge(verdict(&result), Instant::now());
        }
        match result {
            Err(error) if another_may_help(&error) => {
                warn!(provider = asked.candidate.name, %error, "a provider failed");
                self.remember(error);
                None
            }
            end => Some(end),
        }
    }

    pub fn give_up<T>(self) -> Result<T, StageError> {
        Err(self.failed.unwrap_or_else(|| {
            StageError::internal("no_provider", "no provider is configured for this stage")
        }))
    }

    /// Keeps the failure that says most about whether to try again: one that
    /// may pass, and of two such the one that passes sooner.
    fn remember(&mut self, error: StageError) {
        let better = match (&self.failed, &error) {
            (None, _) => true,
            (Some(StageError::Permanent { .. }), StageError::Transient { .. }) => true,
            (Some(StageError::Transient { code, .. }), StageError::Transient { .. }) => {
                *code == ALL_DOWN && wait(&error) <= self.failed.as_ref().and_then(wait)
            }
            _ => false,
        };
        if better {
            self.failed = Some(error);
        }
    }
}

fn wait(error: &StageError) -> Option<Duration> {
    match error {
        StageError::Transient { retry_after, .. } => *retry_after,
        StageError::Permanent { .. } => None,
    }
}

fn resting(rest: Duration) -> StageError {
    StageError::Transient {
        code: ALL_DOWN,
        detail: format!("a provider failed lately and rests for another {rest:?}"),
        retry_after: Some(rest),
    }
}

/// What is wrong with the user's input is so for every provider, but for the
/// names of voices, which each has for itself.
fn another_may_help(error: &StageError) -> bool {
    !is_the_users(error)
        || matches!(
            error,
            StageError::Permanent {
                code: failure::UNKNOWN_VOICE,
                ..
            }
        )
}

fn is_the_users(error: &StageError) -> bool {
    matches!(
        error,
        StageError::Permanent {
            kind: common::reply::FailureKind::UnprocessableInput,
            ..
        }
    )
}

fn verdict<T>(result: &Result<T, StageError>) -> Verdict {
    let Err(error) = result else {
        return Verdict::Alive;
    };
    match error {
        StageError::Transient {
            code: failure::TIMEOUT | failure::UNREACHABLE | KNOWLEDGE_AWAY,
            ..
        } => Verdict::Down(None),
        StageError::Transient {
            code: failure::RATE_LIMITED,
            retry_after: Some(rest),
            ..
        } => Verdict::Down(Some(*rest)),
        StageError::Permanent {
            code: failure::UNAUTHORIZED,
            ..
        } => Verdict::Down(None),
        StageError::Transient { .. } => Verdict::Stumbled,
        // It is there, and does not take this one job.
        StageError::Permanent { .. } => Verdict::Alive,
    }
}

#[async_trait]
impl SpeechToText for Fallback<dyn SpeechToText> {
    async fn transcribe(&self, recording: &Recording) -> Result<Transcript, StageError> {
        let mut tries = self.tries();
        while let Some(one) = tries.next().await {
            let result = one.provider.transcribe(recording).await;
            if let Some(end) = tries.judge(one, result) {
                return end;
            }
        }
        tries.give_up()
    }
}

#[async_trait]
impl EmotionClassifier for Fallback<dyn EmotionClassifier> {
    async fn classify(
        &self,
        transcript: &str,
        recording: Option<&Recording>,
    ) -> Result<Emotion, StageError> {
        let mut tries = self.tries();
        while let Some(one) = tries.next().await {
            let result = one.provider.classify(transcript, recording).await;
            if let Some(end) = tries.judge(one, result) {
                return end;
            }
        }
        tries.give_up()
    }
}

#[async_trait]
impl SpeechSynthesizer for Fallback<dyn SpeechSynthesizer> {
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError> {
        let mut tries = self.tries();
        while let Some(one) = tries.next().await {
            let result = one.provider.speak(text, voice).await;
            if let Some(end) = tries.judge(one, result) {
                return end;
            }
        }
        tries.give_up()
    }

    /// With the provider that would be asked.
    fn prepare(&self, voice: Option<&str>) {
        let mut candidates = self.candidates.iter();
        if let Some(candidate) = candidates.find(|candidate| candidate.is_up()) {
            candidate.provider.prepare(voice);
        }
    }
}

#[async_trait]
impl Answerer for Fallback<dyn Answerer> {
    async fn answer(
        &self,
        grounds: &Grounds<'_>,
        progress: &dyn Progress,
    ) -> Result<Answer, StageError> {
        let mut tries = self.tries();
        while let Some(one) = tries.next().await {
            let listening = Listening::to(progress);
            let result = one.provider.answer(grounds, &listening).await;
            let begun = listening.heard_text();
            if let Some(end) = tries.judge(one, result) {
                return end;
            }
            if begun {
                progress.tell(Event::AnswerRestarted);
            }
        }
        tries.give_up()
    }
}

/// Passes on what an answerer tells, and knows whether it began an answer.
struct Listening<'a> {
    progress: &'a dyn Progress,
    text: std::sync::atomic::AtomicBool,
}

impl<'a> Listening<'a> {
    fn to(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            text: false.into(),
        }
    }

    fn heard_text(&self) -> bool {
        self.text.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Progress for Listening<'_> {
    fn tell(&self, event: Event) {
        if matches!(event, Event::AnswerDelta { .. }) {
            self.text.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        self.progress.tell(event);
    }
}

#[cfg(test)]
mod tests;
