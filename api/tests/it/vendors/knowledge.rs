//! The collection is away, or is another one than the settings say.

use std::process::{Command, Stdio};

use common::testing::servers::free_port;
use serde_json::json;
use workers::testing::embedder::WordEmbedder;

use super::{
    fake::{Mood, Reply, Service},
    in_each_mode,
    running::{COLLECTION, DIMENSION, Mode, Running, Vendors, result},
};
use crate::deployment::{api_program, problem, worker_program};

const QUESTION: &str = "Apa syarat lulus sarjana?";

async fn without_qdrant_the_documents_of_the_house_answer_if_they_are_listed(mode: Mode) {
    let vendors = Vendors::start().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let more = [
        ("QDRANT_URL", nowhere.as_str()),
        ("KNOWLEDGE_PROVIDERS", "qdrant,embedded"),
        ("LLM_PROVIDERS", "extractive"),
    ];
    let running = Running::start(mode, &vendors, &more).await;
    let answer = result(running.chat(QUESTION).await, "embedded").await;
    assert!(
        answer["answer"].as_str().unwrap().contains("144"),
        "{answer}"
    );
    let url = answer["citations"][0]["url"].as_str().unwrap();
    assert!(url.contains("itb.ac.id"), "{answer}");
}

async fn qdrant_alone_and_away_is_a_failed_job_that_says_so(mode: Mode) {
    let vendors = Vendors::start().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let more = [("QDRANT_URL", nowhere.as_str()), ("MAX_ATTEMPTS", "1")];
    let running = Running::start(mode, &vendors, &more).await;
    let body = problem(running.chat(QUESTION).await, 503, "away").await;
    assert_eq!(body["code"], "knowledge_unavailable");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("is not available")
    );
    assert_eq!(vendors.openrouter.calls(), 0);
    running.is_discreet(&[QUESTION]);
}

async fn without_embeddings_a_dense_collection_is_a_failed_job_that_says_so(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("MAX_ATTEMPTS", "1")]).await;
    vendors.embeddings.is(Mood::Status(500));
    let body = problem(running.chat(QUESTION).await, 503, "no vectors").await;
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("is not available")
    );
    vendors.embeddings.is(Mood::Well);
    result(running.chat(QUESTION).await, "well again").await;
}

async fn a_collection_of_another_dimension_stops_the_start_in_words(mode: Mode) {
    let vendors = Vendors::start().await;
    vendors.qdrant.drop_collection(COLLECTION);
    vendors.qdrant.add_langchain_collection(COLLECTION, 3_072);
    let port = free_port().to_string();
    let more = [("PORT", port.as_str()), ("API_KEY", "k")];
    let settings = vendors.settings_with(mode, &more);
    let (program, arguments) = match mode {
        Mode::Embedded => (api_program(), vec![]),
        Mode::Distributed(_) => (worker_program(), vec!["--stages", "rag"]),
    };
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("timeout");
        command.arg("60").arg(program).args(arguments).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", std::env::var_os("HOME").unwrap_or_default());
        command.envs(settings).stdin(Stdio::null());
        command.output().expect("timeout runs")
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "it must not go on: {said}");
    let last = said.lines().last().unwrap_or_default();
    for word in ["3072", "256", COLLECTION, "EMBEDDING_DIMENSION"] {
        assert!(last.contains(word), "{word} in {said}");
    }
}

/// Documents that anybody may have put there.
async fn what_a_document_says_of_itself_is_text_and_no_address_but_a_page(mode: Mode) {
    let mut vendors = Vendors::start().await;
    let markup = "<img src=x onerror=alert(1)>";
    for (number, (url, title)) in [
        ("javascript:alert(1)", "\u{202e}Beasiswa\u{202c}"),
        ("data:text/html,<script>alert(1)</script>", markup),
        ("file:///etc/passwd", "Beasiswa\u{0}\u{1b}[31m"),
        ("https://itb.ac.id@contoh.id/", "Beasiswa"),
        ("https://contoh.id/beasiswa", "Beasiswa"),
    ]
    .into_iter()
    .enumerate()
    {
        let text =
            format!("Beasiswa Gajah \u{2066}menanggung\u{2069} UKT sepenuhnya {number} {markup}.");
        let metadata = json!({ "title": title, "source": url, "url": url });
        let payload = json!({ "page_content": text, "metadata": metadata });
        let vector = WordEmbedder::new(DIMENSION).vector(&text.to_lowercase());
        let id = format!("11111111-0000-0000-0000-{number:012}");
        vendors
            .qdrant
            .add_point(COLLECTION, &id, "", vector, &payload);
    }
    let said = "Beasiswa Gajah menanggung UKT sepenuhnya [1][2][3][4][5].";
    vendors.openrouter = Service::start(move |_| Reply::stream(&[said])).await;
    let running = Running::start(mode, &vendors, &[]).await;
    let answer = running.chat("Apa yang ditanggung beasiswa Gajah?").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let answer = result(answer, "hostile documents").await;
    assert_eq!(answer["sources"], "https://contoh.id/beasiswa", "{answer}");
    let cited = answer["citations"].as_array().unwrap();
    let field = |name: &str| -> Vec<&str> {
        let values = cited.iter().map(|it| it[name].as_str().unwrap());
        values.collect()
    };
    let mut urls = field("url");
    urls.sort_unstable();
    assert_eq!(urls, ["", "", "", "", "https://contoh.id/beasiswa"]);
    let mut titles = field("title");
    titles.sort_unstable();
    // What looks like markup is text.
    let expected = [markup, "Beasiswa", "Beasiswa", "Beasiswa", "Beasiswa[31m"];
    assert_eq!(titles, expected);
    for quote in field("quote") {
        assert!(
            quote.starts_with("Beasiswa Gajah menanggung UKT"),
            "{quote}"
        );
    }

    let path = format!("/v1/jobs/{}/events", answer["job_id"].as_str().unwrap());
    let events = running.deployment.get(&path).send().await.unwrap();
    let events = events.text().await.unwrap();
    assert!(events.contains("\"citations\":[{"), "{events}");
    for told in [answer.to_string(), events] {
        let is_hidden = |c: char| ('\u{2066}'..='\u{2069}').contains(&c) || c == '\u{202e}';
        assert!(!told.contains(is_hidden), "{told}");
        for word in ["javascript:", "data:text", "file:", "\\u0000", "@contoh"] {
            assert!(!told.contains(word), "{word} in {told}");
        }
    }
}

in_each_mode!(
    what_a_document_says_of_itself_is_text_and_no_address_but_a_page,
    without_qdrant_the_documents_of_the_house_answer_if_they_are_listed,
    qdrant_alone_and_away_is_a_failed_job_that_says_so,
    without_embeddings_a_dense_collection_is_a_failed_job_that_says_so,
    a_collection_of_another_dimension_stops_the_start_in_words,
);
