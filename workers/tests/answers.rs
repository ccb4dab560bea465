//! How well the bundled documents answer, held to floors.

use common::config::Environment;
use workers::{
    config::WorkerConfig,
    eval::{self, Question, report},
    kit::answering,
};

#[tokio::test]
async fn the_bundled_documents_answer_the_questions_of_the_set() {
    let env: Environment = [("HOME", "/nonexistent")].into_iter().collect();
    let config = WorkerConfig::from_environment(&env).expect("valid");
    let (retriever, answerer) = answering(&config).await.expect("the bundled documents");
    let questions = include_str!("../../ops/eval/questions.jsonl");
    let mut outcomes = Vec::new();
    for line in questions.lines() {
        let question: Question = serde_json::from_str(line).expect("a question a line");
        outcomes.push(
            eval::ask(&question, &retriever, answerer.as_ref())
                .await
                .expect("in memory"),
        );
    }
    let report = report(&outcomes);
    // What is asked of the set is hit@5 0.95 and MRR 0.85; these are tighter, so that a loss shows.
    assert!(report.hit_at_5 >= 0.98, "{report:?}");
    assert!(report.mean_reciprocal_rank >= 0.97, "{report:?}");
    assert!(report.wrongly_declined <= 0.03, "{report:?}");
    assert!(report.wrongly_answered <= f32::EPSILON, "{report:?}");
    assert!(report.verbatim_quotes >= 1.0, "{report:?}");
}
