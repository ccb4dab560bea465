//! Text to speech: the text that was sent in, or the answer while it is being
//! written.
//!
//! An answer is spoken sentence by sentence, several at once, and told in order.
//! What is told is in the log: whoever takes the job up again goes on behind it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    claim_check::{ClaimCheck, ClaimError, Item, Ticket},
    envelope::Job,
    job::log::JobLog,
    pipeline::Stage,
    quota::Usage,
    reply::{Event, ReplyError},
    retry::Backoff,
    time::{UnixMillis, whole_millis},
    turn::{Speech, Turn},
};
use futures::{FutureExt as _, StreamExt as _, future::try_join_all, stream::FuturesOrdered};
use tokio::join;

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    meter::Meter,
    providers::{SpeechSynthesizer, Spoken, failure::is_free},
    slots::clock::{self, waiting},
    speakable::speakable,
};

use script::{Script, Sentence, SpokenSentence};

mod join;
mod script;

/// Sentences of one answer that are spoken at the same time.
const AT_ONCE: usize = 4;

pub struct Tts {
    replies: JobLog,
    claims: Arc<dyn ClaimCheck>,
    retention: Duration,
    synthesizer: Arc<dyn SpeechSynthesizer>,
    meter: Meter,
}

impl Tts {
    pub async fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            replies: kit.backends.replies.clone(),
            claims: Arc::clone(&kit.backends.claims),
            retention: kit.config.retention.0,
            synthesizer: kit.text_to_speech().await?,
            meter: Meter::new(&kit.backends.quotas),
        })
    }
}

impl Tts {
    /// What is broken off counts as if it were spoken: it was asked for as a whole.
    async fn speak(
        &self,
        text: &str,
        voice: Option<&str>,
        job: &Job,
        next: Next,
    ) -> Result<Spoken, StageError> {
        let likely = Usage::audio(likely_length(text));
        let mut spending = self.meter.begin(job, likely).await;
        spending.is(likely);
        let prepare = async {
            // After the call for this one has begun: it takes what was made ready before.
            if next == Next::Sentence {
                self.synthesizer.prepare(voice);
            }
        };
        let (spoken, ()) = join!(biased; self.synthesizer.speak(text, voice), prepare);
        match &spoken {
            Ok(spoken) => spending.is(Usage::audio(spoken.duration)),
            Err(error) if is_free(error) => spending.is(Usage::default()),
            Err(_) => {}
        }
        spending.settle().await;
        spoken
    }

    /// `None` when there is nothing to say.
    async fn speech(
        &self,
        text: &str,
        voice: Option<&str>,
        job: &Job,
        item: Item,
        next: Next,
    ) -> Result<Option<SpokenSentence>, StageError> {
        let text = speakable(text);
        if text.trim().is_empty() {
            return Ok(None);
        }
        let spoken = self.speak(&text, voice, job, next).await?;
        let speech = Speech {
            ticket: self.keep(job, item, spoken.wav.clone()).await?,
            duration_ms: whole_millis(spoken.duration),
            provider: spoken.provider.to_owned(),
        };
        Ok(Some(SpokenSentence {
            speech,
            wav: Some(spoken.wav),
        }))
    }

    async fn keep(&self, job: &Job, item: Item, wav: Bytes) -> Result<Ticket, StageError> {
        // A sentence waits for the others until the job's end.
        let left = job.time_left(UnixMillis::now());
        let keep = self.retention.max(left * 2);
        let kept = self.claims.check_in(job.correlation_id, item, wav, keep);
        kept.await.map_err(unavailable)
    }

