//! AMQP message properties: for operators and tools. The body is the truth.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    broker::{DeadLetterReason, wire},
    envelope::Envelope,
    reply,
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

/// `properties` with why the message was put aside.
pub fn dead(properties: BasicProperties, reason: &DeadLetterReason) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert("reason".into(), text(&reason.code));
    headers.insert("detail".into(), text(&reason.detail));
    properties.with_headers(headers)
}

/// For a body that could not be read.
pub fn base() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_app_id("itb-assistant".into())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
