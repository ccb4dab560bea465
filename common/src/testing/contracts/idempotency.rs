//! The promises of [`crate::idempotency`].

use futures::future::join_all;

use crate::{
    backends::Backends,
    idempotency::{Claim, Claimed, Fingerprint, IdempotencyError, IdempotencyKey},
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

/// What stands in the way, without its time: the store tells how long ago that was, to the millisecond.
fn before(claimed: Result<Claimed, IdempotencyError>) -> Claim {
    match claimed {
        Ok(Claimed::Before(claim)) => timeless(&claim),
        other => panic!("it is claimed: {other:?}"),
    }
}

fn timeless(claim: &Claim) -> Claim {
    Claim {
        at: UnixMillis(0),
        ..claim.clone()
    }
}

/// Two API servers, of which the clock of one is behind: what it has claimed is as old as the store says.
pub async fn the_clocks_of_those_who_claim_do_not_matter(backends: Backends) {
    let (keys, key, mut first) = (backends.idempotency, key(), claim());
    first.at = UnixMillis(first.at.0 - 60_000);
    keys.claim(&key, &first).await.unwrap();
    let second = claim();
    let Ok(Claimed::Before(claimed)) = keys.claim(&key, &second).await else {
        panic!("it is claimed")
    };
    assert!(second.at.since(claimed.at) < std::time::Duration::from_secs(5));
}

pub async fn a_free_key_is_claimed_and_then_told_with_its_job(backends: Backends) {
    let (keys, key, first) = (backends.idempotency, key(), claim());
    assert_eq!(keys.claim(&key, &first).await, Ok(Claimed::Now));
    for _ in 0..2 {
        let second = keys.claim(&key, &claim()).await;
        assert_eq!(before(second.clone()), timeless(&first));
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
        assert_eq!(before(loser.clone()), timeless(winner));
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
    assert_eq!(before(held.clone()), timeless(&first));
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
    assert_eq!(before(late.clone()), timeless(&second));
    // Nor does the first job give back what is not its own any more.
    keys.release(&key, from).await.unwrap();
    let held = keys.claim(&key, &third).await;
    assert_eq!(before(held.clone()), timeless(&second));
}

pub async fn a_claim_tells_whether_its_job_is_queued_until_it_is_taken_over(backends: Backends) {
    let (keys, key) = (backends.idempotency, key());
    let [first, second] = [claim(), claim()];
    keys.claim(&key, &first).await.unwrap();
    // Who does not hold the key confirms nothing.
    keys.confirm(&key, second.job).await.unwrap();
    let held = keys.claim(&key, &second).await;
    assert_eq!(before(held.clone()), timeless(&first));
    keys.confirm(&key, first.job).await.unwrap();
    let queued = Claim {
        queued: true,
        ..first.clone()
    };
    let held = keys.claim(&key, &second).await;
    assert_eq!(before(held.clone()), timeless(&queued));
    keys.take_over(&key, first.job, &second).await.unwrap();
    let held = keys.claim(&key, &first).await;
    assert_eq!(before(held.clone()), timeless(&second));
}
