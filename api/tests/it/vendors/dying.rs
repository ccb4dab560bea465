//! Vendors that are dead, and who answers in their place.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    fake::Mood,
    in_each_mode, prosa,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::problem;

const QUESTION: &str = "Berapa SKS untuk lulus sarjana?";

async fn a_model_that_fails_is_replaced_by_the_next_of_its_list(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = [
        ("LLM_PROVIDERS", "openrouter,openai,extractive"),
        ("LLM_TIMEOUT", "15"),
    ];
    let running = Running::start(mode, &vendors, &more).await;
    for mood in [
        Mood::Status(500),
        Mood::Page,
        Mood::CutOff,
        Mood::Says(json!({ "choices": [] })),
        Mood::Says(json!({ "error": { "message": "overloaded", "code": 502 } })),
        Mood::TooMany(1),
    ] {
        let case = format!("{mood:?}");
        vendors.openrouter.is(mood);
        let answer = result(running.chat(QUESTION).await, &case).await;
        assert_eq!(answer["providers"]["process_rag"], "openai", "{case}");
        assert!(
            answer["answer"].as_str().unwrap().contains("144"),
            "{case}: {answer}"
        );
        // Its circuit stays closed because it is well again before long.
        vendors.openrouter.is(Mood::Well);
        crate::deployment::eventually("asked again", || async {
            let answer = result(running.chat(QUESTION).await, &case).await;
            answer["providers"]["process_rag"] == "openrouter"
        })
        .await;
    }
    vendors.openrouter.is(Mood::Status(401));
    vendors.openai.is(Mood::Breaks);
    let answer = result(running.chat(QUESTION).await, "no model is left").await;
    assert_eq!(answer["providers"]["process_rag"], "extractive");
    running.is_discreet(&[QUESTION]);
}

/// What stands in for every vendor but the one that hears.
const EVERYTHING: [(&str, &str); 9] = [
    ("EMOTION_PROVIDERS", "service,heuristic"),
    ("EMOTION_TIMEOUT", "1"),
    ("KNOWLEDGE_PROVIDERS", "qdrant,embedded"),
    ("QDRANT_TIMEOUT", "1"),
    ("LLM_PROVIDERS", "openrouter,openai,extractive"),
    ("LLM_TIMEOUT", "3"),
    ("TTS_PROVIDERS", "prosa,espeak"),
    ("TTS_TIMEOUT", "2"),
    ("JOB_DEADLINE", "170"),
];

fn die(vendors: &Vendors) {
    vendors.emotion.is(Mood::Hangs);
    vendors.qdrant.delay(Duration::from_secs(600));
    vendors.openrouter.is(Mood::Hangs);
    vendors.openai.is(Mood::Breaks);
    vendors.speaking.is(prosa::Mood::Hangs);
    vendors.qdrant.forget_calls();
}

/// A circuit lets nobody through for ten seconds; both jobs are done by then.
async fn a_dead_vendor_costs_one_job_and_is_then_left_alone(mode: Mode) {
    let vendors = Vendors::start().await;
    vendors.hearing.hears(QUESTION);
    let running = Running::start(mode, &vendors, &EVERYTHING).await;
    die(&vendors);
    // Those of the sentences that were asked for before the first call had failed.
    let mut spoken = 0;
    for case in ["the first job", "the second job"] {
        let answer = result(running.say().await, case).await;
        let expected = json!({
            "speech_to_text": "prosa",
            "emotion_analysis": "heuristic",
            "process_rag": "extractive",
            "text_to_speech": "espeak-ng",
        });
        assert_eq!(answer["providers"], expected, "{case}");
        assert!(
            answer["answer"].as_str().unwrap().contains("144"),
            "{answer}"
        );
        let calls = [
            ("emotion", vendors.emotion.calls()),
            ("qdrant", vendors.qdrant.calls().len()),
            ("openrouter", vendors.openrouter.calls()),
            ("openai", vendors.openai.calls()),
        ];
        for (vendor, calls) in calls {
            assert_eq!(calls, 1, "{vendor} after {case}");
        }
        let sentences = vendors.speaking.calls().len();
        assert!((1..=4).contains(&sentences), "{sentences} after {case}");
        assert!(
            spoken == 0 || spoken == sentences,
            "{sentences} after {case}"
        );
        spoken = sentences;
    }
    running.is_discreet(&[QUESTION]);
}

