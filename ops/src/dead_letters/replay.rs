//! Taking up a job again by its dead letter.
//!
//! The log is reopened, the message published and confirmed, and only then is
//! the dead letter given up. A replay that dies in between leaves the letter: to
//! repeat it finds the job under way, and what it sends twice is a duplicate
//! that the workers recognise.

use common::{
    backends::Backends,
    broker::{Link, dead_letters::HeldLetter},
    callback,
    conversation::ConversationKey,
    envelope::{Envelope, Job},
    job::JobView,
    reply::{ReplyError, Resumed, Resumption},
    time::UnixMillis,
};

pub enum Outcome {
    /// Its job goes on.
    Resumed,
    /// Its job was under way, and has its message again.
    UnderWay,
    /// It stays: its job ended for good meanwhile.
    Over,
    /// It stays: its job is kept no longer, so nobody could hear of it.
    Gone,
    /// It stays: this program cannot read it.
    Unreadable,
    /// It stays: a server could not do it now.
    Failed(anyhow::Error),
    /// It stays, untried: a server could not do the one before it.
    NotTried,
}

impl Outcome {
    pub fn is_replayed(&self) -> bool {
        matches!(self, Self::Resumed | Self::UnderWay)
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Resumed => "resumed",
            Self::UnderWay => "under_way",
            Self::Over => "over",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
            Self::Failed(_) => "failed",
            Self::NotTried => "not_tried",
        }
    }

    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Resumed => "its job goes on",
            Self::UnderWay => "its job was under way and has its message again",
            Self::Over => "left: its job is over for good",
            Self::Gone => "left: its job is kept no longer",
            Self::Unreadable => "left: it cannot be read",
            Self::Failed(_) => "left: not now",
            Self::NotTried => "left: not tried, after the one before",
        }
    }
}

pub async fn replay(backends: &Backends, held: HeldLetter) -> Outcome {
    let outcome = match held.letter.envelope() {
        Some(envelope) => resume(backends, envelope).await,
        None => Ok(Outcome::Unreadable),
    };
    let outcome = outcome.or_else(|error| match error.downcast_ref() {
        // Its log was written by another version.
        Some(ReplyError::Unreadable(_)) => Ok(Outcome::Unreadable),
        _ => Err(error),
    });
    match outcome {
        Ok(outcome) if outcome.is_replayed() => match held.remove().await {
            Ok(()) => outcome,
            Err(error) => Outcome::Failed(error.into()),
        },
        outcome => {
            held.put_back().await;
            outcome.unwrap_or_else(Outcome::Failed)
        }
    }
}

async fn resume(backends: &Backends, envelope: &Envelope) -> anyhow::Result<Outcome> {
    let id = envelope.correlation_id();
    // A job that is taken up again is to have its message as well.
    let link = backends.broker.link();
    anyhow::ensure!(link == Link::Up, "RabbitMQ cannot be used: it is {link:?}");
    let records = backends.replies.read(id, 0).await?;
    let Some(view) = JobView::of(&records) else {
        return Ok(Outcome::Gone);
    };
    let now = UnixMillis::now();
    let resumption = resumption(&view, now);
    let (job, outcome) = match backends.replies.resume(id, &resumption).await? {
        Resumed::Gone => return Ok(Outcome::Gone),
        Resumed::Over => return Ok(Outcome::Over),
        Resumed::UnderWay(None) => (view.job.clone(), Outcome::UnderWay),
        Resumed::UnderWay(Some(standing)) => {
            let job = resumed(&view.job, &standing);
            give_its_place_back(backends, &job).await?;
            backends.promise_callback(&job).await?;
            if standing == resumption {
                (job, Outcome::Resumed)
            } else {
                (job, Outcome::UnderWay)
            }
        }
    };
    let message = envelope.resumed(job, now);
    backends.send(&message).await?;
    Ok(outcome)
}

/// As much time as the job had at first, and later than any deadline before.
fn resumption(view: &JobView, now: UnixMillis) -> Resumption {
    let after_the_last = UnixMillis(view.job.deadline.0.saturating_add(1));
    let deadline = now.after(view.time).max(after_the_last);
    Resumption {
        deadline,
        callback: callback::next_to_tell(&view.job, deadline),
    }
}

fn resumed(job: &Job, standing: &Resumption) -> Job {
    Job {
        deadline: standing.deadline,
        callback: standing.callback.or(job.callback),
        ..job.clone()
    }
}

/// Also where its answer is recorded: its turn may not be added yet. If it is, the job leaves its place when the stage that wrote
/// it is asked once more.
async fn give_its_place_back(backends: &Backends, job: &Job) -> anyhow::Result<()> {
    if let Some(key) = ConversationKey::of(job) {
        backends.conversations.accept_again(&key, job).await?;
    }
    Ok(())
}
