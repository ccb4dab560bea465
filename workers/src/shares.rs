//! A tenant's share of what all tenants of a process use at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use common::ids::Tenant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places for each tenant. One that wants more waits for its own.
#[derive(Debug)]
pub struct Shares {
    each: usize,
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

impl Shares {
    pub fn new(each: usize) -> Self {
        Self {
            each,
            tenants: Mutex::default(),
        }
    }

    /// A place for `tenant`, kept until it is dropped.
    pub async fn take(&self, tenant: &Tenant) -> Option<OwnedSemaphorePermit> {
        // None of these is ever closed.
        self.of(tenant).acquire_owned().await.ok()
    }

    fn of(&self, tenant: &Tenant) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a place or waits for one keeps the tenant known.
        tenants.retain(|_, places| Arc::strong_count(places) > 1);
        let places = tenants
            .entry(tenant.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(places)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::try_from(name.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_places_and_no_other_does() {
        let shares = Shares::new(2);
        let (one, other) = (tenant("one"), tenant("other"));
        let first = shares.take(&one).await;
        let _second = shares.take(&one).await;
        let third = shares.take(&one);
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        assert!(shares.take(&other).now_or_never().flatten().is_some());
        drop(first);
        assert!(third.await.is_some());
    }

    #[tokio::test]
    async fn who_has_no_place_is_forgotten() {
        let shares = Shares::new(1);
        for number in 0..100 {
            shares.take(&tenant(&number.to_string())).await;
        }
        assert!(shares.tenants.lock().unwrap().len() <= 1);
    }
}
