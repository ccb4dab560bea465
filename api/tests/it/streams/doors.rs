//! Two front doors on one store and no workers: what a job comes to is written
//! into its log by the test.

use std::{sync::Arc, time::Duration};

use api::{
    config::ApiConfig,
    gateway::Gateway,
    routes::router,
    state::{AppState, SpeechByWorkers},
};
use bytes::Bytes;
use common::{
    backends::{Backends, connect},
    claim_check::Item,
    config::Environment,
    envelope::Job,
    pipeline::Route,
    reply::{Event, Resumed, Resumption},
    testing::{fixtures, servers::shared},
    turn::{Input, Speech, Transcript, Turn},
};
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::net::TcpListener;

use crate::deployment::{KEY, OTHER_KEY, settings};

pub struct Doors {
    urls: Vec<String>,
    client: Client,
    backends: Backends,
}

impl Doors {
    pub async fn embedded() -> Self {
        let (config, backends) = configured(&[]).await;
        // In one process the log is the doors' only common ground as well.
        let doors = vec![(config.clone(), backends.clone()), (config, backends)];
        Self::open(doors).await
    }

    pub async fn distributed() -> Option<Self> {
        Some(Self::on(&shared()?.environment()).await)
    }

    /// Each with its own connections to the servers of `settings`.
    pub async fn on(settings: &[(String, String)]) -> Self {
        Self::open(vec![configured(settings).await, configured(settings).await]).await
    }

    async fn open(doors: Vec<(ApiConfig, Backends)>) -> Self {
        let backends = doors[0].1.clone();
        let mut urls = Vec::new();
        for (config, backends) in doors {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let gateway = Gateway::new(backends, config.terms());
            let app = router(AppState::new(&config, gateway, Arc::new(SpeechByWorkers)));
            // Ends with the runtime of the test.
            tokio::spawn(axum::serve(listener, app).into_future());
        }
        Self {
            urls,
            client: crate::deployment::client(),
            backends,
        }
    }

    /// Host and port.
    pub fn address(&self, door: usize) -> String {
        self.urls[door].trim_start_matches("http://").to_owned()
    }

