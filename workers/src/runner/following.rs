//! A stage that follows another one while that is at work: its message is sent with the first piece of the answer, and at
//! the latest when the other stage is complete. What it works on is in the log. The message carries what the other stage was
//! given, so that it can be begun again.

use common::{
    envelope::Envelope,
    pipeline::Stage,
    reply::{Event, Run},
    time::UnixMillis,
};
use tracing::{debug, info};

use super::{Outcome, Runner, until_there};

/// The stage that follows the one of `envelope`.
pub(super) fn follower_of(envelope: &Envelope) -> Option<Stage> {
    let next = envelope.slip.next();
    next.filter(|next| next.follows() == Some(envelope.stage()))
}

/// The message for that stage.
pub(super) fn for_follower(envelope: &Envelope) -> Option<Envelope> {
    follower_of(envelope)?;
    envelope.forwarded(envelope.turn.clone(), UnixMillis::now())
}

pub(super) fn is_of_answer(event: &Event) -> bool {
    matches!(event, Event::AnswerDelta { .. })
}

impl Runner {
    /// Sends that message if the broker takes it; it can wait, and what is followed is not to be held up.
    pub(super) async fn sends_to_follower(&self, envelope: &Envelope, run: &Run) -> bool {
        let Some(mut message) = for_follower(envelope) else {
            return true;
        };
        message.log_seen = run.log_seen();
        let sent = self.backends.broker.publish(&message).await;
        let sent = sent.inspect_err(|error| debug!(%error, "the stage that follows begins later"));
        sent.is_ok()
    }

    /// Sends the message of the stage that this one follows again, where nothing tells that it has begun: the log was lost
    /// after it, or the job was resumed here.
    pub(super) async fn have_the_followed_begin(
        &self,
        envelope: &Envelope,
        run: &Run,
    ) -> Result<(), Outcome> {
        let follows = envelope.job.route.follows_at(self.config.stage);
        let message = envelope.for_followed(UnixMillis::now());
        let Some(message) = message.filter(|_| follows) else {
            return Ok(());
        };
        let followed = message.stage();
        if run.has_begun(followed) {
            return Ok(());
        }
        info!(%followed, "the stage that is followed begins again");
        // One that is complete passes on what it withheld.
        let sent = until_there("broker", || self.backends.send(&message));
        Ok(self.while_under_way(&envelope.job, sent).await?)
    }
}