async fn with_every_vendor_dead_the_engines_of_the_house_do_it_all(mode: Mode) {
    let vendors = Vendors::start().await;
    let mut more = EVERYTHING.to_vec();
    more.push(("STT_PROVIDERS", "prosa,whisper"));
    let running = Running::start(mode, &vendors, &more).await;
    let Some(question) = crate::voice::spoken(QUESTION) else {
        return;
    };
    if !running.deployment.can_speak().await {
        return;
    }
    die(&vendors);
    vendors.hearing.is(prosa::Mood::Breaks);
    let answer = result(running.say_this(question).await, "all are dead").await;
    let expected = json!({
        "speech_to_text": "whisper",
        "emotion_analysis": "heuristic",
        "process_rag": "extractive",
        "text_to_speech": "espeak-ng",
    });
    assert_eq!(answer["providers"], expected);
    assert!(!vendors.hearing.calls().is_empty());
    running.is_discreet(&[answer["transcript"].as_str().unwrap()]);
}

async fn without_another_provider_the_job_fails_soon_and_in_words(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = [
        ("STT_TIMEOUT", "1"),
        ("LLM_TIMEOUT", "2"),
        ("TTS_TIMEOUT", "1"),
        ("MAX_ATTEMPTS", "1"),
    ];
    let running = Running::start(mode, &vendors, &more).await;
    vendors.speaking.is(prosa::Mood::Babbles);
    fails(running.say().await, "tts", "provider_unexpected").await;
    vendors.speaking.is(prosa::Mood::Hangs);
    fails(running.say().await, "tts", "provider_timeout").await;
    for (mood, code) in [
        (Mood::Status(503), "provider_failed"),
        (Mood::Page, "provider_unexpected"),
        (Mood::Hangs, "provider_timeout"),
    ] {
        vendors.openrouter.is(mood);
        let began = Instant::now();
        fails(running.chat(QUESTION).await, "rag", code).await;
        assert!(began.elapsed() < Duration::from_secs(15), "{code}");
    }
    // It rests now, and the job fails without asking it.
    let calls = vendors.openrouter.calls();
    fails(running.chat(QUESTION).await, "rag", "providers_down").await;
    assert_eq!(vendors.openrouter.calls(), calls);
    vendors.hearing.is(prosa::Mood::Hangs);
    let calls = vendors.hearing.calls().len();
    fails(running.say().await, "stt", "provider_timeout").await;
    fails(running.say().await, "stt", "providers_down").await;
    assert_eq!(vendors.hearing.calls().len(), calls + 1);
    running.is_discreet(&[QUESTION]);
}

async fn fails(answer: reqwest::Response, stage: &str, code: &str) {
    let case = format!("{stage} {code}");
    let body = problem(answer, 503, &case).await;
    assert_eq!(body["code"], code, "{case}");
    let said = body["message"].as_str().unwrap();
    assert!(said.contains("is not available"), "{case}: {body}");
}

/// A key that is refused is nothing that the user did, and stays so.
async fn a_refused_key_is_a_failure_of_ours_and_is_not_tried_again(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    vendors.openrouter.is(Mood::Status(401));
    let body = problem(running.chat(QUESTION).await, 500, "401").await;
    assert_eq!(body["code"], "provider_unauthorized");
    assert_eq!(vendors.openrouter.calls(), 1);
}

/// A vendor that is slow for a moment costs a retry, not the job.
async fn a_vendor_that_comes_back_answers_the_job_that_waited(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("LLM_TIMEOUT", "10")]).await;
    vendors.openrouter.is(Mood::Status(503));
    let ask = running.chat(QUESTION);
    let recover = async {
        crate::deployment::eventually("asked", || async { vendors.openrouter.calls() > 0 }).await;
        vendors
            .openrouter
            .is(Mood::Waits(Arc::new(Semaphore::new(100))));
    };
    let (answer, ()) = tokio::join!(ask, recover);
    let answer: Value = result(answer, "after a retry").await;
    assert!(
        answer["answer"].as_str().unwrap().contains("144"),
        "{answer}"
    );
}

in_each_mode!(
    a_model_that_fails_is_replaced_by_the_next_of_its_list,
    a_dead_vendor_costs_one_job_and_is_then_left_alone,
    with_every_vendor_dead_the_engines_of_the_house_do_it_all,
    without_another_provider_the_job_fails_soon_and_in_words,
    a_refused_key_is_a_failure_of_ours_and_is_not_tried_again,
    a_vendor_that_comes_back_answers_the_job_that_waited,
);
