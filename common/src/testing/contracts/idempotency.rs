//! The promises of [`crate::idempotency`].

use futures::future::join_all;

use crate::{
    backends::Backends,
    idempotency::{Claim, Claimed, Fingerprint, IdempotencyKey},
    ids::{CorrelationId, Tenant},
    time::UnixMillis,
};

/// A key that no other test has.
fn key() -> IdempotencyKey {
    IdempotencyKey::of(&Tenant::default(), &CorrelationId::new().to_string())
}

fn claim() -> Claim {
    Claim {
        job: CorrelationId::new(),
        fingerprint: Fingerprint::of([7; 32]),
        at: UnixMillis::now(),
        queued: false,
    }
}

pub async fn a_free_key_is_claimed_and_then_told_with_its_job(backends: Backends) {
    let (keys, key, first) = (backends.idempotency, key(), claim());
    assert_eq!(keys.claim(&key, &first).await, Ok(Claimed::Now));
    for _ in 0..2 {
        let second = keys.claim(&key, &claim()).await;
        assert_eq!(second, Ok(Claimed::Before(first.clone())));
    }
}

pub async fn of_many_who_claim_at_once_one_gets_the_key(backends: Backends) {
    let (keys, key) = (backends.idempotency, key());
    let claims: Vec<_> = (0..20).map(|_| claim()).collect();
    let all = join_all(claims.iter().map(|claim| keys.claim(&key, claim))).await;
    let winners: Vec<_> = claims
        .iter()
        .zip(&all)
        .filter(|(_, claimed)| **claimed == Ok(Claimed::Now))
        .collect();
    let [(winner, _)] = winners[..] else {
        panic!("one winner in {all:?}")
    };
    let told = all.iter().filter(|it| **it != Ok(Claimed::Now));
    for loser in told {
        assert_eq!(*loser, Ok(Claimed::Before(winner.clone())));
    }
}

pub async fn a_key_of_another_tenant_is_another_key(backends: Backends) {
    let keys = backends.idempotency;
    let text = CorrelationId::new().to_string();
    for tenant in ["one", "two"] {
        let key = IdempotencyKey::of(&tenant.parse().unwrap(), &text);
        assert_eq!(keys.claim(&key, &claim()).await, Ok(Claimed::Now));
    }
}

pub async fn a_key_is_given_back_by_its_holder_alone(backends: Backends) {
    let (keys, key, first) = (backends.idempotency, key(), claim());
    keys.claim(&key, &first).await.unwrap();
    keys.release(&key, CorrelationId::new()).await.unwrap();
    let held = keys.claim(&key, &claim()).await;
    assert_eq!(held, Ok(Claimed::Before(first.clone())));
    keys.release(&key, first.job).await.unwrap();
    assert_eq!(keys.claim(&key, &claim()).await, Ok(Claimed::Now));
}

pub async fn a_key_is_taken_over_once_from_the_job_that_is_named(backends: Backends) {
    let (keys, key) = (backends.idempotency, key());
    let [first, second, third] = [claim(), claim(), claim()];
    keys.claim(&key, &first).await.unwrap();
    let from = first.job;
    assert_eq!(keys.take_over(&key, from, &second).await, Ok(Claimed::Now));
    let late = keys.take_over(&key, from, &third).await;
    assert_eq!(late, Ok(Claimed::Before(second.clone())));
    // Nor does the first job give back what is not its own any more.
    keys.release(&key, from).await.unwrap();
    let held = keys.claim(&key, &third).await;
    assert_eq!(held, Ok(Claimed::Before(second)));
}

pub async fn a_claim_tells_whether_its_job_is_queued_until_it_is_taken_over(backends: Backends) {
    let (keys, key) = (backends.idempotency, key());
    let [first, second] = [claim(), claim()];
    keys.claim(&key, &first).await.unwrap();
    // Who does not hold the key confirms nothing.
    keys.confirm(&key, second.job).await.unwrap();
    let held = keys.claim(&key, &second).await;
    assert_eq!(held, Ok(Claimed::Before(first.clone())));
    keys.confirm(&key, first.job).await.unwrap();
    let queued = Claim {
        queued: true,
        ..first.clone()
    };
    let held = keys.claim(&key, &second).await;
    assert_eq!(held, Ok(Claimed::Before(queued)));
    keys.take_over(&key, first.job, &second).await.unwrap();
    let held = keys.claim(&key, &first).await;
    assert_eq!(held, Ok(Claimed::Before(second)));
}
