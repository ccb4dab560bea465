//! What is said without words: an emotion, or nothing at all.

use serde_json::json;

use super::{
    fake::Mood,
    in_each_mode,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::problem;

async fn a_dead_emotion_service_is_never_worth_a_job(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("EMOTION_TIMEOUT", "1")]).await;
    // Three failures in a row let it rest; it has to be well in between.
    for mood in [
        Mood::Status(500),
        Mood::Page,
        Mood::Well,
        Mood::CutOff,
        Mood::Says(json!({ "prediction": "lapar" })),
        Mood::Well,
        Mood::Says(json!({ "error": "no model" })),
        Mood::Hangs,
    ] {
        let (emotion, provider) = match mood {
            Mood::Well => ("sad", "emotion_service"),
            _ => ("neutral", "none"),
        };
        let case = format!("{mood:?}");
        vendors.emotion.is(mood);
        let answer = result(running.say().await, &case).await;
        assert_eq!(answer["emotion"], emotion, "{case}");
        assert_eq!(answer["providers"]["emotion_analysis"], provider, "{case}");
    }
}

async fn a_recording_without_words_is_refused_and_says_why(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    for transcript in ["", "  "] {
        vendors.hearing.hears(transcript);
        let body = problem(running.say().await, 422, transcript).await;
        assert_eq!(body["code"], "no_speech");
        assert!(
            body["message"]
                .as_str()
                .unwrap()
                .contains("No speech was found")
        );
    }
    assert_eq!(vendors.hearing.calls().len(), 2, "each is asked about once");
    assert_eq!(vendors.openrouter.calls(), 0);
}

in_each_mode!(
    a_dead_emotion_service_is_never_worth_a_job,
    a_recording_without_words_is_refused_and_says_why,
);
