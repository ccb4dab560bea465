//! From the bytes of an answer to pieces of a completion; knows nothing of
//! connections.

use std::{collections::VecDeque, sync::Arc};

use common::turn::TokenUsage;
use serde_json::Value;

use super::{
    chunk::{Chunk, FinishReason},
    events::{Event, Events},
    thoughts::{Ending, Habit, Thoughts},
};
use crate::{
    handler::StageError,
    providers::{
        CompletionPart, failure,
        generative::budget,
        openai::{call::Call, complaint::Complaint},
    },
};

/// The data of the event that ends a stream.
const DONE: &str = "[DONE]";

/// How far the answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// More text is to come.
    Open,
    /// The text is whole; its usage may still come.
    Finished,
    /// Nothing more is to come.
    Done,
}

/// What the answer is written as, told by its first byte: headers say it
/// wrongly too often.
enum Form {
    Unknown,
    Events(Events),
    /// One JSON document, from a server that does not stream or has failed.
    Document(Vec<u8>),
}

pub(super) struct Decoder {
    habit: Arc<Habit>,
    form: Form,
    thoughts: Thoughts,
    ready: VecDeque<CompletionPart>,
    stage: Stage,
    ending: Ending,
    has_text: bool,
    /// Tokens as estimated: all, and those of the text that was handed on.
    written: u64,
    shown: u64,
    usage: Option<TokenUsage>,
}

impl Decoder {
    pub(super) fn new(habit: Arc<Habit>) -> Self {
        Self {
            form: Form::Unknown,
            thoughts: habit.thoughts(),
            habit,
            ready: VecDeque::new(),
            stage: Stage::Open,
            ending: Ending::Complete,
            has_text: false,
            written: 0,
            shown: 0,
            usage: None,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// A piece that is complete. Pieces come before the error that follows
    /// them.
    pub(super) fn ready(&mut self) -> Option<CompletionPart> {
        self.ready.pop_front()
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// The answer is an error, or makes no sense.
    pub(super) fn feed(&mut self, bytes: &[u8], call: &Call) -> Result<(), StageError> {
        let bytes = match self.form {
            Form::Unknown => self.recognise(bytes, call)?,
            _ => bytes,
        };
        let mut found = Vec::new();
        let fed = match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Events(events) => events.feed(bytes, &mut found),
            Form::Document(document) => {
                document.extend_from_slice(bytes);
                Ok(())
            }
        };
        self.accept_all(found, call)?;
        fed.map_err(|_| call.unexpected("an event of the stream is too long"))
    }

    /// Reads what the end of the bytes completes.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed), and: the answer is cut off, or has no text.
    pub(super) fn finish(&mut self, call: &Call) -> Result<(), StageError> {
        self.finish_form(call)?;
        if self.stage == Stage::Open {
            return Err(call.unexpected("the stream ended in the middle of the answer"));
        }
        let rest = self.thoughts.finish(self.ending, &self.habit);
        self.hand_on(rest);
        if !self.has_text {
            return Err(call.unexpected("the answer has no text"));
        }
        self.ready
            .extend(self.usage.take().map(CompletionPart::Usage));
        Ok(())
    }

    /// Tells the form, and gives back the bytes from its beginning.
    fn recognise<'a>(&mut self, bytes: &'a [u8], call: &Call) -> Result<&'a [u8], StageError> {
        // White space, and the bytes of a byte order mark.
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || b"\xEF\xBB\xBF".contains(byte);
        let Some(start) = bytes.iter().position(|byte| !is_blank(byte)) else {
            return Ok(&[]);
        };
        self.form = match bytes[start] {
            b'<' => return Err(call.unexpected("the answer is a web page")),
            b'{' | b'[' => Form::Document(Vec::new()),
            _ => Form::Events(Events::default()),
        };
        Ok(&bytes[start..])
    }

