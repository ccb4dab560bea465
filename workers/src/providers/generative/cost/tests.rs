use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use tokio::sync::Notify;

use crate::{
    handler::{Progress, StageError},
    knowledge::lexicon::Lexicon,
    meter::{Account, tests::account},
    providers::{
        Answerer, ChatMessage, ChatModel, Completion, CompletionPart, Grounds,
        extractive::Institution,
        failure,
        generative::{GenerativeAnswerer, Options},
    },
    query::language::Language,
    testing::questions::understood,
};
use common::{reply::Event, turn::TokenUsage};

use super::super::tests::{PASSAGES, passage};

type Part = Result<CompletionPart, StageError>;

/// What a model does when it is asked.
#[derive(Clone)]
enum Does {
    Fails(StageError),
    Hangs,
    Says(Vec<Part>),
    /// And then nothing more.
    SaysAndHangs(Vec<Part>),
}

struct Model {
    does: Does,
    /// Notified when it hangs.
    hangs: Arc<Notify>,
}

impl Model {
    fn hang<T: 'static>(&self) -> impl Future<Output = T> + Send + 'static + use<T> {
        let hangs = Arc::clone(&self.hangs);
        async move {
            hangs.notify_one();
            std::future::pending().await
        }
    }
}

#[async_trait]
impl ChatModel for Model {
    async fn complete(&self, _: &[ChatMessage]) -> Result<Completion, StageError> {
        match self.does.clone() {
            Does::Fails(error) => Err(error),
            Does::Hangs => self.hang().await,
            Does::Says(parts) => Ok(stream::iter(parts).boxed()),
            Does::SaysAndHangs(parts) => {
                let rest = stream::once(self.hang());
                Ok(stream::iter(parts).chain(rest).boxed())
            }
        }
    }

    fn name(&self) -> &str {
        "vendor"
    }

    fn token_limit(&self) -> u64 {
        1_000
    }
}

struct Silent;

impl Progress for Silent {
    fn tell(&self, _: Event) {}
}

/// What is counted after a model did so; and what was set aside meanwhile, where
/// it hangs and is dropped then.
async fn counted(does: Does) -> (u64, Option<u64>) {
    let hangs = Arc::new(Notify::new());
    let model = Model {
        does,
        hangs: Arc::clone(&hangs),
    };
    let institution = Institution::bundled();
    let lexicon = Arc::new(Lexicon::bundled());
    let answerer =
        GenerativeAnswerer::new(Arc::new(model), lexicon, institution, Options::default());
    let understanding = understood(&["biaya kuliah"], Language::Indonesian);
    let passages: Vec<_> = PASSAGES.iter().enumerate().map(passage).collect();
    let (meter, job) = account();
    let grounds = Grounds {
        question: "Berapa biaya kuliah?",
        understanding: &understanding,
        passages: &passages,
        history: &[],
        emotion: None,
        account: Some(Account {
            meter: &meter,
            job: &job,
        }),
    };
    let meanwhile = {
        let mut answer = std::pin::pin!(answerer.answer(&grounds, &Silent));
        tokio::select! {
            _ = &mut answer => None,
            () = hangs.notified() => Some(meter.tokens(&job).await),
        }
    };
    meter.finish().await;
    (meter.tokens(&job).await, meanwhile)
}

fn text(pieces: &[&str]) -> Vec<Part> {
    let part = |piece: &&str| Ok(CompletionPart::Text((*piece).to_owned()));
    pieces.iter().map(part).collect()
}

#[tokio::test]
async fn a_call_counts_what_it_took_however_it_ends() {
    let (prompt, set_aside) = counted(Does::Hangs).await;
    assert!(prompt > 100, "{prompt}");
    assert_eq!(set_aside, Some(prompt + 1_000));

    let said = || text(&["Biaya", " kuliah"].repeat(100));
    let with = |more: Part| [said(), vec![more]].concat();
    // 5 letters, and 7: by three to a token.
    let written = 100 * (2 + 3);
    let broken = || failure::unreachable("vendor", "it broke off");
    let slow = || failure::timed_out("vendor", Duration::from_secs(1));
    let usage = TokenUsage {
        input_tokens: 7,
        output_tokens: 3,
    };
    for (case, does, expected) in [
        ("refused", Does::Fails(broken()), 0),
        ("too slow", Does::Fails(slow()), prompt),
        ("cancelled", Does::SaysAndHangs(said()), prompt + written),
        ("cut off", Does::Says(with(Err(broken()))), prompt + written),
        (
            "whole",
            Does::Says(with(Ok(CompletionPart::Usage(usage)))),
            10,
        ),
        ("whole, and untold", Does::Says(said()), prompt + written),
        (
            "in thoughts",
            Does::SaysAndHangs(vec![Ok(CompletionPart::Written(700))]),
            prompt + 700,
        ),
    ] {
        let (counted, _) = counted(does).await;
        // The fences around passages are random, and so is what they count.
        let off = counted.abs_diff(expected);
        assert!(off <= 60, "{case}: {counted} instead of {expected}");
    }
}
