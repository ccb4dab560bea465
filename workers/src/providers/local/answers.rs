//! Answers from the documents' own sentences, without a language model.

use async_trait::async_trait;
use common::{
    reply::Event,
    turn::{Answer, Citation},
};

use crate::{
    handler::{Progress, StageError},
    providers::{
        Answerer, Grounds,
        extractive::{self, Extractive},
    },
};

const PROVIDER: &str = "extractive";

pub struct LocalAnswerer {
    extractive: Extractive,
}

impl LocalAnswerer {
    pub fn new(extractive: Extractive) -> Self {
        Self { extractive }
    }
}

#[async_trait]
impl Answerer for LocalAnswerer {
    async fn answer(
        &self,
        grounds: &Grounds<'_>,
        progress: &dyn Progress,
    ) -> Result<Answer, StageError> {
        let answer = self
            .extractive
            .answer(grounds.understanding, grounds.passages);
        let text = answer.text_without_marks();
        progress.tell(Event::AnswerDelta { text: text.clone() });
        Ok(Answer {
            text,
            citations: answer.citations.into_iter().map(citation).collect(),
            declined: answer.declined,
            usage: None,
            provider: PROVIDER.to_owned(),
        })
    }
}

fn citation(cited: extractive::Citation) -> Citation {
    Citation {
        n: u32::try_from(cited.n).unwrap_or(u32::MAX),
        title: cited.title,
        url: cited.url.unwrap_or_default(),
        quote: cited.quote,
        score: Some(cited.score),
    }
}