    fn finish_form(&mut self, call: &Call) -> Result<(), StageError> {
        match std::mem::replace(&mut self.form, Form::Unknown) {
            Form::Unknown => Err(call.unexpected("the answer is empty")),
            Form::Events(mut events) => {
                let mut found = Vec::new();
                let finished = events.finish(&mut found);
                self.accept_all(found, call)?;
                finished.map_err(|_| call.unexpected("an event of the stream is too long"))
            }
            Form::Document(document) => {
                let document = serde_json::from_slice(&document).map_err(|error| {
                    call.unexpected(format_args!("the answer is no JSON ({})", kind_of(&error)))
                })?;
                self.accept(document, call)?;
                self.stage = Stage::Done;
                Ok(())
            }
        }
    }

    fn accept_all(&mut self, events: Vec<Event>, call: &Call) -> Result<(), StageError> {
        for event in events {
            match event {
                _ if self.stage == Stage::Done => return Ok(()),
                Event::Message(data) if data.trim() == DONE => self.stage = Stage::Done,
                Event::Message(data) => self.accept_event(&data, call)?,
                Event::Error(data) => return Err(error_event(&data, call)),
            }
        }
        Ok(())
    }

    /// Takes the documents of one event: one, but some servers leave out the
    /// empty line between two events.
    fn accept_event(&mut self, data: &str, call: &Call) -> Result<(), StageError> {
        let documents = serde_json::Deserializer::from_str(data).into_iter();
        for document in documents {
            let document = document.map_err(|error| {
                call.unexpected(format_args!("an event is no JSON ({})", kind_of(&error)))
            })?;
            self.accept(document, call)?;
        }
        Ok(())
    }

    fn accept(&mut self, document: Value, call: &Call) -> Result<(), StageError> {
        if let Some(complaint) = Complaint::of(&document) {
            return Err(call.complained(&complaint));
        }
        let chunk: Chunk = serde_json::from_value(document)
            .map_err(|_| call.unexpected("the answer is no completion"))?;
        let text = chunk.text();
        self.written += tokens(&text) + tokens(chunk.thoughts());
        self.add_text(&text, call)?;
        if self.written > self.shown {
            self.ready.push_back(CompletionPart::Written(self.written));
        }
        self.usage = chunk.usage().or(self.usage);
        if let Some(reason) = chunk.finish_reason() {
            self.end_text(reason, call)?;
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str, call: &Call) -> Result<(), StageError> {
        let text = self.thoughts.push(text).map_err(|_| {
            self.habit.learn_opened_by_prompt();
            call.unexpected(
                "the model's thoughts began without a mark; they are held back from now on",
            )
        })?;
        self.hand_on(text);
        Ok(())
    }

    fn end_text(&mut self, reason: FinishReason, call: &Call) -> Result<(), StageError> {
        match reason {
            FinishReason::Stop => self.ending = Ending::Complete,
            FinishReason::Length => self.ending = Ending::CutShort,
            FinishReason::ContentFilter => {
                let detail = format!("{} withheld the answer (content filter)", call.name);
                return Err(StageError::internal(failure::REFUSED, detail));
            }
            FinishReason::Error => {
                let detail = format!("{} failed in the middle of the answer", call.name);
                return Err(StageError::transient(failure::FAILED, detail));
            }
        }
        self.stage = Stage::Finished;
        Ok(())
    }

    fn hand_on(&mut self, text: String) {
        if !text.is_empty() {
            self.has_text = true;
            self.shown += tokens(&text);
            self.ready.push_back(CompletionPart::Text(text));
        }
    }
}

fn tokens(text: &str) -> u64 {
    budget::tokens(text) as u64
}

fn error_event(data: &str, call: &Call) -> StageError {
    let document = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
    let complaint = Complaint::of(&document).unwrap_or_else(|| Complaint::described_by(&document));
    call.complained(&complaint)
}

/// Without the text around the fault, which may be the user's.
fn kind_of(error: &serde_json::Error) -> &'static str {
    match error.is_eof() {
        true => "it is cut off",
        false => "it is malformed",
    }
}
