//! A job's log as Server-Sent Events (WHATWG HTML, *Server-sent events*).
//!
//! What is written of a record follows from the log alone: no clock, nothing
//! of this process. So the same event has the same bytes whoever writes it and
//! however often, and a stream that was cut and resumed is the uncut one.

use std::{borrow::Cow, io::Write as _};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;
use common::{
    claim_check::Ticket,
    ids::{ConversationId, CorrelationId},
    pipeline::Stage,
    reply::{Event, Record},
    turn::{Citation, EmotionLabel},
};
use serde::{Serialize, Serializer};

use super::{
    ResponseFormat,
    bodies::{JobError, JobResult},
    citations as shown, error, kind, result, rfc3339,
};
use crate::job::JobView;

/// A comment, which clients pass over: shows that the line is alive.
pub const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// The audio that the event of `record` carries, where it carries any. `view`
/// is the job before this record, or up to it.
pub fn enclosed<'a>(view: &JobView, record: &'a Record) -> Option<&'a Ticket> {
    match &record.event {
        Event::AudioDelta { speech, .. } => Some(&speech.ticket),
        Event::Completed { turn } if ResponseFormat::of(view).needs_bytes() => {
            turn.speech.as_ref().map(|speech| &speech.ticket)
        }
        _ => None,
    }
}

/// Appends the event of `record` to `out`, with the bytes of what is
/// [`enclosed`], as far as they are still kept. Of a type that is not known nothing is written.
pub fn write(out: &mut Vec<u8>, view: &JobView, record: &Record, audio: Option<&Bytes>) {
    let Some(r#type) = name(&record.event) else {
        return;
    };
    let number = record.sequence_number;
    let data = Data {
        r#type,
        sequence_number: number,
        job_id: view.job.correlation_id,
        fields: Fields::of(view, &record.event, audio),
    };
    // JSON is one line, as the format demands.
    write!(out, "id: {number}\nevent: {type}\ndata: ").expect("memory takes what is written");
    serde_json::to_writer(&mut *out, &data).expect("events hold nothing that JSON cannot");
    out.extend_from_slice(b"\n\n");
}

/// Says that what the client has heard of `job` does not count. It has no number: it is in no log.
pub fn restarted(job: CorrelationId) -> Vec<u8> {
    let data = Data {
        r#type: "answer.restarted",
        sequence_number: 0,
        job_id: job,
        fields: Fields::Nothing {},
    };
    let mut out = b"event: answer.restarted\ndata: ".to_vec();
    serde_json::to_writer(&mut out, &data).expect("it holds nothing that JSON cannot");
    out.extend_from_slice(b"\n\n");
    out
}

fn name(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Accepted { .. } => "job.accepted",
        Event::StageStarted(_) => "stage.started",
        Event::StageRetrying { .. } => "stage.retrying",
        Event::Transcript { .. } => "transcript",
        Event::Emotion { .. } => "emotion",
        Event::Retrieved { .. } => "retrieved",
        Event::AnswerDelta { .. } => "answer.delta",
        Event::AnswerRestarted => "answer.restarted",
        Event::AudioDelta { .. } => "audio.delta",
        Event::StageCompleted { .. } => "stage.completed",
        Event::Completed { .. } => "job.completed",
        Event::Failed { .. } => "job.failed",
        Event::Resumed(_) => "job.resumed",
        Event::Cancelled => "job.cancelled",
        Event::Expired => "job.expired",
        Event::Erased { .. } => "job.erased",
        Event::Unknown => return None,
    })
}

#[derive(Serialize)]
struct Data<'a> {
    r#type: &'static str,
    sequence_number: u64,
    job_id: CorrelationId,
    #[serde(flatten)]
    fields: Fields<'a>,
}

/// What a client may see of an event: named one by one, so that what a log
/// comes to hold for our own use does not go out by itself.
#[derive(Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    Accepted {
        kind: &'static str,
        conversation_id: Option<&'a ConversationId>,
        accepted_at: String,
        deadline: String,
    },
    Started {
        stage: Stage,
        attempt: u32,
    },
    Retrying {
        stage: Stage,
        attempt: u32,
        in_ms: u64,
        reason: &'a str,
    },
    Text {
        text: &'a str,
    },
    Emotion {
        label: EmotionLabel,
        scores: &'a std::collections::BTreeMap<EmotionLabel, f32>,
    },
    Retrieved {
        citations: Cow<'a, [Citation]>,
    },
    Audio {
        n: u32,
        format: &'static str,
        text: &'a str,
        duration_ms: u64,
        audio: Option<InBase64<'a>>,
        /// There when the bytes are kept no longer.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        audio_gone: bool,
    },
    StageCompleted {
        stage: Stage,
        duration_ms: f64,
        queued_ms: f64,
    },
    Completed {
        result: Box<JobResult>,
    },
    Failed {
        error: JobError,
    },
    Resumed {
        deadline: String,
    },
    Nothing {},
}

