//! The bytes of bodies that are in memory at the same time, of uploads and of
//! answers: bounded for the process, and for each tenant, whose clients then
//! cannot take what the others need.
//!
//! A [`Hold`] is taken before the bytes are there and goes with them. Who waits
//! for more must hold nothing meanwhile: two that did could wait for each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use bytes::Bytes;
use common::{
    config::{ConfigError, Environment},
    ids::Tenant,
};
use metrics::{counter, gauge};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

use crate::error::Problem;

const MEBIBYTE: usize = 1024 * 1024;

/// How soon there may be room again: what stands still is given up after
/// `CLIENT_TIMEOUT`, most of it goes much sooner.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The wait of an answer that is not begun yet, whose client waits with it.
pub const SHORT_WAIT: Duration = Duration::from_secs(5);

/// The wait in the middle of an answer, which has no other way to go on: longer
/// than those that are not read keep what they hold.
pub const LONG_WAIT: Duration = Duration::from_secs(60);

/// Bytes of bodies at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteLimits {
    pub process: usize,
    pub tenant: usize,
}

impl ByteLimits {
    /// `largest` is what one request may need at once.
    pub fn from_environment(env: &Environment, largest: usize) -> Result<Self, ConfigError> {
        const MOST: usize = 1 << 40;
        let usual = (512 * MEBIBYTE).max(largest.saturating_mul(4)).min(MOST);
        let process = env.number("MAX_BYTES_HELD", MEBIBYTE..=MOST, usual)?;
        let share = (process / 2).max(MEBIBYTE);
        let tenant = env.number("MAX_BYTES_HELD_PER_TENANT", MEBIBYTE..=MOST, share)?;
        let limits = Self {
            process,
            tenant: tenant.min(process),
        };
        if limits.tenant < largest {
            return Err(ConfigError::because(
                "MAX_BYTES_HELD",
                format!("{} bytes for a tenant, of {process}", limits.tenant),
                format!(
                    "at least the {largest} bytes of one upload (MAX_CONTENT_LENGTH), and twice that without MAX_BYTES_HELD_PER_TENANT"
                ),
            ));
        }
        Ok(limits)
    }
}

/// What is left of both bounds.
pub struct ByteBudget {
    limits: ByteLimits,
    process: Arc<Semaphore>,
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// What is left of it for one tenant. In the extensions of each request that has
/// a key.
#[derive(Clone, Debug)]
pub struct TenantBytes {
    process: Arc<Semaphore>,
    tenant: Arc<Semaphore>,
    /// No more than this is ever taken at once, so that there is an end to each
    /// wait.
    most: usize,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Hold {
    process: OwnedSemaphorePermit,
    tenant: OwnedSemaphorePermit,
}

/// There is no room for more bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Full {
    #[error("too many bytes are held")]
    Process,
    #[error("too many bytes are held for the tenant")]
    Tenant,
}

impl ByteBudget {
    pub fn new(limits: ByteLimits) -> Self {
        Self {
            limits,
            process: Arc::new(Semaphore::new(limits.process)),
            tenants: Mutex::default(),
        }
    }

    /// There are as many tenants as keys name.
    pub fn of(&self, tenant: &Tenant) -> TenantBytes {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let share = tenants
            .entry(tenant.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.limits.tenant)));
        TenantBytes {
            process: Arc::clone(&self.process),
            tenant: Arc::clone(share),
            most: self.limits.tenant,
        }
    }
}

impl TenantBytes {
    /// Nothing yet, to grow as bytes come.
    pub fn nothing(&self) -> Hold {
        let none = |bytes: &Arc<Semaphore>| Arc::clone(bytes).try_acquire_many_owned(0);
        Hold {
            process: none(&self.process).expect("no semaphore is ever closed"),
            tenant: none(&self.tenant).expect("no semaphore is ever closed"),
        }
    }