    /// Speaks the answer of `job` while it is being written; gives the speech of all its sentences.
    async fn follow(
        &self,
        job: &Job,
        voice: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Vec<SpokenSentence>, StageError> {
        let id = job.correlation_id;
        let mut script = Script::default();
        // What is told already comes first: no sentence of it is spoken again.
        let records = until_read(|| self.replies.read(id, 0)).await?;
        records.iter().for_each(|record| script.hear(record));
        let heard = records.last().map_or(0, |record| record.sequence_number);
        let mut log = self.replies.follow(id, heard);
        if script.has_more() {
            self.synthesizer.prepare(voice);
        }
        let mut in_work = FuturesOrdered::new();
        loop {
            while in_work.len() < AT_ONCE
                && let Some(sentence) = script.next_sentence()
            {
                let next = match script.has_more() {
                    true => Next::Sentence,
                    false => Next::Nothing,
                };
                in_work.push_back(self.speak_sentence(sentence, job, voice, next));
            }
            if in_work.is_empty() && script.is_complete() {
                return Ok(script.into_spoken());
            }
            let is_idle = in_work.is_empty();
            // A log that ends, ends its job: then this is stopped.
            let news = log.next().then(async |news| match news {
                Some(news) => news,
                None => std::future::pending().await,
            });
            let news = async {
                match is_idle {
                    true => waiting(news).await,
                    false => news.await,
                }
            };
            tokio::select! {
                Some(spoken) = in_work.next() => {
                    let (sentence, spoken) = spoken?;
                    clock::renew();
                    if let Some(spoken) = spoken {
                        progress.tell(Event::AudioDelta {
                            revision: sentence.revision,
                            n: sentence.n,
                            text: sentence.text,
                            speech: spoken.speech.clone(),
                        });
                        script.is_told(sentence.n, spoken);
                    }
                }
                news = news, if !script.is_complete() => {
                    let revision = script.revision();
                    match news {
                        Ok(record) => script.hear(&record),
                        Err(error @ ReplyError::Unreadable(_)) => return Err(unreadable(error)),
                        // It goes on once the store is there.
                        Err(ReplyError::Away(_)) => {}
                    }
                    if script.revision() != revision {
                        in_work.clear();
                    }
                }
            }
        }
    }

    async fn speak_sentence(
        &self,
        sentence: Sentence,
        job: &Job,
        voice: Option<&str>,
        next: Next,
    ) -> Result<(Sentence, Option<SpokenSentence>), StageError> {
        let Sentence { revision, n, .. } = sentence;
        let item = Item::Sentence { revision, n };
        let speech = self.speech(&sentence.text, voice, job, item, next).await?;
        Ok((sentence, speech))
    }

    /// The speech of the whole answer.
    async fn joined(
        &self,
        spoken: Vec<SpokenSentence>,
        job: &Job,
    ) -> Result<Option<Speech>, StageError> {
        let spoken = match <[SpokenSentence; 1]>::try_from(spoken) {
            Ok([only]) => return Ok(Some(only.speech)),
            Err(none) if none.is_empty() => return Ok(None),
            Err(several) => several,
        };
        let redeem = spoken.iter().map(async |it| match &it.wav {
            Some(wav) => Ok(wav.clone()),
            None => self.claims.redeem(&it.speech.ticket).await,
        });
        let files = try_join_all(redeem).await.map_err(unavailable)?;
        let wav = tokio::task::spawn_blocking(move || join::join(&files))
            .await
            .map_err(|error| StageError::broken_off("joining_failed", &error))??;
        let sentences: Vec<_> = spoken.into_iter().map(|it| it.speech).collect();
        Ok(Some(Speech {
            duration_ms: sentences.iter().map(|it| it.duration_ms).sum(),
            provider: providers(&sentences),
            ticket: self.keep(job, Item::Speech, Bytes::from(wav)).await?,
        }))
    }
}

/// Whether something is spoken after a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Sentence,
    Nothing,
}

#[async_trait]
impl Handler for Tts {
    async fn handle(
        &self,
        mut turn: Turn,
        job: &Job,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let voice = turn.voice.clone();
        let voice = voice.as_deref();
        if !job.route.follows_at(Stage::Tts) {
            let text = turn.user_text().unwrap_or_default();
            let speech = self.speech(text, voice, job, Item::Speech, Next::Nothing);
            turn.speech = speech.await?.map(|it| it.speech);
            return Ok(turn);
        }
        let spoken = self.follow(job, voice, progress).await?;
        let speech = self.joined(spoken, job).await?;
        let answered = until_read(|| self.replies.outcome(job.correlation_id, Stage::Rag));
        // Nothing to say is no failure: the written answer stands.
        let answered = answered.await?.ok_or_else(answer_gone)?;
        Ok(Turn { speech, ..answered })
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }

    async fn finish(&self) {
        self.meter.finish().await;
    }
}

/// What a text is likely to take to be spoken: some 14 characters a second.
fn likely_length(text: &str) -> Duration {
    const OF_A_CHARACTER: u64 = 70;
    Duration::from_millis(text.chars().count() as u64 * OF_A_CHARACTER)
}

/// The distinct providers, in the order in which they spoke.
fn providers(sentences: &[Speech]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for Speech { provider, .. } in sentences {
        if !names.contains(&provider.as_str()) {
            names.push(provider);
        }
    }
    names.join(", ")
}

fn unavailable(error: ClaimError) -> StageError {
    match error {
        ClaimError::Gone => StageError::internal("speech_gone", error),
        ClaimError::Unavailable(_) => StageError::transient("claim_check_unavailable", error),
    }
}

/// Asks the log until it answers: a store that is away costs time, and none of the attempt's.
async fn until_read<T, F>(read: impl Fn() -> F) -> Result<T, StageError>
where
    F: Future<Output = Result<T, ReplyError>>,
{
    let mut backoff = Backoff::reconnecting();
    loop {
        match read().await {
            Ok(read) => return Ok(read),
            Err(error @ ReplyError::Unreadable(_)) => return Err(unreadable(error)),
            Err(ReplyError::Away(_)) => waiting(backoff.wait()).await,
        }
    }
}

fn unreadable(error: ReplyError) -> StageError {
    StageError::internal("unknown_version", error)
}

/// The store has lost it since.
fn answer_gone() -> StageError {
    StageError::transient(
        "answer_gone",
        "the answer that was spoken is not known any more",
    )
}
