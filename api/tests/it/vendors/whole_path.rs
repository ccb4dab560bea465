//! Every vendor is well.

use serde_json::json;

use super::{
    in_each_mode,
    prosa::{recording, speech},
    running::{Mode, PASSAGES, Running, SECRETS, TRANSCRIPT, Vendors, result},
};

async fn a_spoken_turn_goes_through_every_vendor(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    vendors.qdrant.forget_calls();
    let answer = result(running.say().await, "all are well").await;

    assert_eq!(answer["transcript"], TRANSCRIPT);
    assert_eq!(answer["emotion"], "sad");
    let said = "Syarat lulus program sarjana adalah paling sedikit 144 SKS. \
                Pembayaran UKT dilakukan setiap semester sebelum masa perwalian berakhir.";
    let text = answer["answer"].as_str().unwrap();
    for sentence in said.split_inclusive(". ") {
        assert!(text.contains(sentence.trim()), "{answer}");
    }
    assert!(
        !text.contains(['[', '<', '9']) && !text.contains("Rahasia"),
        "{answer}"
    );
    assert_eq!(
        answer["providers"],
        json!({
            "speech_to_text": "prosa",
            "emotion_analysis": "emotion_service",
            "process_rag": "openrouter",
            "text_to_speech": "prosa",
        })
    );
    assert_eq!(
        answer["usage"],
        json!({ "input_tokens": 812, "output_tokens": 47 })
    );
    for citation in answer["citations"].as_array().unwrap() {
        let known = PASSAGES
            .iter()
            .find(|(title, ..)| citation["title"] == *title);
        let (_, url, passage) = known.unwrap();
        assert_eq!(citation["url"], *url, "{citation}");
        let quote = citation["quote"].as_str().unwrap();
        assert!(!quote.is_empty() && passage.contains(quote), "{citation}");
    }
    let sources = answer["sources"].as_str().unwrap();
    for url in ["https://contoh.id/sarjana", "https://contoh.id/ukt"] {
        assert!(sources.contains(url), "{answer}");
    }
    assert!(!sources.contains("asrama"), "{answer}");

    assert_eq!(answer["audio_format"], "wav");
    let wav = crate::voice::base64(answer["audio"].as_str().unwrap());
    assert!(wav.starts_with(b"RIFF") && wav.ends_with(&speech()));
    // A second for each sentence.
    assert_eq!(answer["audio_duration"], 3.0);

    was_asked_as_it_should_be(&vendors);
    running.is_discreet(&[TRANSCRIPT, text, "144 SKS", "Rahasia"]);
}

fn was_asked_as_it_should_be(vendors: &Vendors) {
    let [hearing, speaking, openrouter, _, embeddings, _] = SECRETS;
    let [call] = vendors.hearing.calls().try_into().unwrap();
    assert_eq!((call.key.as_str(), call.audio), (hearing, recording()));
    assert_eq!(call.said[0]["model"], "asr-general-online");

    let [request] = vendors.emotion.requests().try_into().unwrap();
    assert!(
        request.head.starts_with("POST /predict?text="),
        "{}",
        request.head
    );
    assert!(request.body.windows(4).any(|bytes| bytes == b"fLaC"));

    let [request] = vendors.embeddings.requests().try_into().unwrap();
    assert_eq!(
        request.header("authorization"),
        format!("Bearer {embeddings}")
    );
    assert!(
        request.head.starts_with("POST /v1/embeddings "),
        "{}",
        request.head
    );
    assert!(request.json()["input"].as_array().unwrap().len() >= 2);
    assert_eq!(vendors.qdrant.calls(), ["query_batch"]);

    let [request] = vendors.openrouter.requests().try_into().unwrap();
    assert!(request.head.starts_with("POST /v1/chat/completions "));
    assert_eq!(
        request.header("authorization"),
        format!("Bearer {openrouter}")
    );
    assert!(!request.header("http-referer").is_empty() && !request.header("x-title").is_empty());
    let body = request.json();
    assert_eq!(body["model"], "qwen/qwen3-235b-a22b");
    assert_eq!(
        (&body["stream"], &body["temperature"]),
        (&json!(true), &json!(0.0))
    );
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert!(
        system.contains("sedih"),
        "the emotion sets the tone: {system}"
    );

    let calls = vendors.speaking.calls();
    for call in &calls {
        assert_eq!(call.said[0]["token"], speaking);
        assert_eq!(call.said[1]["model"], "tts-ghifari-professional");
    }
    let says = |words: &str| {
        let said = calls.iter().map(|call| call.said[2]["text"].as_str());
        said.flatten().filter(|text| text.contains(words)).count()
    };
    assert_eq!(
        (says("seratus empat puluh empat"), says("perwalian")),
        (1, 1)
    );
    assert_eq!(calls.len(), 3, "a call for each sentence");
    assert_eq!(vendors.openai.calls(), 0);
}

in_each_mode!(a_spoken_turn_goes_through_every_vendor);
