//! The vendors and the receiver of callbacks, faked on the wire: quick, and
//! failing one call in five in the ways that vendors fail.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use workers::testing::{
    prosa::{self, Prosa},
    vendor::{self, Reply, Request, Service},
};

use super::{
    dice::Dice,
    ledger::{Letter, Outcome},
};

/// Calls in a hundred that fail.
const FAILING: usize = 20;

/// Longer than our programs wait for a vendor (see [`Vendors::settings`]).
const HANGING: Duration = Duration::from_secs(4);
const PATIENCE: &str = "3";

/// A callback's address fails so often in a row at most: its tries are minutes
/// apart from the fourth on, and nobody learns more by waiting for them.
const MOST_REFUSALS: u32 = 2;

/// What is heard in any recording.
const TRANSCRIPT: &str = "Berapa SKS untuk lulus sarjana?";

pub struct Vendors {
    model: Service,
    emotion: Service,
    hearing: Prosa,
    speaking: Prosa,
    receiver: Service,
}

#[derive(Clone, Copy)]
enum Trouble {
    Failed,
    Busy,
    Garbage,
    CutOff,
    Reset,
    Hangs,
}

/// Those after which a vendor is left alone for a while (the last three) are the
/// rarer ones: with more of them, jobs would mostly wait.
const TROUBLES: [(Trouble, usize); 6] = [
    (Trouble::Failed, 12),
    (Trouble::Busy, 6),
    (Trouble::Garbage, 6),
    (Trouble::CutOff, 1),
    (Trouble::Reset, 1),
    (Trouble::Hangs, 1),
];

impl Vendors {
    pub async fn start(seed: u64) -> Self {
        let dice = |of: &str| Dice::for_purpose(seed, of);
        let vendors = Self {
            model: Service::start(answer).await,
            emotion: Service::start(|_| Reply::json(&json!({ "prediction": "sad" }))).await,
            hearing: Prosa::hearing(TRANSCRIPT).await,
            speaking: Prosa::speaking().await,
            receiver: Service::start(|_| Reply::json(&json!({}))).await,
        };
        let mut model = dice("model");
        vendors.model.chooses(move |_| match troubled(&mut model) {
            None => paced(model.millis(100, 400)),
            Some(trouble) => of_service(trouble),
        });
        let mut emotion = dice("emotion");
        vendors
            .emotion
            .chooses(move |_| troubled(&mut emotion).map_or(vendor::Mood::Well, of_service));
        let mut hearing = dice("hearing");
        vendors
            .hearing
            .chooses(move || troubled(&mut hearing).map_or(prosa::Mood::Well, of_prosa));
        let mut speaking = dice("speaking");
        vendors
            .speaking
            .chooses(move || troubled(&mut speaking).map_or(prosa::Mood::Well, of_prosa));
        let (mut receiver, mut refused) = (dice("receiver"), HashMap::new());
        vendors.receiver.chooses(move |request| {
            let refusals: &mut u32 = refused
                .entry(request.header("webhook-id").to_owned())
                .or_default();
            match troubled(&mut receiver).filter(|_| *refusals < MOST_REFUSALS) {
                None => vendor::Mood::Well,
                Some(trouble) => {
                    *refusals += 1;
                    of_service(trouble)
                }
            }
        });
        vendors
    }

    /// None of them fails any more.
    pub fn recover(&self) {
        self.model.is(paced(Duration::from_millis(100)));
        self.emotion.is(vendor::Mood::Well);
        self.receiver.is(vendor::Mood::Well);
        self.hearing.is(prosa::Mood::Well);
        self.speaking.is(prosa::Mood::Well);
    }

    /// Names them to our programs. Answers and emotions have a local engine to
    /// fall back on; speech has none, so that its failures are tried again, and
    /// no engine has to be fetched.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("STT_PROVIDERS", "prosa".to_owned()),
            ("PROSA_STT_API_KEY", "kunci".to_owned()),
            ("PROSA_STT_URL", self.hearing.url()),
            ("EMOTION_PROVIDERS", "service,heuristic".to_owned()),
            ("EMOTION_ANALYSIS_URL", self.emotion.url("")),
            ("LLM_PROVIDERS", "custom,extractive".to_owned()),
            ("LLM_BASE_URL", self.model.url("/v1")),
            ("LLM_MODEL", "tiruan".to_owned()),
            ("EMBEDDING_PROVIDER", "none".to_owned()),
            ("TTS_PROVIDERS", "prosa".to_owned()),
            ("PROSA_TTS_API_KEY", "kunci".to_owned()),
            ("PROSA_TTS_URL", self.speaking.url()),
        ];
        for timeout in [
            "STT_TIMEOUT",
            "EMOTION_TIMEOUT",
            "LLM_TIMEOUT",
            "TTS_TIMEOUT",
            "WEBHOOK_TIMEOUT",
        ] {
            settings.push((timeout, PATIENCE.to_owned()));
        }
        settings
    }

    /// Where callers want to be told.
    pub fn callback_url(&self) -> String {
        self.receiver.url("/hook")
    }

    /// What was told, those that the receiver then failed to answer included.
    pub fn letters(&self) -> Vec<Letter> {
        self.receiver.requests().iter().map(letter).collect()
    }
}

fn letter(request: &Request) -> Letter {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    Letter {
        id: request.header("webhook-id").to_owned(),
        job: text("job_id"),
        outcome: Outcome::of_status(&text("status")),
    }
}

fn troubled(dice: &mut Dice) -> Option<Trouble> {
    dice.percent(FAILING).then(|| *dice.weighted(&TROUBLES))
}

/// What it says is whole, and comes in pieces.
fn paced(first: Duration) -> vendor::Mood {
    vendor::Mood::Paced {
        first,
        each: Duration::from_millis(15),
    }
}

fn of_service(trouble: Trouble) -> vendor::Mood {
    match trouble {
        Trouble::Failed => vendor::Mood::Status(503),
        Trouble::Busy => vendor::Mood::TooMany(1),
        Trouble::Garbage => vendor::Mood::Page,
        Trouble::CutOff => vendor::Mood::BreaksMidwaySaying("Syarat lulus program"),
        Trouble::Reset => vendor::Mood::Breaks,
        Trouble::Hangs => paced(HANGING),
    }
}

fn of_prosa(trouble: Trouble) -> prosa::Mood {
    match trouble {
        Trouble::Failed => prosa::Mood::Status(503),
        Trouble::Busy => prosa::Mood::TooMany(1),
        Trouble::Garbage => prosa::Mood::Babbles,
        Trouble::CutOff => prosa::Mood::BreaksMidway,
        Trouble::Reset => prosa::Mood::Breaks,
        Trouble::Hangs => prosa::Mood::Takes(HANGING),
    }
}

/// Two sentences that lean on the first passage shown.
fn answer(request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let messages = body["messages"].as_array();
    let asked = messages.and_then(|it| it.last()?["content"].as_str());
    let shown = asked.and_then(|asked| asked.split("nomor=\"").nth(1)?.split('"').next());
    let mark = format!(" [{}]", shown.unwrap_or("1"));
    let pieces = [
        "Syarat lulus program sarjana ",
        "adalah paling sedikit 144 SKS",
        &mark,
        ". Indeks prestasi ",
        "paling rendah 2,00",
        &mark,
        ".",
    ];
    Reply::stream(&pieces)
}
