//! A question that leans on the one before.

use serde_json::Value;

use super::{
    in_each_mode,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::conversation;

const FIRST: &str = "Apa syarat lulus sarjana?";
const SECOND: &str = "Kalau magister?";

async fn both(running: &Running) -> [Value; 2] {
    let conversation = conversation();
    let first = result(running.chat_in(&conversation, FIRST).await, FIRST).await;
    let second = result(running.chat_in(&conversation, SECOND).await, SECOND).await;
    [first, second]
}

async fn the_model_is_sent_what_is_meant_and_what_was_said(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let [first, second] = both(&running).await;
    assert!(
        first["answer"].as_str().unwrap().contains("144 SKS"),
        "{first}"
    );
    assert!(
        second["answer"].as_str().unwrap().contains("54 SKS"),
        "{second}"
    );

    let [_, request] = vendors.openrouter.requests().try_into().unwrap();
    let body = request.json();
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(messages[1]["content"], FIRST);
    assert_eq!(messages[2]["content"], first["answer"]);
    let asked = messages[3]["content"].as_str().unwrap();
    assert!(asked.contains(&format!("Pertanyaan: {SECOND}")), "{asked}");
    let meant = asked.lines().find(|line| line.starts_with("Maksudnya"));
    let meant = meant.unwrap().to_lowercase();
    assert!(
        meant.contains("magister") && meant.contains("lulus"),
        "{meant}"
    );
    let passages: Vec<_> = asked.lines().filter(|line| line.starts_with('>')).collect();
    assert!(passages[0].contains("54 SKS"), "{asked}");

    // One call each, in which the question is whole.
    let [_, embedded] = vendors.embeddings.requests().try_into().unwrap();
    let texts = embedded.json()["input"].to_string().to_lowercase();
    assert!(
        texts.contains("magister") && texts.contains("lulus"),
        "{texts}"
    );
    running.is_discreet(&[FIRST, SECOND, "54 SKS"]);
}

async fn without_a_model_the_right_passage_is_cited(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("LLM_PROVIDERS", "extractive")]).await;
    let [first, second] = both(&running).await;
    assert_eq!(
        first["citations"][0]["url"], "https://contoh.id/sarjana",
        "{first}"
    );
    assert_eq!(
        second["citations"][0]["url"], "https://contoh.id/magister",
        "{second}"
    );
    assert!(
        second["answer"].as_str().unwrap().contains("54 SKS"),
        "{second}"
    );
    assert_eq!(vendors.openrouter.calls(), 0);
}

in_each_mode!(
    the_model_is_sent_what_is_meant_and_what_was_said,
    without_a_model_the_right_passage_is_cited,
);
