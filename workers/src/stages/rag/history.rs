//! How much of a conversation an answer is made with.

use common::{conversation::PastTurn, ids::CorrelationId};

/// What a chat format adds to each message, in tokens: its role and its marks
/// (3 and a little in OpenAI's formats, up to 5 in those of Llama and Qwen).
const TOKENS_AROUND_A_MESSAGE: usize = 5;

/// The turns that were there before that of `job`: a job that runs again
/// answers from what it answered from the first time.
pub fn before(job: CorrelationId, mut turns: Vec<PastTurn>) -> Vec<PastTurn> {
    if let Some(own) = turns.iter().position(|turn| turn.job == job) {
        turns.truncate(own);
    }
    turns
}

/// The newest of `turns` (the oldest first) that have room in `tokens`, without
/// gaps. None, when not even the last has.
pub fn within_budget(turns: &[PastTurn], tokens: usize) -> &[PastTurn] {
    let mut left = tokens;
    let newest = turns.iter().rev().take_while(|turn| {
        let needed = tokens_of(turn);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    });
    &turns[turns.len() - newest.count()..]
}

fn tokens_of(turn: &PastTurn) -> usize {
    [&turn.user, &turn.assistant]
        .into_iter()
        .map(|text| most_tokens(text) + TOKENS_AROUND_A_MESSAGE)
        .sum()
}

/// A careful estimate, since each model counts in its own way: one token for
/// three ASCII characters, one for each byte of anything else.
///
/// Vendors tell of four characters a token for English; Indonesian, which their
/// vocabularies know less well, needs a token for three to four. Text outside
/// ASCII is counted by what no tokeniser on bytes can exceed.
fn most_tokens(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    ascii.div_ceil(3) + (text.len() - ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::UnixMillis;

    /// A turn of `tokens`, by the estimate.
    fn turn(tokens: usize) -> PastTurn {
        let text = tokens - 2 * TOKENS_AROUND_A_MESSAGE;
        PastTurn {
            job: CorrelationId::new(),
            at: UnixMillis(0),
            user: "a".repeat(3 * (text / 2)),
            assistant: "a".repeat(3 * (text - text / 2)),
        }
    }

    #[test]
    fn the_newest_turns_are_kept_as_far_as_they_fit() {
        let turns = [turn(20), turn(500), turn(30), turn(50)];
        for (tokens, kept) in [
            (0, 0),
            (49, 0),
            (50, 1),
            (79, 1),
            (80, 2),
            // The small one behind the large one would leave a gap.
            (579, 2),
            (580, 3),
            (600, 4),
            (usize::MAX, 4),
        ] {
            let expected = &turns[turns.len() - kept..];
            assert_eq!(within_budget(&turns, tokens), expected, "{tokens}");
        }
        assert!(within_budget(&[], 100).is_empty());
    }

    #[test]
    fn text_is_never_taken_for_less_than_it_is() {
        for (text, tokens) in [
            ("", 0),
            ("a", 1),
            ("abc", 1),
            ("abcd", 2),
            ("é", 2),
            ("你好", 6),
        ] {
            assert_eq!(most_tokens(text), tokens, "{text}");
        }
    }

    #[test]
    fn a_job_that_runs_again_does_not_see_its_own_turn() {
        let turns = vec![turn(20), turn(30), turn(40)];
        let own = turns[1].job;
        assert_eq!(before(own, turns.clone()), turns[..1]);
        assert_eq!(before(CorrelationId::new(), turns.clone()), turns);
    }
}
