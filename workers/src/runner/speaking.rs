//! Messages about one sentence of an answer: spoken by themselves, and joined
//! by the one that completes them.

use std::time::Duration;

use common::{
    envelope::Envelope,
    reply::{Appended, Event, Speaking, SpokenAnswer, SpokenSentence, StageStarted},
    turn::Sentence,
};
use tokio::time::Instant;

use super::{
    Account, Outcome, Ran, Runner, Tried, company::Seat, crashed_worker, from_millis, in_millis,
    measures, readable, unreadable_log, until_there,
};
use crate::{handler::Progress, slots::clock::Clock};

impl Runner {
    /// Speaks one sentence of the answer, and joins them all when it was the
    /// last one missing.
    pub(super) async fn speak(
        &self,
        envelope: &Envelope,
        sentence: &Sentence,
        started: StageStarted,
        queued: Duration,
        seat: &Seat,
    ) -> Tried {
        let replies = &self.backends.replies;
        let begun = until_there("reply log", async || {
            readable(
                replies
                    .begin_sentence(&envelope.job, started.clone(), sentence)
                    .await,
            )
        });
        let Some(begun) = begun.await else {
            return Outcome::failed(envelope, unreadable_log()).into();
        };
        let speaking = match begun {
            Speaking::Missing { crashes } if seat.is_too_shared_for(crashes) => {
                return Tried::InCompany;
            }
            Speaking::Missing { .. } => match self.speak_one(envelope, sentence, queued).await {
                Ok(speaking) => speaking,
                Err(outcome) => return outcome.into(),
            },
            speaking => speaking,
        };
        match speaking {
            Speaking::AllSpoken(answer) => self.join(envelope, *answer).await,
            Speaking::Over => Outcome::NotRecorded(Appended::Closed),
            Speaking::Lost => Outcome::NotRecorded(Appended::Lost),
            Speaking::CrashesWorkers => Outcome::failed(envelope, crashed_worker()),
            Speaking::Missing { .. } | Speaking::Spoken => Outcome::Spoken,
        }
        .into()
    }

    async fn speak_one(
        &self,
        envelope: &Envelope,
        sentence: &Sentence,
        queued: Duration,
    ) -> Result<Speaking, Outcome> {
        let begun = Instant::now();
        let clock = Clock::start();
        let work = self.handle(envelope, &Silent, &clock);
        let spoken = match self.while_under_way(&envelope.job, work).await? {
            Err(error) => return Err(Outcome::failed(envelope, error)),
            Ok(turn) => SpokenSentence {
                speech: turn.speech,
                duration_ms: in_millis(begun.elapsed().saturating_sub(clock.waited())),
                queued_ms: in_millis(queued + clock.waited()),
            },
        };
        let replies = &self.backends.replies;
        let id = envelope.correlation_id();
        let completed = until_there("reply log", || {
            replies.complete_sentence(id, sentence, &spoken)
        });
        let completed = completed.await;
        let counts = !matches!(completed, Speaking::Over | Speaking::Lost);
        if sentence.n == 1 && spoken.speech.is_some() && counts {
            measures::first_audio(&envelope.job);
        }
        Ok(completed)
    }

    /// Joins the sentences. The stage's work is that of all of them, also where
    /// it was done side by side, and its wait the longest of any.
    async fn join(&self, envelope: &Envelope, answer: SpokenAnswer) -> Outcome {
        let begun = Instant::now();
        let SpokenAnswer { turn, sentences } = answer;
        let times = |pick: fn(&SpokenSentence) -> f64| sentences.iter().map(pick);
        let spoken: f64 = times(|it| it.duration_ms).sum();
        let queued = times(|it| it.queued_ms).fold(0.0, f64::max);
        let speech = sentences.iter().filter_map(|it| it.speech.clone());
        let work = self.handler.join(turn, speech.collect(), &envelope.job);
        let clock = Clock::start();
        let work = self.within_time(work, &clock);
        match self.while_under_way(&envelope.job, work).await {
            Err(over) => over.into(),
            Ok(Err(error)) => Outcome::failed(envelope, error),
            Ok(Ok(turn)) => Outcome::Ran(Box::new(Ran {
                result: Ok(turn),
                account: Account {
                    duration: from_millis(spoken) + begun.elapsed(),
                    queued: from_millis(queued),
                    ..Account::default()
                },
            })),
        }
    }
}

/// For work that nobody hears of before it is done.
struct Silent;

impl Progress for Silent {
    fn tell(&self, _: Event) {}
}
