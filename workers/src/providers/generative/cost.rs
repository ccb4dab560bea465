//! What one call of a model costs, as far as is known at each moment: the prompt
//! from the moment it is sent, then what is written, and at the end what the
//! vendor says.

use common::{quota::Usage, turn::TokenUsage};

use super::budget::{TOKENS_PER_MESSAGE, tokens};
use crate::{
    meter::{Account, Spending},
    providers::{ChatMessage, CompletionPart},
};

pub struct Cost {
    spending: Spending,
    prompt: u64,
    /// Tokens of the text.
    shown: u64,
    /// Tokens of all, where there are thoughts among them.
    written: u64,
}

impl Cost {
    /// Sets aside what the call may cost at most.
    pub async fn begin(account: Option<Account<'_>>, messages: &[ChatMessage], limit: u64) -> Self {
        let each = |message: &ChatMessage| tokens(&message.content) + TOKENS_PER_MESSAGE;
        let prompt = messages.iter().map(each).sum::<usize>() as u64;
        let most = Usage::tokens(prompt.saturating_add(limit));
        let mut spending = Spending::of(account, most).await;
        spending.is(Usage::tokens(prompt));
        Self {
            spending,
            prompt,
            shown: 0,
            written: 0,
        }
    }

    pub fn is_nothing(&mut self) {
        self.spending.is(Usage::default());
    }

    pub fn count(&mut self, part: &CompletionPart) {
        match part {
            CompletionPart::Text(piece) => self.shown += tokens(piece) as u64,
            CompletionPart::Written(all) => self.written = *all,
            CompletionPart::Usage(TokenUsage {
                input_tokens,
                output_tokens,
            }) => {
                let all = input_tokens.saturating_add(*output_tokens);
                return self.spending.is(Usage::tokens(all));
            }
        }
        let answer = self.shown.max(self.written);
        self.spending.is(Usage::tokens(self.prompt + answer));
    }

    pub async fn settle(self) {
        self.spending.settle().await;
    }
}

#[cfg(test)]
mod tests;