    /// A request at door 0 or 1.
    pub fn at(&self, door: usize, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.urls[door]);
        self.client.request(method, url).header("X-API-Key", KEY)
    }

    pub fn get(&self, door: usize, path: &str) -> RequestBuilder {
        self.at(door, Method::GET, path)
    }

    /// As [`get`](Self::get), with another tenant's key.
    pub fn get_as_another(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.urls[0]);
        self.client.get(url).header("X-API-Key", OTHER_KEY)
    }

    /// Accepts a job that nobody works on.
    pub async fn accept(&self, route: Route) -> Job {
        let job = fixtures::job(route);
        self.open_log(&job).await;
        job
    }

    pub async fn open_log(&self, job: &Job) {
        self.backends.replies.open(job).await.unwrap();
    }

    pub async fn append(&self, job: &Job, events: &[Event]) {
        assert!(self.try_append(job, events).await, "the store is there");
    }

    pub async fn try_append(&self, job: &Job, events: &[Event]) -> bool {
        let (replies, id) = (&self.backends.replies, job.correlation_id);
        let Ok(log) = replies.read(id, 0).await else {
            return false;
        };
        let mut current = 0;
        let mut events = events.to_vec();
        let there = log
            .into_iter()
            .map(|record| record.event)
            .collect::<Vec<_>>();
        let numbered = (1..).zip(there.iter().cloned().chain(events.clone()));
        for (number, event) in numbered {
            if event == Event::AnswerRestarted {
                current = number;
            }
            let place = usize::try_from(number)
                .unwrap()
                .checked_sub(there.len() + 1);
            if let Some(place) = place
                && let Event::AudioDelta { revision, .. } = &mut events[place]
            {
                *revision = current;
            }
        }
        replies.append(id, &events).await.is_ok()
    }

    /// As an operator does.
    pub async fn resume(&self, job: &Job) {
        let resumption = Resumption {
            deadline: job.deadline.after(Duration::from_secs(60)),
            callback: None,
        };
        let replies = &self.backends.replies;
        let resumed = replies.resume(job.correlation_id, &resumption).await;
        assert_eq!(resumed, Ok(Resumed::UnderWay(Some(resumption))));
    }

    pub async fn keep(&self, job: &Job, item: Item, bytes: Vec<u8>) -> Speech {
        let minute = Duration::from_secs(60);
        let claims = &self.backends.claims;
        let bytes = Bytes::from(bytes);
        let ticket = claims.check_in(job.correlation_id, item, bytes, minute);
        Speech {
            ticket: ticket.await.unwrap(),
            duration_ms: 1_000,
            provider: "test".into(),
        }
    }

    /// Of the answer that counts where it is appended.
    pub async fn sentence(&self, job: &Job, n: u32, wav: Vec<u8>) -> Event {
        let revision = 0;
        Event::AudioDelta {
            revision,
            n,
            text: format!("Kalimat {n}."),
            speech: self.keep(job, Item::Sentence { revision, n }, wav).await,
        }
    }

    /// The end of a voice job, with this answer as speech.
    pub async fn completed(&self, job: &Job, wav: Vec<u8>) -> Event {
        let speech = self.keep(job, Item::Speech, wav).await;
        let mut turn = Turn::new(Input::Speech {
            ticket: speech.ticket.clone(),
        });
        turn.transcript = Some(Transcript {
            text: "Apa itu ITB?".into(),
            language: "id".into(),
            provider: "test".into(),
        });
        turn.answer = Some(fixtures::answer("Satu. Dua."));
        turn.speech = Some(speech);
        Event::Completed {
            turn: Box::new(turn),
        }
    }
}

async fn configured(more: &[(String, String)]) -> (ApiConfig, Backends) {
    common::telemetry::choose_cryptography();
    let mut all = settings(&[
        ("API_KEY", KEY),
        ("API_KEYS", &format!("other:{OTHER_KEY}")),
        ("EVENTS_HEARTBEAT", "1"),
        // Of jobs that are submitted; those of `accept` have one of their own.
        ("JOB_DEADLINE", "1"),
    ]);
    all.extend_from_slice(more);
    let env: Environment = all.into_iter().collect();
    let config = ApiConfig::from_environment(&env).unwrap();
    let backends = connect(&config.backends).await.unwrap();
    (config, backends)
}

pub fn path(job: &Job, what: &str) -> String {
    format!("/v1/jobs/{}{what}", job.correlation_id)
}

/// Sound of a kind: 16-bit mono PCM of `rate` samples a second, every sample
/// alike.
pub fn wav(rate: u32, samples: u32, sample: u8) -> Vec<u8> {
    let data = samples * 2;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(data.to_le_bytes());
    wav.resize(wav.len() + data as usize, sample);
    wav
}

/// What has come when there are `count` events, cut behind the last of them.
pub async fn first_events(response: &mut Response, count: usize) -> String {
    let mut bytes = Vec::new();
    loop {
        // An event can be cut within a character, but not at its end.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(cut) = end_of_event(&text, count) {
            return text[..cut].to_owned();
        }
        let piece = response.chunk().await.unwrap();
        bytes.extend(piece.expect("the stream ended before it should"));
    }
}

fn end_of_event(text: &str, count: usize) -> Option<usize> {
    match count {
        0 => Some(0),
        _ => text
            .match_indices("\n\n")
            .nth(count - 1)
            .map(|(at, _)| at + 2),
    }
}

/// The stream without its comments, each of which is a block of its own here.
pub fn without_comments(stream: &str) -> String {
    let events = stream.split_inclusive("\n\n");
    events.filter(|event| !event.starts_with(':')).collect()
}