    /// Room for `bytes`, when there is some within `patience`.
    pub async fn take(&self, bytes: usize, patience: Duration) -> Result<Hold, Full> {
        let permits = permits(bytes.min(self.most));
        let taken = |bytes: &Arc<Semaphore>| {
            timeout(patience, Arc::clone(bytes).acquire_many_owned(permits))
        };
        let closed = |_: AcquireError| unreachable!("no semaphore is ever closed");
        let tenant = taken(&self.tenant)
            .await
            .map_err(|_| Full::Tenant.counted())?;
        let process = taken(&self.process)
            .await
            .map_err(|_| Full::Process.counted())?;
        let hold = Hold {
            tenant: tenant.unwrap_or_else(closed),
            process: process.unwrap_or_else(closed),
        };
        gauge!("itb_http_bytes_held").increment(f64::from(permits));
        Ok(hold)
    }
}

impl Hold {
    /// Room for `bytes` more, if there is some at once.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let permits = permits(bytes);
        let taken = |permit: &OwnedSemaphorePermit| {
            Arc::clone(permit.semaphore()).try_acquire_many_owned(permits)
        };
        let tenant = taken(&self.tenant).map_err(|_: TryAcquireError| Full::Tenant.counted())?;
        let process = taken(&self.process).map_err(|_| Full::Process.counted())?;
        self.tenant.merge(tenant);
        self.process.merge(process);
        gauge!("itb_http_bytes_held").increment(f64::from(permits));
        Ok(())
    }

    /// Gives back what is beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let rest = self.process.num_permits().saturating_sub(bytes);
        drop((self.process.split(rest), self.tenant.split(rest)));
        gauge!("itb_http_bytes_held").decrement(rest as f64);
    }

    /// Goes with `bytes` and all slices of them, to the last.
    pub fn attach(self, bytes: Bytes) -> Bytes {
        struct Held(
            Bytes,
            #[allow(dead_code, reason = "it is dropped with the bytes")] Hold,
        );
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Held(bytes, self))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        gauge!("itb_http_bytes_held").decrement(self.process.num_permits() as f64);
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Full {
    /// `itb_http_bytes_refused_total{bound}`: bodies for which there was no room.
    fn counted(self) -> Self {
        counter!("itb_http_bytes_refused_total", "bound" => <&str>::from(self)).increment(1);
        self
    }
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        match full {
            Full::Process => Self::unavailable(
                "too_many_bytes",
                "Too many uploads and answers are in memory already.",
                RETRY_AFTER,
            ),
            Full::Tenant => Self::too_many(
                "too_many_bytes_of_tenant",
                "Too many uploads and answers of this tenant are in memory already.",
                RETRY_AFTER,
            ),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TenantBytes {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Set by the middleware before every `/v1` handler.
        let bytes = parts.extensions.get::<Self>().cloned();
        bytes.ok_or_else(Problem::internal)
    }
}

/// Bytes as they come, all of them counted: also what is allocated for more.
pub struct Collected {
    bytes: Vec<u8>,
    hold: Hold,
}

/// The least by which room grows.
const STEP: usize = 8 * 1024;

impl Collected {
    pub fn new(budget: &TenantBytes) -> Self {
        Self {
            bytes: Vec::new(),
            hold: budget.nothing(),
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds `piece` to bytes that are to be no more than `limit` in the end.
    pub fn push(&mut self, piece: &[u8], limit: usize) -> Result<(), Full> {
        let (length, room) = (self.bytes.len(), self.bytes.capacity());
        if room - length < piece.len() {
            // By a quarter, so that what is copied in all stays a small multiple.
            let usual = (length + (length / 4).max(STEP)).min(limit);
            let more = usual.max(length + piece.len()) - length;
            self.hold.grow(length + more - room)?;
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    pub fn finish(mut self) -> (Bytes, Hold) {
        self.bytes.shrink_to_fit();
        self.hold.shrink_to(self.bytes.len());
        (self.bytes.into(), self.hold)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A tenant that may hold `bytes` in a process that may hold as many.
    pub fn tenant_with(bytes: usize) -> TenantBytes {
        let limits = ByteLimits {
            process: bytes,
            tenant: bytes,
        };
        ByteBudget::new(limits).of(&Tenant::default())
    }

    fn budget() -> ByteBudget {
        ByteBudget::new(ByteLimits {
            process: 150,
            tenant: 100,
        })
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    const AT_ONCE: Duration = Duration::ZERO;

    #[tokio::test]
    async fn a_tenant_has_its_share_and_all_have_no_more_than_the_process() {
        let budget = budget();
        let (one, other) = (budget.of(&tenant("one")), budget.of(&tenant("other")));
        let first = one.take(100, AT_ONCE).await.unwrap();
        assert_eq!(one.take(1, AT_ONCE).await.unwrap_err(), Full::Tenant);
        assert_eq!(other.take(51, AT_ONCE).await.unwrap_err(), Full::Process);
        let mut second = other.take(50, AT_ONCE).await.unwrap();
        assert_eq!(second.grow(1), Err(Full::Process));
        drop(first);
        assert_eq!(second.grow(50), Ok(()));
        assert_eq!(second.grow(1), Err(Full::Tenant));
        second.shrink_to(20);
        assert_eq!(second.grow(80), Ok(()));
        // What was refused in between took nothing.
        assert_eq!(budget.of(&tenant("one")).tenant.available_permits(), 100);
    }

    #[tokio::test]
    async fn who_waits_gets_what_becomes_free_and_more_than_there_is_is_all_of_it() {
        let one = budget().of(&tenant("one"));
        let held = one.take(1_000, AT_ONCE).await.unwrap();
        let waiting = tokio::spawn({
            let one = one.clone();
            async move { one.take(10, LONG_WAIT).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        let _held = one.take(100, AT_ONCE).await.unwrap();
        assert_eq!(one.take(1, AT_ONCE).await.unwrap_err(), Full::Tenant);
    }

    #[tokio::test]
    async fn bytes_are_counted_to_their_last_slice() {
        let one = budget().of(&tenant("one"));
        let hold = one.take(10, AT_ONCE).await.unwrap();
        let mut bytes = hold.attach(Bytes::from(vec![7; 10]));
        drop(bytes.split_to(9));
        assert_eq!(one.tenant.available_permits(), 90);
        drop(bytes);
        assert_eq!(one.tenant.available_permits(), 100);
    }

    #[test]
    fn what_comes_in_pieces_is_counted_with_the_room_that_is_made_for_it() {
        let budget = tenant_with(1_000_000);
        let mut collected = Collected::new(&budget);
        let pieces: Vec<Vec<u8>> = (0..50).map(|n| vec![n; 10_001]).collect();
        for piece in &pieces {
            collected.push(piece, 600_000).unwrap();
            let room = collected.bytes.capacity();
            assert!(room <= 600_000);
            assert_eq!(budget.tenant.available_permits(), 1_000_000 - room);
        }
        let (bytes, hold) = collected.finish();
        assert_eq!(bytes, pieces.concat());
        assert_eq!(budget.tenant.available_permits(), 1_000_000 - bytes.len());
        drop(hold);
        let mut collected = Collected::new(&tenant_with(100_000));
        collected.push(&[0; 60_000], 600_000).unwrap();
        assert_eq!(collected.push(&[0; 60_000], 600_000), Err(Full::Tenant));
    }

    #[test]
    fn an_upload_fits_or_the_settings_are_wrong() {
        let limits = |pairs: &[(&str, &str)]| {
            let env = pairs.iter().copied().collect();
            ByteLimits::from_environment(&env, 16 * MEBIBYTE)
        };
        let usual = limits(&[]).unwrap();
        assert_eq!(usual.tenant * 2, usual.process);
        assert!(limits(&[("MAX_BYTES_HELD", "33554432")]).is_ok());
        let large = ByteLimits::from_environment(&Default::default(), 1_000 * MEBIBYTE);
        assert!(large.unwrap().tenant >= 1_000 * MEBIBYTE);
        for wrong in [
            &[("MAX_BYTES_HELD", "16777216")][..],
            &[("MAX_BYTES_HELD_PER_TENANT", "1048576")],
            &[("MAX_BYTES_HELD", "0")],
        ] {
            assert!(limits(wrong).is_err(), "{wrong:?}");
        }
    }
}
