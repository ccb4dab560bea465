//! Messages and events for tests.

use std::{sync::Arc, time::Duration};

use crate::{
    claim_check::Ticket,
    envelope::{Envelope, Job},
    ids::{CorrelationId, RequestId, Tenant},
    job::{log::JobLog, store::memory::MemoryJobStore},
    pipeline::Route,
    priority::Priority,
    reply::{Event, Record, Retention},
    time::UnixMillis,
    turn::{Answer, Input, Speech, Turn},
};

pub fn job(route: Route) -> Job {
    let now = UnixMillis::now();
    Job {
        correlation_id: CorrelationId::new(),
        request_id: RequestId::new(),
        tenant: Tenant::default(),
        route,
        priority: Priority::default(),
        accepted_at: now,
        deadline: now.after(Duration::from_secs(120)),
        traceparent: None,
        conversation_id: None,
        response_format: None,
        callback: None,
        callback_url: None,
        callback_of: None,
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

/// Speech whose bytes are kept nowhere.
pub fn speech() -> Speech {
    let ticket = r#"{"name":"nowhere/speech","bytes":44}"#;
    let ticket: Ticket = serde_json::from_str(ticket).expect("a ticket");
    Speech {
        ticket,
        duration_ms: 100,
        provider: "test".to_owned(),
    }
}

/// Logs of jobs in memory.
pub fn job_log() -> JobLog {
    JobLog::new(Arc::new(MemoryJobStore::new(Retention::default())))
}

/// A reply log of these events.
pub fn log(events: impl IntoIterator<Item = Event>) -> Vec<Record> {
    let numbered = (1..).zip(events);
    numbered
        .map(|(sequence_number, event)| Record {
            sequence_number,
            at: UnixMillis(0),
            event,
        })
        .collect()
}
