//! What the stages use on behalf of tenants, reported so that a daily budget
//! can be kept.

use std::{sync::Arc, time::Duration};

use common::{
    envelope::Job,
    ids::MessageId,
    pipeline::Stage,
    quota::{Quotas, Usage},
    turn::{Sentence, TokenUsage},
};
use tracing::warn;

/// Reports each message once, however often its stage runs. What cannot be
/// reported is not counted: an answer that was paid for is worth more than its
/// place in an account.
pub struct Meter {
    quotas: Arc<dyn Quotas>,
    stage: Stage,
}

impl Meter {
    pub fn of(stage: Stage, quotas: &Arc<dyn Quotas>) -> Self {
        let quotas = Arc::clone(quotas);
        Self { quotas, stage }
    }

    /// The language model's count, if there is one.
    pub async fn tokens(&self, job: &Job, used: Option<TokenUsage>) {
        let Some(used) = used else { return };
        let used = Usage {
            tokens: used.input_tokens.saturating_add(used.output_tokens),
            ..Usage::default()
        };
        let message = MessageId::of(job.correlation_id, self.stage);
        self.report(job, message, used).await;
    }

    /// Time of listening or speaking; of `sentence`, when it is spoken by itself.
    pub async fn audio(&self, job: &Job, sentence: Option<&Sentence>, audio: Duration) {
        let id = job.correlation_id;
        let message = match sentence {
            Some(sentence) => MessageId::of_sentence(id, self.stage, sentence),
            None => MessageId::of(id, self.stage),
        };
        let used = Usage {
            audio,
            ..Usage::default()
        };
        self.report(job, message, used).await;
    }

    async fn report(&self, job: &Job, message: MessageId, used: Usage) {
        let id = job.correlation_id;
        if let Err(error) = self.quotas.spend(&job.tenant, id, &message, used).await {
            warn!(%error, "what a stage used is not counted");
        }
    }
}
