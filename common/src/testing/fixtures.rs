//! Messages and events for tests.

use std::time::Duration;

use crate::{
    envelope::{Envelope, Job},
    ids::{CorrelationId, RequestId, Tenant},
    pipeline::Route,
    time::UnixMillis,
    turn::{Answer, Input, Turn},
};

pub fn job(route: Route) -> Job {
    let now = UnixMillis::now();
    Job {
        correlation_id: CorrelationId::new(),
        request_id: RequestId::new(),
        tenant: Tenant::default(),
        route,
        accepted_at: now,
        deadline: now.after(Duration::from_secs(120)),
        traceparent: None,
        conversation_id: None,
        response_format: None,
    }
}

pub fn text_turn(text: &str) -> Turn {
    Turn::new(Input::Text {
        text: text.to_owned(),
    })
}

pub fn envelope(route: Route) -> Envelope {
    Envelope::first(job(route), text_turn("apa itu ITB?"), UnixMillis::now())
}

pub fn answer(text: &str) -> Answer {
    Answer {
        text: text.to_owned(),
        citations: Vec::new(),
        declined: false,
        usage: None,
        provider: "test".to_owned(),
    }
}
