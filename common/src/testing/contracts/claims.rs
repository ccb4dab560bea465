//! The promises of [`crate::claim_check`].

use std::time::Duration;

use bytes::Bytes;

use crate::{
    backends::Backends,
    claim_check::{ClaimError, Item, Ticket},
    ids::CorrelationId,
};

const A_MINUTE: Duration = Duration::from_secs(60);

pub async fn bytes_are_redeemed_any_number_of_times(backends: Backends) {
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    let ticket = backends
        .claims
        .check_in(CorrelationId::new(), Item::Input, bytes.clone(), A_MINUTE)
        .await
        .unwrap();
    assert_eq!(ticket.bytes, 256);
    for _ in 0..2 {
        assert_eq!(backends.claims.redeem(&ticket).await, Ok(bytes.clone()));
    }
}

pub async fn a_part_is_redeemed_without_the_rest(backends: Backends) {
    let claims = &backends.claims;
    let bytes = Bytes::from((0..=255).cycle().take(200_000).collect::<Vec<u8>>());
    let id = CorrelationId::new();
    let check_in = claims.check_in(id, Item::Speech, bytes.clone(), A_MINUTE);
    let ticket = check_in.await.unwrap();
    for (start, end) in [
        (0, 1),
        (0, 200_000),
        (199_999, 200_000),
        (65_536, 131_072),
        (7, 7),
    ] {
        let part = claims.redeem_part(&ticket, start..end).await;
        let expected = bytes.slice(start as usize..end as usize);
        assert_eq!(part, Ok(expected), "{start}..{end}");
    }
    for beyond in [200_000..200_001, 199_999..200_001] {
        let part = claims.redeem_part(&ticket, beyond).await;
        assert_eq!(part, Err(ClaimError::Gone));
    }
}

pub async fn sixteen_mebibytes_fit(backends: Backends) {
    let bytes = Bytes::from(vec![7; 16 * 1024 * 1024]);
    let ticket = backends
        .claims
        .check_in(CorrelationId::new(), Item::Input, bytes.clone(), A_MINUTE)
        .await
        .unwrap();
    assert_eq!(backends.claims.redeem(&ticket).await, Ok(bytes));
}

pub async fn what_is_sent_in_again_replaces_and_what_is_spoken_again_does_not(backends: Backends) {
    let id = CorrelationId::new();
    let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"newer"));
    let sentence = Item::Sentence { revision: 0, n: 1 };
    for (item, first_stands_for) in [(Item::Input, &new), (Item::Speech, &old), (sentence, &old)] {
        let claims = &backends.claims;
        let check_in = |bytes: &Bytes| claims.check_in(id, item, bytes.clone(), A_MINUTE);
        let first = check_in(&old).await.unwrap();
        let second = check_in(&new).await.unwrap();
        assert_eq!(claims.redeem(&first).await.as_ref(), Ok(first_stands_for));
        assert_eq!(claims.redeem(&second).await.as_ref(), Ok(&new));
    }
}

pub async fn bytes_can_be_kept_for_longer_and_never_for_less(backends: Backends) {
    let claims = &backends.claims;
    let short = Duration::from_secs(1);
    let id = CorrelationId::new();
    let bytes = Bytes::from_static(b"x");
    let check_in = claims.check_in(id, Item::Input, bytes.clone(), short);
    let ticket = check_in.await.unwrap();
    claims.keep(&ticket, A_MINUTE).await.unwrap();
    claims
        .keep(&ticket, Duration::from_millis(1))
        .await
        .unwrap();
    tokio::time::sleep(short * 2).await;
    assert_eq!(claims.redeem(&ticket).await, Ok(bytes));
}

pub async fn what_is_discarded_is_gone_and_the_rest_of_its_job_stays(backends: Backends) {
    let (claims, id) = (&backends.claims, CorrelationId::new());
    let bytes = Bytes::from_static(b"x");
    let check_in = |item| claims.check_in(id, item, bytes.clone(), A_MINUTE);
    check_in(Item::Input).await.unwrap();
    let speech = check_in(Item::Speech).await.unwrap();
    for _ in 0..2 {
        claims.discard(&Ticket::of_input(id)).await.unwrap();
    }
    let input = claims.redeem(&Ticket::of_input(id)).await;
    assert_eq!(input, Err(ClaimError::Gone));
    assert_eq!(claims.redeem(&speech).await, Ok(bytes));
    assert_eq!(claims.erase(id, &[]).await, Ok(1));
}

pub async fn bytes_older_than_asked_for_are_gone(backends: Backends) {
    let short = Duration::from_millis(30);
    let ticket = backends
        .claims
        .check_in(
            CorrelationId::new(),
            Item::Input,
            Bytes::from_static(b"x"),
            short,
        )
        .await
        .unwrap();
    tokio::time::sleep(short * 3).await;
    assert_eq!(backends.claims.redeem(&ticket).await, Err(ClaimError::Gone));
    let part = backends.claims.redeem_part(&ticket, 0..1).await;
    assert_eq!(part, Err(ClaimError::Gone));
}
