//! Questions in writing.

use serde_json::{Value, json};

use crate::deployment::{Deployment, conversation};

async fn questions_are_answered_with_sources(deployment: &Deployment) {
    for (question, word) in [
        ("Apa itu ITB?", "Institut Teknologi Bandung"),
        ("Berapa SKS untuk lulus sarjana?", "144"),
        ("Gimana cara cuti kuliah?", "cuti"),
        ("Fakultas apa saja di ITB?", "STEI"),
    ] {
        let answer = deployment.chat(question).await;
        let text = answer["answer"].as_str().unwrap();
        assert!(text.contains(word), "{question} {answer}");
        assert!(!text.contains('['), "{question} {answer}");
        assert!(answer["sources"].as_str().unwrap().starts_with("https://"));
        let first = &answer["citations"][0];
        assert_eq!(first["n"], 1);
        for field in ["title", "url", "quote"] {
            assert!(first[field].is_string(), "{field} in {first}");
        }
        assert!(answer["job_id"].is_string() && answer["conversation_id"].is_string());
    }
}

async fn what_the_documents_do_not_answer_is_declined_honestly(deployment: &Deployment) {
    for question in ["Siapa presiden Prancis?", "Resep nasi goreng yang enak?"] {
        let answer = deployment.chat(question).await;
        let text = answer["answer"].as_str().unwrap();
        assert!(text.contains("helpdesk@itb.ac.id"), "{answer}");
        assert_eq!(answer["sources"], "");
        assert_eq!(answer["citations"], json!([]));
    }
}

async fn a_follow_up_is_understood_from_its_conversation(deployment: &Deployment) {
    let conversation = conversation();
    let ask = async |message: &str| -> Value {
        let request = deployment
            .post_in(&conversation, "/v1/chat")
            .json(&json!({ "message": message }));
        request.send().await.unwrap().json().await.unwrap()
    };
    let first = ask("Apa syarat lulus sarjana?").await;
    assert!(first["answer"].as_str().unwrap().contains("144"), "{first}");
    let second = ask("Kalau magister?").await;
    let text = second["answer"].as_str().unwrap().to_lowercase();
    assert!(text.contains("magister"), "{second}");
}

async fn both_forms_of_the_key_are_taken(deployment: &Deployment) {
    let answer = deployment
        .post_bare("/v1/chat")
        .bearer_auth(crate::deployment::KEY)
        .header("X-Conversation-Id", "a")
        .json(&json!({ "message": "halo" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

async fn a_request_id_is_kept_and_a_bad_one_replaced(deployment: &Deployment) {
    let ask = async |id: &str| {
        let answer = deployment.get("/health").header("X-Request-Id", id);
        let answer = answer.send().await.unwrap();
        answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(ask("abc-123_X").await, "abc-123_X");
    assert_ne!(ask("not a request id").await, "not a request id");
}

crate::in_both_modes!(
    questions_are_answered_with_sources,
    what_the_documents_do_not_answer_is_declined_honestly,
    a_follow_up_is_understood_from_its_conversation,
    both_forms_of_the_key_are_taken,
    a_request_id_is_kept_and_a_bad_one_replaced,
);
