//! Answers written by a language model from the passages alone.
//!
//! One call to the model per turn, and none where it has nothing to answer
//! from. Its text is told of as it comes, without the marks by which it says
//! what it leans on; the quotes behind the marks are chosen by code, so that
//! they stand word for word in the passages. What a passage says is text to
//! answer from: it stands in a fence that it cannot close.

pub(super) mod budget;
mod cost;
mod fence;
mod mark;
mod marks;
mod prompt;
mod quotes;
mod refusal;
mod units;

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    reply::Event,
    turn::{Answer, Citation, TokenUsage},
};
use futures::StreamExt;

use crate::{
    handler::{Progress, StageError},
    knowledge::lexicon::Lexicon,
    providers::{Answerer, ChatModel, CompletionPart, Grounds, extractive::Institution, failure},
    query::language::Language,
};
use cost::Cost;
use fence::Fence;
use marks::{Reader, Rules, State};
use prompt::{Prompt, Shown, prompt};

/// What wrote the replies for which no model is asked.
const PREPARED: &str = "prepared";

/// How much the model reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of what was said before, in tokens as estimated; the newest is kept.
    pub history_tokens: usize,
    /// Of all passages together, in tokens as estimated; the best are kept.
    pub passages_tokens: usize,
    /// Of an answer, in characters; a longer one is cut at the end of a
    /// sentence, and not read on.
    pub answer_chars: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_tokens: 1_000,
            passages_tokens: 3_000,
            answer_chars: 4_000,
        }
    }
}

/// Answers with a language model.
pub struct GenerativeAnswerer {
    model: Arc<dyn ChatModel>,
    lexicon: Arc<Lexicon>,
    institution: Institution,
    options: Options,
}

impl GenerativeAnswerer {
    pub fn new(
        model: Arc<dyn ChatModel>,
        lexicon: Arc<Lexicon>,
        institution: Institution,
        options: Options,
    ) -> Self {
        Self {
            model,
            lexicon,
            institution,
            options,
        }
    }

    /// What is said without asking the model.
    fn prepared(&self, grounds: &Grounds<'_>) -> Option<Answer> {
        let language = grounds.understanding.language;
        let (text, declined) = if let Some(talk) = grounds.understanding.small_talk {
            (self.institution.small_talk(talk, language), false)
        } else if grounds.understanding.queries.is_empty() {
            (self.institution.unclear(language), true)
        } else if !grounds.passages.iter().any(has_text) {
            (self.institution.not_found(language), true)
        } else {
            return None;
        };
        Some(Answer {
            text,
            citations: Vec::new(),
            declined,
            usage: None,
            provider: PREPARED.to_owned(),
        })
    }

    /// Reads the reply to its end and tells of its text as it comes.
    async fn read(
        &self,
        prompt: &Prompt<'_>,
        mut reader: Reader<'_>,
        progress: &dyn Progress,
        cost: &mut Cost,
    ) -> Result<Reply, StageError> {
        let completion = self.model.complete(&prompt.messages).await;
        let refused = completion.as_ref().err();
        if refused.is_some_and(failure::is_free) {
            cost.is_nothing();
        }
        let mut completion = completion?;
        let mut usage = None;
        while let Some(part) = completion.next().await {
            let part = part?;
            cost.count(&part);
            match part {
                CompletionPart::Text(piece) => tell(progress, reader.push(&piece)),
                CompletionPart::Usage(counted) => usage = Some(counted),
                CompletionPart::Written(_) => {}
            }
            if reader.is_done() {
                break;
            }
        }
        tell(progress, reader.finish());
        let refused = reader.state() == State::Refused;
        let (text, leans) = reader.into_parts();
        if !text.contains(char::is_alphanumeric) {
            return Err(failure::unexpected(self.model.name(), "an empty answer"));
        }
        Ok(Reply {
            text,
            leans,
            refused,
            usage,
        })
    }

    /// An answer with what it leans on.
    fn proven(
        &self,
        mut reply: Reply,
        shown: &[Shown<'_>],
        language: Language,
        progress: &dyn Progress,
    ) -> Answer {
        let mut citations = Vec::new();
        let mut declined = reply.refused;
        if !reply.refused {
            citations = self.citations(&reply, shown);
            declined = citations.is_empty() && refusal::in_own_words(&reply.text);
            if declined && !reply.text.contains(&self.institution.contact) {
                let whom = self.whom_to_ask(language);
                tell(progress, &whom);
                reply.text.push_str(&whom);
            }
        }
        Answer {
            text: reply.text,
            citations,
            declined,
            usage: reply.usage,
            provider: self.model.name().to_owned(),
        }
    }

    fn citations(&self, reply: &Reply, shown: &[Shown<'_>]) -> Vec<Citation> {
        if !reply.leans.is_empty() {
            return quotes::cited(&reply.text, &reply.leans, shown, &self.lexicon);
        }
        if refusal::in_own_words(&reply.text) {
            return Vec::new();
        }
        quotes::attributed(&reply.text, shown, &self.lexicon)
    }

    /// What follows a refusal in the model's own words.
    fn whom_to_ask(&self, language: Language) -> String {
        let contact = &self.institution.contact;
        match language {
            Language::Indonesian => format!(" Silakan hubungi {contact}."),
            Language::English => format!(" Please contact {contact}."),
        }
    }
}

/// What the model said.
struct Reply {
    text: String,
    leans: Vec<marks::Lean>,
    refused: bool,
    usage: Option<TokenUsage>,
}

#[async_trait]
impl Answerer for GenerativeAnswerer {
    /// # Errors
    ///
    /// The model's own; or it said nothing, which is transient. Some of its
    /// text may have been told of before.
    async fn answer(
        &self,
        grounds: &Grounds<'_>,
        progress: &dyn Progress,
    ) -> Result<Answer, StageError> {
        if let Some(answer) = self.prepared(grounds) {
            tell(progress, &answer.text);
            return Ok(answer);
        }
        let language = grounds.understanding.language;
        let fence = Fence::draw()
            .map_err(|_| StageError::internal("no_randomness", "the system gives no randomness"))?;
        let prompt = prompt(grounds, &self.institution.name, &fence, &self.options);
        let refusal = self.institution.not_found(language);
        let reader = Reader::new(Rules {
            fence: &fence,
            passages: prompt.shown.len(),
            limit: self.options.answer_chars,
            refusal: &refusal,
        });
        let limit = self.model.token_limit();
        let mut cost = Cost::begin(grounds.account, &prompt.messages, limit).await;
        let reply = self.read(&prompt, reader, progress, &mut cost).await;
        cost.settle().await;
        let reply = reply?;
        Ok(self.proven(reply, &prompt.shown, language, progress))
    }
}

fn has_text(passage: &crate::knowledge::Passage) -> bool {
    !passage.text.trim().is_empty()
}

fn tell(progress: &dyn Progress, text: &str) {
    if !text.is_empty() {
        progress.tell(Event::AnswerDelta {
            text: text.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
