//! A job's log on behalf of a client: what there is, then what comes.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    claim_check::{ClaimError, Ticket},
    ids::{CorrelationId, Tenant},
    reply::{Event, Record, ReplyError, can_be_resumed},
    retry::Backoff,
    time::UnixMillis,
};
use futures::{
    StreamExt as _,
    stream::{BoxStream, ReadyChunks},
};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::{Gateway, GatewayError};
use crate::job::{JobView, Outcome, overdue_from};

/// Records that are taken from the log in one go.
const BATCH: usize = 256;

/// Between one look at a job that is overdue and the next.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Looks at a job that is overdue before its follower gives up: its end is in
/// the log by then, or the store cannot be reached.
const LOOKS: u32 = 6;

/// Tries to fetch audio from a store that does not answer.
const TRIES: u32 = 5;

/// How long a client that has seen the end of a job is kept on the line for an
/// operator to resume it. Then it may come again.
const RESUMPTION: Duration = Duration::from_secs(5 * 60);

/// Follows one log. Costs nothing while nothing happens, and reads no further
/// than its client does.
pub struct Following {
    gateway: Arc<Gateway>,
    tenant: Tenant,
    id: CorrelationId,
    /// What was there at the beginning, until it is taken.
    past: Vec<Record>,
    /// `None` when nothing more comes.
    growth: Option<Growth>,
    patience: Patience,
    until: Instant,
    looks: u32,
}

/// What is to be done when nothing has come until then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// The job is overdue.
    LookAfterIt,
    /// It may be resumed, and nobody has yet.
    GiveUp,
}

type Growth = ReadyChunks<BoxStream<'static, Result<Record, ReplyError>>>;

impl Gateway {
    /// Follows a job from its first event, or `None` when `tenant` has no such
    /// job.
    pub async fn follow(
        self: &Arc<Self>,
        tenant: &Tenant,
        id: CorrelationId,
    ) -> Result<Option<Following>, GatewayError> {
        let Some((view, past)) = self.log(tenant, id).await? else {
            return Ok(None);
        };
        let seen = past.last().map_or(0, |record| record.sequence_number);
        let mut following = Following::new(self, tenant, id, seen, self.terms.deadline);
        following.mind_the_deadline(&past);
        following.past = past;
        match view.outcome {
            None => {}
            Some(Outcome::Erased) => return Err(GatewayError::Erased(id)),
            Some(_) if can_be_resumed(&following.past) => {
                following.patience = Patience::GiveUp;
                following.until = Instant::now();
            }
            Some(_) => following.growth = None,
        }
        Ok(Some(following))
    }

    /// Follows a job that was submitted a moment ago. Does not ask the store: it
    /// has the job, and may be away for a while. `time` is what the job has.
    pub fn follow_new(
        self: &Arc<Self>,
        tenant: &Tenant,
        id: CorrelationId,
        time: Duration,
    ) -> Following {
        Following::new(self, tenant, id, 0, time)
    }

    /// The log as it is now; a job that is overdue is ended first.
    async fn log(
        &self,
        tenant: &Tenant,
        id: CorrelationId,
    ) -> Result<Option<(JobView, Vec<Record>)>, GatewayError> {
        let replies = &self.backends.replies;
        let mut records = replies.read(id, 0).await?;
        let of = |records: &[Record]| JobView::of(records).filter(|view| view.belongs_to(tenant));
        let mut view = of(&records);
        if let Some(overdue) = view.take_if(|view| view.is_overdue(UnixMillis::now())) {
            self.expire(overdue).await?;
            records = replies.read(id, 0).await?;
            view = of(&records);
        }
        Ok(view.map(|view| (view, records)))
    }

    /// The bytes under `ticket`, or `None` when they are kept no longer. Asks
    /// several times before it is an error.
    pub async fn redeem(&self, ticket: &Ticket) -> Result<Option<Bytes>, GatewayError> {
        asking_again(|| self.backends.claims.redeem(ticket)).await
    }

    /// As [`redeem`](Self::redeem), of the bytes at these places alone.
    pub async fn redeem_part(
        &self,
        ticket: &Ticket,
        part: Range<u64>,
    ) -> Result<Option<Bytes>, GatewayError> {
        let claims = &self.backends.claims;
        asking_again(|| claims.redeem_part(ticket, part.clone())).await
    }
}