impl<'a> Fields<'a> {
    fn of(view: &JobView, event: &'a Event, audio: Option<&'a Bytes>) -> Self {
        match event {
            Event::Accepted { job } => Self::Accepted {
                kind: kind(job.route),
                conversation_id: job.conversation_id.as_ref(),
                accepted_at: rfc3339(job.accepted_at.0),
                deadline: rfc3339(job.deadline.0),
            },
            Event::StageStarted(started) => Self::Started {
                stage: started.stage,
                attempt: started.attempt,
            },
            Event::StageRetrying {
                stage,
                attempt,
                in_ms,
                reason,
            } => Self::Retrying {
                stage: *stage,
                attempt: *attempt,
                in_ms: *in_ms,
                reason,
            },
            Event::Transcript { text } | Event::AnswerDelta { text } => Self::Text { text },
            Event::Emotion { label, scores } => Self::Emotion {
                label: *label,
                scores,
            },
            Event::Retrieved { citations } => Self::Retrieved {
                citations: shown(citations),
            },
            Event::AudioDelta {
                n, text, speech, ..
            } => Self::Audio {
                n: *n,
                format: "wav",
                text,
                duration_ms: speech.duration_ms,
                audio: audio.map(|bytes| InBase64(bytes)),
                audio_gone: audio.is_none(),
            },
            Event::StageCompleted {
                stage,
                duration_ms,
                queued_ms,
            } => Self::StageCompleted {
                stage: *stage,
                duration_ms: *duration_ms,
                queued_ms: *queued_ms,
            },
            Event::Completed { turn } => Self::Completed {
                result: Box::new(result(view, turn, audio)),
            },
            Event::Failed { error: failure } => Self::Failed {
                error: error(failure),
            },
            Event::Resumed(resumption) => Self::Resumed {
                deadline: rfc3339(resumption.deadline.0),
            },
            Event::AnswerRestarted
            | Event::Cancelled
            | Event::Expired
            | Event::Erased { .. }
            | Event::Unknown => Self::Nothing {},
        }
    }
}

/// Written straight into the event, without a text of its own.
struct InBase64<'a>(&'a [u8]);

impl Serialize for InBase64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[cfg(test)]
mod tests {
    use common::{pipeline::Route, reply::StageStarted, testing::fixtures, time::UnixMillis};

    use serde_json::Value;

    use super::*;

    fn written(event: Event, audio: Option<&Bytes>) -> (String, Value) {
        let mut job = fixtures::job(Route::Text);
        job.accepted_at = UnixMillis(1_000);
        job.deadline = UnixMillis(121_000);
        let at = UnixMillis(1_250);
        let record = |sequence_number, event| Record {
            sequence_number,
            at,
            event,
        };
        let accepted = record(1, Event::Accepted { job });
        let record = record(7, event);
        let view = JobView::of([&accepted, &record]).unwrap();
        let mut out = Vec::new();
        write(&mut out, &view, &record, audio);
        let text = String::from_utf8(out).unwrap();
        let data = text.split_once("\ndata: ").unwrap().1;
        let mut data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["job_id"], view.job.correlation_id.to_string());
        data.as_object_mut().unwrap().remove("job_id");
        (text, data)
    }

    #[test]
    fn an_event_is_its_number_its_name_and_one_line_of_json() {
        let text = "satu\r\ndua\u{2028}".to_owned();
        let (event, data) = written(Event::AnswerDelta { text: text.clone() }, None);
        assert!(
            event.starts_with("id: 7\nevent: answer.delta\ndata: {\"type\":\"answer.delta\",\"sequence_number\":7,\"job_id\":\""),
            "{event}"
        );
        assert!(event.ends_with("}\n\n"));
        assert_eq!(event.lines().count(), 4);
        assert_eq!(data["text"], text);
    }

    #[test]
    fn each_event_shows_its_own_fields_and_nothing_of_ours() {
        let ticket = serde_json::json!({ "name": "a", "bytes": 3 });
        let speech = common::turn::Speech {
            ticket: serde_json::from_value(ticket).unwrap(),
            duration_ms: 1500,
            provider: "rahasia".into(),
        };
        let audio = Bytes::from_static(b"abc");
        let spoken = || Event::AudioDelta {
            revision: 0,
            n: 1,
            text: "Halo.".into(),
            speech: speech.clone(),
        };
        let job = fixtures::job(Route::Voice);
        let started = StageStarted {
            stage: Stage::Rag,
            attempt: 2,
        };
        for (event, audio, expected) in [
            (
                Event::Accepted {
                    job: common::envelope::Job {
                        accepted_at: UnixMillis(0),
                        deadline: UnixMillis(1_000),
                        ..job
                    },
                },
                None,
                r#"{"kind":"audio","conversation_id":null,"accepted_at":"1970-01-01T00:00:00.000Z","deadline":"1970-01-01T00:00:01.000Z"}"#,
            ),
            (
                Event::StageStarted(started),
                None,
                r#"{"stage":"rag","attempt":2}"#,
            ),
            (
                spoken(),
                Some(&audio),
                r#"{"n":1,"format":"wav","text":"Halo.","duration_ms":1500,"audio":"YWJj"}"#,
            ),
            (
                spoken(),
                None,
                r#"{"n":1,"format":"wav","text":"Halo.","duration_ms":1500,"audio":null,"audio_gone":true}"#,
            ),
            (
                Event::StageCompleted {
                    stage: Stage::Tts,
                    duration_ms: 1.5,
                    queued_ms: 0.0,
                },
                None,
                r#"{"stage":"tts","duration_ms":1.5,"queued_ms":0.0}"#,
            ),
            (
                Event::Resumed(common::reply::Resumption {
                    deadline: UnixMillis(2_000),
                    callback: Some(CorrelationId::new()),
                }),
                None,
                r#"{"deadline":"1970-01-01T00:00:02.000Z"}"#,
            ),
            (Event::AnswerRestarted, None, "{}"),
            (Event::Cancelled, None, "{}"),
        ] {
            let (_, mut data) = written(event, audio);
            let fields = data.as_object_mut().unwrap();
            assert_eq!(fields.remove("sequence_number").unwrap(), 7);
            fields.remove("type").unwrap();
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(data, expected);
        }
    }
}
