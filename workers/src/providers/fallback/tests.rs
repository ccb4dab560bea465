use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::FutureExt as _;

use crate::{query::language::Language, testing::questions::understood};

use super::*;

/// Answers in turn with what it was given, the last of them for ever.
struct Scripted {
    outcomes: Vec<Result<&'static str, StageError>>,
    /// Told before it fails.
    begins_with: Option<&'static str>,
    calls: AtomicUsize,
}

fn scripted(outcomes: Vec<Result<&'static str, StageError>>) -> Arc<Scripted> {
    Arc::new(Scripted {
        outcomes,
        begins_with: None,
        calls: AtomicUsize::new(0),
    })
}

#[async_trait]
impl Answerer for Scripted {
    async fn answer(&self, _: &Grounds<'_>, progress: &dyn Progress) -> Result<Answer, StageError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(text) = self.begins_with {
            progress.tell(Event::AnswerDelta { text: text.into() });
        }
        let outcome = &self.outcomes[call.min(self.outcomes.len() - 1)];
        outcome.clone().map(common::testing::fixtures::answer)
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Progress for Told {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn list(providers: &[&Arc<Scripted>]) -> Fallback<dyn Answerer> {
    let candidates = providers.iter().enumerate();
    let candidate = |(n, provider): (usize, &&Arc<Scripted>)| {
        Candidate::remote(
            n.to_string(),
            Arc::clone(provider) as Arc<dyn Answerer>,
            ProviderLimit::default(),
        )
    };
    Fallback::new(candidates.map(candidate).collect())
}

async fn ask(list: &Fallback<dyn Answerer>, told: &Told) -> Result<String, StageError> {
    let understanding = understood(&[], Language::Indonesian);
    let grounds = Grounds {
        question: "apa?",
        understanding: &understanding,
        passages: &[],
        history: &[],
        emotion: None,
        account: None,
    };
    list.answer(&grounds, told).await.map(|answer| answer.text)
}

fn calls(provider: &Scripted) -> usize {
    provider.calls.load(Ordering::Relaxed)
}

fn hung() -> StageError {
    failure::timed_out("vendor", Duration::from_secs(60))
}

#[tokio::test]
async fn a_dead_provider_costs_one_job_and_is_passed_over_then() {
    let first = scripted(vec![Err(hung())]);
    let second = scripted(vec![Ok("dua")]);
    let list = list(&[&first, &second]);
    for _ in 0..5 {
        assert_eq!(ask(&list, &Told::default()).await.unwrap(), "dua");
    }
    assert_eq!(calls(&first), 1);
}

#[tokio::test]
async fn the_users_mistake_is_the_same_with_every_provider() {
    let refuse = StageError::unprocessable("too_long", "The text is too long.");
    let first = scripted(vec![Err(refuse.clone())]);
    let second = scripted(vec![Ok("dua")]);
    let list = list(&[&first, &second]);
    assert_eq!(ask(&list, &Told::default()).await, Err(refuse));
    assert_eq!((calls(&first), calls(&second)), (1, 0));
}

#[tokio::test]
async fn when_all_fail_the_failure_that_may_pass_is_reported() {
    let key = failure::of_status("vendor", 401, None);
    let busy = failure::of_status("vendor", 503, None);
    for errors in [[key.clone(), busy.clone()], [busy.clone(), key]] {
        let [first, second] = errors.map(|error| scripted(vec![Err(error)]));
        let list = list(&[&first, &second]);
        assert_eq!(ask(&list, &Told::default()).await, Err(busy.clone()));
    }
}

#[tokio::test]
async fn when_all_rest_the_job_comes_back_when_the_first_may_be_asked() {
    let wait = |seconds| failure::of_status("vendor", 429, Some(Duration::from_secs(seconds)));
    let first = scripted(vec![Err(wait(30))]);
    let second = scripted(vec![Err(wait(20))]);
    let list = list(&[&first, &second]);
    assert!(ask(&list, &Told::default()).await.is_err());
    let Err(StageError::Transient {
        code, retry_after, ..
    }) = ask(&list, &Told::default()).await
    else {
        panic!("it may pass")
    };
    assert_eq!(code, ALL_DOWN);
    let wait = retry_after.expect("a time to wait");
    assert!(
        wait > Duration::from_secs(15) && wait <= Duration::from_secs(20),
        "{wait:?}"
    );
}

#[tokio::test]
async fn a_key_that_is_wrong_fails_the_next_job_at_once_and_in_the_same_words() {
    let key = failure::of_status("vendor", 401, None);
    let only = scripted(vec![Err(key.clone())]);
    let list = list(&[&only]);
    for _ in 0..3 {
        assert_eq!(ask(&list, &Told::default()).await, Err(key.clone()));
    }
    assert_eq!(calls(&only), 1);
}

#[tokio::test]
async fn a_job_that_a_provider_refuses_does_not_keep_others_from_it() {
    let refusal = failure::of_status("vendor", 400, None);
    let first = scripted(vec![Err(refusal), Ok("satu")]);
    let second = scripted(vec![Ok("dua")]);
    let list = list(&[&first, &second]);
    assert_eq!(ask(&list, &Told::default()).await.unwrap(), "dua");
    assert_eq!(ask(&list, &Told::default()).await.unwrap(), "satu");
}

#[tokio::test]
async fn an_answer_that_broke_off_is_declared_void_before_the_next_begins() {
    let first = Arc::new(Scripted {
        outcomes: vec![Err(hung())],
        begins_with: Some("ITB ada"),
        calls: AtomicUsize::new(0),
    });
    let second = scripted(vec![Ok("dua")]);
    let told = Told::default();
    ask(&list(&[&first, &second]), &told).await.unwrap();
    let text = "ITB ada".to_owned();
    let expected = [Event::AnswerDelta { text }, Event::AnswerRestarted];
    assert_eq!(*told.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_empty_list_is_an_error_in_words() {
    let error = ask(&list(&[]), &Told::default()).await.unwrap_err();
    assert!(error.to_string().contains("no provider"), "{error}");
}

/// Is never done.
struct Hangs(AtomicUsize);

#[async_trait]
impl Answerer for Hangs {
    async fn answer(&self, _: &Grounds<'_>, _: &dyn Progress) -> Result<Answer, StageError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_remote_provider_has_a_bounded_number_of_calls_and_one_given_up_makes_room() {
    let provider = Arc::new(Hangs(AtomicUsize::new(0)));
    let limit = ProviderLimit::new(Some(2));
    let list = Fallback::new(vec![Candidate::remote(
        "hangs",
        Arc::clone(&provider) as Arc<dyn Answerer>,
        limit,
    )]);
    let told = Told::default();
    let (mut one, mut two, mut three) = (
        Box::pin(ask(&list, &told)),
        Box::pin(ask(&list, &told)),
        Box::pin(ask(&list, &told)),
    );
    for call in [&mut one, &mut two, &mut three] {
        assert!(call.now_or_never().is_none());
    }
    assert_eq!(provider.0.load(Ordering::Relaxed), 2);
    drop(one);
    assert!((&mut three).now_or_never().is_none());
    assert_eq!(provider.0.load(Ordering::Relaxed), 3);
}
