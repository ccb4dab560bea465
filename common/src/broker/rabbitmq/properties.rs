//! AMQP message properties: for operators and tools. The body is the truth.

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    broker::{DeadLetterReason, wire},
    envelope::Envelope,
    ids::CorrelationId,
    reply,
    time::{UnixMillis, whole_millis},
};

/// AMQP `delivery-mode` for a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

pub fn properties_of(envelope: &Envelope) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("attempt".into(), AMQPValue::LongUInt(envelope.attempt));
    headers.insert("request_id".into(), text(envelope.job.request_id.as_str()));
    if let Some(traceparent) = &envelope.job.traceparent {
        headers.insert("traceparent".into(), text(traceparent));
    }
    base()
        .with_message_id(envelope.message_id().as_str().into())
        .with_correlation_id(envelope.correlation_id().to_string().into())
        .with_reply_to(reply::address(envelope.correlation_id()).into())
        .with_timestamp(envelope.published_at.as_secs())
        .with_type(format!("envelope.v{}", wire::VERSION).into())
        .with_headers(headers)
}

/// The longest time, in ms, that every RabbitMQ takes as an expiration.
const LONGEST_EXPIRATION: u64 = 4_294_967_295;

/// `properties` with why the message was put aside, and for how long it is kept.
pub fn dead(
    properties: BasicProperties,
    reason: &DeadLetterReason,
    kept: Duration,
) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert("reason".into(), text(&reason.code));
    headers.insert("detail".into(), text(&reason.detail));
    let now = i64::try_from(UnixMillis::now().0).unwrap_or(i64::MAX);
    headers.insert("put_aside_at".into(), AMQPValue::LongLongInt(now));
    let kept = whole_millis(kept).min(LONGEST_EXPIRATION).to_string();
    properties
        .with_headers(headers)
        .with_expiration(kept.into())
}

/// What is kept of the properties of a message whose body could not be read:
/// what tells where it belongs. Others would have RabbitMQ drop it (an
/// expiration), refuse it (a user id) or copy it elsewhere (a header `CC`).
pub fn kept_of(properties: &BasicProperties) -> BasicProperties {
    let mut kept = base();
    if let Some(id) = properties.message_id() {
        kept = kept.with_message_id(id.clone());
    }
    if let Some(id) = properties.correlation_id() {
        kept = kept.with_correlation_id(id.clone());
    }
    if let Some(kind) = properties.kind() {
        kept = kept.with_type(kind.clone());
    }
    if let Some(timestamp) = properties.timestamp() {
        kept = kept.with_timestamp(*timestamp);
    }
    kept
}

/// The job that a message belongs to.
pub fn job(properties: &BasicProperties) -> Option<CorrelationId> {
    let id = properties.correlation_id().as_ref()?;
    id.as_str().parse().ok()
}

/// Why a message was put aside: by us, or by the broker (its header `x-death`,
/// the newest first).
pub fn reason(properties: &BasicProperties) -> DeadLetterReason {
    let ours = |name| header(properties, name).and_then(as_text);
    if let Some(code) = ours("reason") {
        let detail = ours("detail").unwrap_or_default();
        return DeadLetterReason { code, detail };
    }
    let death = death(properties).and_then(|death| death.inner().get("reason"));
    let (code, detail) = match death.and_then(as_text).as_deref() {
        Some("delivery_limit") => (
            "delivery_limit",
            "RabbitMQ handed it out again and again, and no worker settled it",
        ),
        Some("maxlen") => ("maxlen", "the queue was full"),
        Some("expired") => ("expired", "RabbitMQ found it too old"),
        Some("rejected") => ("rejected", "a consumer refused it"),
        _ => ("unknown", "nothing in the message says why it is here"),
    };
    DeadLetterReason {
        code: code.into(),
        detail: detail.into(),
    }
}

pub fn put_aside_at(properties: &BasicProperties) -> Option<UnixMillis> {
    if let Some(AMQPValue::LongLongInt(at)) = header(properties, "put_aside_at") {
        return u64::try_from(*at).ok().map(UnixMillis);
    }
    match death(properties)?.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => Some(UnixMillis(seconds.saturating_mul(1_000))),
        _ => None,
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn death(properties: &BasicProperties) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = header(properties, "x-death")? else {
        return None;
    };
    match deaths.as_slice().first()? {
        AMQPValue::FieldTable(newest) => Some(newest),
        _ => None,
    }
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// What every message has.
fn base() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_app_id("itb-assistant".into())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_headers(pairs: Vec<(&str, AMQPValue)>) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in pairs {
            headers.insert(name.into(), value);
        }
        base().with_headers(headers)
    }

    /// The header of RabbitMQ, the newest death first.
    fn deaths(reasons: &[&str]) -> AMQPValue {
        let death = |reason: &&str| {
            let mut death = FieldTable::default();
            death.insert("reason".into(), text(reason));
            death.insert("time".into(), AMQPValue::Timestamp(7));
            AMQPValue::FieldTable(death)
        };
        let all: Vec<_> = reasons.iter().map(death).collect();
        AMQPValue::FieldArray(all.into())
    }

    const KEPT: Duration = Duration::from_secs(60);

    #[test]
    fn the_reason_is_ours_or_else_that_of_the_broker() {
        let ours = DeadLetterReason {
            code: "panicked".into(),
            detail: "…".into(),
        };
        let broker = |reasons| with_headers(vec![("x-death", deaths(reasons))]);
        for (properties, code) in [
            (dead(broker(&["expired"]), &ours, KEPT), "panicked"),
            (broker(&["delivery_limit", "expired"]), "delivery_limit"),
            (broker(&["expired", "delivery_limit"]), "expired"),
            (broker(&["something new"]), "unknown"),
            (broker(&[]), "unknown"),
            (base(), "unknown"),
        ] {
            assert_eq!(reason(&properties).code, code);
        }
        assert_eq!(put_aside_at(&broker(&["expired"])), Some(UnixMillis(7_000)));
        assert_eq!(put_aside_at(&base()), None);
        let dead = dead(base(), &ours, KEPT);
        assert!(put_aside_at(&dead) > Some(UnixMillis(1_000_000)));
        let expiration = dead.expiration().as_ref().map(ToString::to_string);
        assert_eq!(expiration.as_deref(), Some("60000"));
    }

    #[test]
    fn of_a_message_that_cannot_be_read_only_what_names_it_is_kept() {
        let job = CorrelationId::new();
        let hostile = with_headers(vec![("CC", text("elsewhere"))])
            .with_expiration("1".into())
            .with_user_id("nobody".into())
            .with_delivery_mode(1)
            .with_message_id("m".into())
            .with_correlation_id(job.to_string().into());
        let kept = kept_of(&hostile);
        let expected = base()
            .with_message_id("m".into())
            .with_correlation_id(job.to_string().into());
        assert_eq!(kept, expected);
        assert_eq!(super::job(&kept), Some(job));
        assert_eq!(super::job(&base().with_correlation_id("x".into())), None);
    }
}