/// `None` for what is kept no longer. Asks several times before it is an error.
async fn asking_again<F>(redeem: impl Fn() -> F) -> Result<Option<Bytes>, GatewayError>
where
    F: Future<Output = Result<Bytes, ClaimError>>,
{
    let mut backoff = Backoff::reconnecting();
    let mut tries = 1;
    loop {
        match redeem().await {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(ClaimError::Gone) => return Ok(None),
            Err(away) if tries >= TRIES => return Err(away.into()),
            Err(error) => warn!(%error, "waiting for audio"),
        }
        tries += 1;
        backoff.wait().await;
    }
}

impl Following {
    fn new(
        gateway: &Arc<Gateway>,
        tenant: &Tenant,
        id: CorrelationId,
        seen: u64,
        time: Duration,
    ) -> Self {
        let growth = gateway.backends.replies.follow(id, seen);
        Self {
            gateway: Arc::clone(gateway),
            tenant: tenant.clone(),
            id,
            past: Vec::new(),
            growth: Some(growth.ready_chunks(BATCH)),
            patience: Patience::LookAfterIt,
            // Until the log says better.
            until: Instant::now() + time,
            looks: 0,
        }
    }

    /// For a client that has seen the end of a job: stays with one that may be
    /// resumed, for as long as that is worth waiting for.
    pub fn wait_for_a_resumption(&mut self) {
        if self.patience == Patience::GiveUp {
            self.until = Instant::now() + RESUMPTION;
        }
    }

    pub fn job(&self) -> CorrelationId {
        self.id
    }

    /// Whether what was there at the beginning is still to be taken.
    pub fn is_in_past(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether nothing comes beyond what was there at the beginning.
    pub fn is_over(&self) -> bool {
        self.growth.is_none()
    }

    /// The number of the last event that was there at the beginning.
    pub fn end_of_past(&self) -> u64 {
        self.past.last().map_or(0, |record| record.sequence_number)
    }

    /// The next records, at least one; `None` after the last. A store that is
    /// away for a while only costs time. Nothing is lost when the future is
    /// dropped.
    pub async fn next(&mut self) -> Option<Vec<Record>> {
        if !self.past.is_empty() {
            return Some(std::mem::take(&mut self.past));
        }
        loop {
            let growth = self.growth.as_mut()?;
            match timeout_at(self.until, growth.next()).await {
                Ok(Some(news)) => {
                    let records = self.recorded(news);
                    if !records.is_empty() {
                        return Some(records);
                    }
                }
                Ok(None) => self.growth = None,
                Err(_) if self.patience == Patience::GiveUp => self.growth = None,
                Err(_) => self.look_after_it().await,
            }
        }
    }

    fn recorded(&mut self, news: Vec<Result<Record, ReplyError>>) -> Vec<Record> {
        let id = self.id;
        let told = |error: &ReplyError| debug!(correlation_id = %id, %error, "following");
        let records: Vec<_> = news
            .into_iter()
            .filter_map(|record| record.inspect_err(told).ok())
            .collect();
        self.mind_the_deadline(&records);
        records
    }

    /// A log begins with the job, whose deadline may be one of its own, and tells
    /// of another one when it is resumed.
    fn mind_the_deadline(&mut self, records: &[Record]) {
        let mut deadlines = records.iter().filter_map(|record| match &record.event {
            Event::Accepted { job } => Some(job.deadline),
            Event::Resumed(resumption) => Some(resumption.deadline),
            _ => None,
        });
        if let Some(deadline) = deadlines.next_back() {
            self.patience = Patience::LookAfterIt;
            self.until = Instant::now() + overdue_from(deadline).since(UnixMillis::now());
            self.looks = 0;
        }
    }

    /// Its time is up, and its log goes on: without a worker to notice, nobody
    /// else ends it. What ends it comes by the log like everything.
    async fn look_after_it(&mut self) {
        self.looks += 1;
        self.until = Instant::now() + LOOK_AGAIN;
        let is_there = match self.gateway.look(&self.tenant, self.id).await {
            Ok(view) => view.is_some(),
            Err(_) => true,
        };
        if !is_there || self.looks >= LOOKS {
            self.growth = None;
        }
    }

    /// As [`Gateway::redeem`].
    pub async fn redeem(&mut self, ticket: &Ticket) -> Result<Option<Bytes>, GatewayError> {
        self.gateway.redeem(ticket).await
    }
}
