//! The promises of [`crate::quota`].

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use futures::future::join_all;

use crate::{
    backends::Backends,
    ids::{CorrelationId, Tenant},
    quota::{
        Budgets, NewJob, Partition, Policy, Quotas, Refusal, Request, Reservation, Ruling, Usage,
        Why,
    },
    time::UnixMillis,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A tenant whom no other test has.
fn tenant() -> Tenant {
    CorrelationId::new().to_string().parse().unwrap()
}

fn policy(name: &'static str, quota: u32, window: Duration) -> Policy {
    Policy {
        name,
        quota: NonZeroU32::new(quota).unwrap(),
        window,
    }
}

/// A job with a minute, of which any number may be under way.
fn job() -> NewJob {
    NewJob {
        id: CorrelationId::new(),
        deadline: UnixMillis::now().after(Duration::from_secs(60)),
        most: None,
        budgets: Budgets::default(),
        estimate: Usage::default(),
    }
}

fn one_of(most: u32) -> NewJob {
    NewJob {
        most: NonZeroU32::new(most),
        ..job()
    }
}

async fn ask(quotas: &dyn Quotas, tenant: &Tenant, policies: &[Policy]) -> Ruling {
    let request = Request {
        partition: &Partition::Tenant(tenant.clone()),
        policies,
        job: None,
    };
    quotas.admit(&request).await.unwrap()
}

async fn ask_for(quotas: &dyn Quotas, tenant: &Tenant, job: NewJob) -> Ruling {
    let request = Request {
        partition: &Partition::Tenant(tenant.clone()),
        policies: &[],
        job: Some(job),
    };
    quotas.admit(&request).await.unwrap()
}

fn why(ruling: &Ruling) -> Option<Why> {
    ruling.refusal.map(|refusal| refusal.why)
}

pub async fn a_quota_is_admitted_at_once_and_the_next_request_is_told_when(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let policy = [policy("submit", 4, HOUR)];
    for remaining in [3, 2, 1, 0] {
        let ruling = ask(quotas.as_ref(), &tenant, &policy).await;
        assert!(ruling.is_admitted());
        assert_eq!(ruling.standings[0].remaining, remaining);
        assert!(ruling.standings[0].more_in <= HOUR / 4);
    }
    for _ in 0..2 {
        let ruling = ask(quotas.as_ref(), &tenant, &policy).await;
        let Refusal { why, retry_after } = ruling.refusal.unwrap();
        assert_eq!(why, Why::Rate { policy: 0 });
        let about = HOUR / 4 - Duration::from_secs(60)..=HOUR / 4;
        assert!(about.contains(&retry_after), "{retry_after:?}");
        assert_eq!(ruling.standings[0].remaining, 0);
    }
}

pub async fn who_comes_again_when_told_is_admitted(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let policy = [policy("submit", 2, Duration::from_secs(2))];
    loop {
        let ruling = ask(quotas.as_ref(), &tenant, &policy).await;
        let Some(Refusal { retry_after, .. }) = ruling.refusal else {
            continue;
        };
        tokio::time::sleep(retry_after).await;
        let again = ask(quotas.as_ref(), &tenant, &policy).await;
        assert!(again.is_admitted(), "{ruling:?}, then {again:?}");
        return;
    }
}

pub async fn of_many_requests_at_once_no_more_than_the_quota_are_admitted(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let policy = [policy("submit", 10, HOUR)];
    let all = (0..40).map(|_| ask(quotas.as_ref(), &tenant, &policy));
    let admitted = join_all(all).await;
    let admitted = admitted.iter().filter(|ruling| ruling.is_admitted());
    assert_eq!(admitted.count(), 10);
}

pub async fn a_request_that_is_refused_counts_against_nothing(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let (submit, audio) = (policy("submit", 5, HOUR), policy("audio", 2, HOUR));
    for _ in 0..2 {
        assert!(
            ask(quotas.as_ref(), &tenant, &[submit, audio])
                .await
                .is_admitted()
        );
    }
    let refused = ask(quotas.as_ref(), &tenant, &[submit, audio]).await;
    assert_eq!(why(&refused), Some(Why::Rate { policy: 1 }));
    assert_eq!(refused.standings[0].remaining, 3);

    let full = Request {
        partition: &Partition::Tenant(tenant.clone()),
        policies: &[submit],
        job: Some(one_of(1)),
    };
    assert!(quotas.admit(&full).await.unwrap().is_admitted());
    let next = Request {
        job: Some(one_of(1)),
        ..full
    };
    let refused = quotas.admit(&next).await.unwrap();
    assert_eq!(why(&refused), Some(Why::Jobs));
    assert_eq!(refused.standings[0].remaining, 2);

    let once = [policy("once", 1, HOUR)];
    ask(quotas.as_ref(), &tenant, &once).await;
    let too_often = Request {
        policies: &once,
        job: Some(job()),
        ..full
    };
    let refused = quotas.admit(&too_often).await.unwrap();
    assert_eq!(
        (why(&refused), refused.jobs_under_way),
        (Some(Why::Rate { policy: 0 }), 1)
    );
}

pub async fn partitions_are_counted_apart(backends: Backends) {
    let quotas = backends.quotas;
    let policy = [policy("submit", 1, HOUR)];
    let name = tenant();
    let bits = u128::from_be_bytes(*uuid::Uuid::now_v7().as_bytes());
    let partitions = [
        Partition::Tenant(name.clone()),
        Partition::Tenant(tenant()),
        Partition::Address(std::net::Ipv6Addr::from(bits).into()),
        Partition::Address(std::net::Ipv6Addr::from(bits + 1).into()),
    ];
    for expected in [true, false] {
        for partition in &partitions {
            let request = Request {
                partition,
                policies: &policy,
                job: None,
            };
            let ruling = quotas.admit(&request).await.unwrap();
            assert_eq!(ruling.is_admitted(), expected, "{partition:?}");
        }
    }
}

pub async fn a_job_has_its_place_until_it_leaves(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let jobs = [one_of(2), one_of(2), one_of(2)];
    for (job, under_way) in jobs.iter().zip([1, 2]) {
        let ruling = ask_for(quotas.as_ref(), &tenant, *job).await;
        assert!(ruling.is_admitted());
        assert_eq!(ruling.jobs_under_way, under_way);
    }
    let refused = ask_for(quotas.as_ref(), &tenant, jobs[2]).await;
    let Refusal { why, retry_after } = refused.refusal.unwrap();
    assert_eq!((why, refused.jobs_under_way), (Why::Jobs, 2));
    assert!(retry_after > Duration::ZERO);
    // Leaving twice, or without a place, changes nothing.
    for leaving in [jobs[0].id, jobs[0].id, CorrelationId::new()] {
        quotas.leave(&tenant, leaving).await.unwrap();
    }
    let ruling = ask_for(quotas.as_ref(), &tenant, jobs[2]).await;
    assert!(ruling.is_admitted());
    assert_eq!(ruling.jobs_under_way, 2);
}

pub async fn a_job_counts_as_interactive_until_it_is_demoted_or_leaves(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let jobs = [job(), job(), job(), job()];
    let counts = async |job: NewJob| {
        let ruling = ask_for(quotas.as_ref(), &tenant, job).await;
        (ruling.jobs_under_way, ruling.interactive_jobs)
    };
    assert_eq!(counts(jobs[0]).await, (1, 1));
    assert_eq!(counts(jobs[1]).await, (2, 2));
    // Twice, or one that has no place: the same.
    for demoted in [jobs[0].id, jobs[0].id, CorrelationId::new()] {
        quotas.demote(&tenant, demoted).await.unwrap();
    }
    assert_eq!(counts(jobs[2]).await, (3, 2));
    quotas.leave(&tenant, jobs[1].id).await.unwrap();
    let later = UnixMillis::now().after(HOUR);
    quotas.hold(&tenant, jobs[0].id, later).await.unwrap();
    assert_eq!(counts(jobs[3]).await, (3, 2));
}

pub async fn a_job_past_its_deadline_has_no_place(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let overdue = NewJob {
        deadline: UnixMillis(UnixMillis::now().0 - 1),
        ..one_of(1)
    };
    for job in [overdue, overdue, one_of(1)] {
        assert!(ask_for(quotas.as_ref(), &tenant, job).await.is_admitted());
    }
    let refused = ask_for(quotas.as_ref(), &tenant, one_of(1)).await;
    assert_eq!(why(&refused), Some(Why::Jobs));
}

pub async fn a_job_held_for_longer_keeps_its_place(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let overdue = UnixMillis(UnixMillis::now().0 - 1);
    let later = UnixMillis::now().after(HOUR);
    let first = NewJob {
        deadline: overdue,
        ..one_of(1)
    };
    ask_for(quotas.as_ref(), &tenant, first).await;
    quotas.hold(&tenant, first.id, later).await.unwrap();
    // Neither an earlier deadline nor a job without a place changes anything.
    quotas.hold(&tenant, first.id, overdue).await.unwrap();
    let other = CorrelationId::new();
    quotas.hold(&tenant, other, later).await.unwrap();
    let refused = ask_for(quotas.as_ref(), &tenant, one_of(1)).await;
    assert_eq!(
        (why(&refused), refused.jobs_under_way),
        (Some(Why::Jobs), 1)
    );
}

pub async fn a_job_that_is_admitted_again_takes_no_second_place(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let job = one_of(1);
    for _ in 0..3 {
        let ruling = ask_for(quotas.as_ref(), &tenant, job).await;
        assert!(ruling.is_admitted());
        assert_eq!(ruling.jobs_under_way, 1);
    }
}

pub async fn of_many_jobs_at_once_no_more_than_allowed_get_a_place(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let all = (0..40).map(|_| ask_for(quotas.as_ref(), &tenant, one_of(7)));
    let admitted = join_all(all).await;
    let admitted = admitted.iter().filter(|ruling| ruling.is_admitted());
    assert_eq!(admitted.count(), 7);
}

fn within(tokens: u64, audio: u64) -> NewJob {
    NewJob {
        budgets: Budgets {
            tokens: NonZeroU64::new(tokens),
            audio: Some(Duration::from_secs(audio)).filter(|it| !it.is_zero()),
        },
        ..job()
    }
}

/// Sets aside so many tokens for a job of its own, for an hour.
async fn reserve(quotas: &dyn Quotas, tenant: &Tenant, tokens: u64) -> Reservation {
    let reservation = Reservation::new(CorrelationId::new(), Usage::tokens(tokens), HOUR);
    quotas.reserve(tenant, &reservation).await.unwrap();
    reservation
}

/// What was used by a job of its own.
async fn spend(quotas: &dyn Quotas, tenant: &Tenant, tokens: u64, audio: u64) {
    let reservation = reserve(quotas, tenant, 1).await;
    let used = Usage {
        tokens,
        audio: Duration::from_secs(audio),
    };
    quotas.settle(tenant, &reservation, used).await.unwrap();
}

pub async fn a_spent_budget_refuses_jobs_until_midnight(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let quotas = quotas.as_ref();
    spend(quotas, &tenant, 60, 0).await;
    spend(quotas, &tenant, 39, 20).await;
    assert!(
        ask_for(quotas, &tenant, within(100, 21))
            .await
            .is_admitted()
    );
    for (job, expected) in [
        (within(99, 0), Why::Tokens),
        (within(0, 20), Why::Audio),
        (within(1, 1), Why::Tokens),
    ] {
        let Refusal { why, retry_after } = ask_for(quotas, &tenant, job).await.refusal.unwrap();
        assert_eq!(why, expected);
        assert!(!retry_after.is_zero() && retry_after <= Duration::from_secs(86_400));
    }
    assert!(ask_for(quotas, &tenant, within(0, 0)).await.is_admitted());
    let other = self::tenant();
    assert!(ask_for(quotas, &other, within(1, 1)).await.is_admitted());
}

pub async fn what_was_used_is_counted_once_however_often_it_is_told(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let quotas = quotas.as_ref();
    let job = CorrelationId::new();
    // Two attempts at one job are two uses.
    for _ in 0..2 {
        let reservation = Reservation::new(job, Usage::tokens(99), HOUR);
        quotas.reserve(&tenant, &reservation).await.unwrap();
        for _ in 0..3 {
            let used = Usage::tokens(10);
            quotas.settle(&tenant, &reservation, used).await.unwrap();
        }
    }
    assert!(ask_for(quotas, &tenant, within(21, 0)).await.is_admitted());
    let refused = ask_for(quotas, &tenant, within(20, 0)).await;
    assert_eq!(why(&refused), Some(Why::Tokens));
}

pub async fn what_is_set_aside_counts_until_it_is_settled(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let quotas = quotas.as_ref();
    let first = reserve(quotas, &tenant, 60).await;
    let second = reserve(quotas, &tenant, 40).await;
    assert!(ask_for(quotas, &tenant, within(101, 0)).await.is_admitted());
    let refused = ask_for(quotas, &tenant, within(100, 0)).await;
    let Refusal { why, retry_after } = refused.refusal.unwrap();
    assert_eq!(why, Why::Tokens);
    // Long before midnight: they may take less.
    assert!(retry_after < Duration::from_secs(60), "{retry_after:?}");
    let none = Usage::default();
    quotas.settle(&tenant, &second, none).await.unwrap();
    assert!(ask_for(quotas, &tenant, within(100, 0)).await.is_admitted());
    // What was used after all may be more than was set aside.
    let used = Usage::tokens(100);
    quotas.settle(&tenant, &first, used).await.unwrap();
    let refused = ask_for(quotas, &tenant, within(100, 0)).await;
    assert!(refused.refusal.unwrap().retry_after > Duration::ZERO);
    assert!(ask_for(quotas, &tenant, within(101, 0)).await.is_admitted());
}

pub async fn what_is_never_settled_is_free_again_after_its_time(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let quotas = quotas.as_ref();
    let short = Duration::from_millis(300);
    let usage = Usage::tokens(100);
    let reservation = Reservation::new(CorrelationId::new(), usage, short);
    quotas.reserve(&tenant, &reservation).await.unwrap();
    while !ask_for(quotas, &tenant, within(100, 0)).await.is_admitted() {
        tokio::time::sleep(short / 10).await;
    }
    // Late is not lost.
    quotas.settle(&tenant, &reservation, usage).await.unwrap();
    let refused = ask_for(quotas, &tenant, within(100, 0)).await;
    assert_eq!(why(&refused), Some(Why::Tokens));
}

pub async fn of_jobs_at_once_no_two_are_admitted_on_the_last_of_a_budget(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    let quotas = quotas.as_ref();
    spend(quotas, &tenant, 90, 0).await;
    let likely = |job: NewJob| NewJob {
        estimate: Usage::tokens(10),
        ..job
    };
    let all = (0..20).map(|_| ask_for(quotas, &tenant, likely(within(100, 0))));
    let admitted = join_all(all).await;
    let admitted = admitted.iter().filter(|ruling| ruling.is_admitted());
    assert_eq!(admitted.count(), 1);
    // One that is there is asked for again.
    let tenant = self::tenant();
    let job = likely(within(10, 0));
    for _ in 0..2 {
        assert!(ask_for(quotas, &tenant, job).await.is_admitted());
    }
    let refused = ask_for(quotas, &tenant, likely(within(10, 0))).await;
    assert_eq!(why(&refused), Some(Why::Tokens));
    quotas.leave(&tenant, job.id).await.unwrap();
    let next = ask_for(quotas, &tenant, likely(within(10, 0))).await;
    assert!(next.is_admitted());
}

pub async fn a_request_without_a_job_needs_neither_place_nor_budget(backends: Backends) {
    let (quotas, tenant) = (backends.quotas, tenant());
    ask_for(quotas.as_ref(), &tenant, one_of(1)).await;
    spend(quotas.as_ref(), &tenant, 1_000, 1_000).await;
    let ruling = ask(quotas.as_ref(), &tenant, &[policy("read", 1, HOUR)]).await;
    assert!(ruling.is_admitted());
    assert_eq!((ruling.jobs_under_way, ruling.interactive_jobs), (0, 0));
}
