//! A Redis that comes back with less than it had: its last second, one of its keys, or all of it.

use common::{
    envelope::Job,
    job::log::JobLog,
    reply::{Appended, CompletedStage, Record, Run, Told},
    testing::fixtures::answer,
    turn::Turn,
};

use tokio::sync::watch;

use super::*;

struct Scene {
    own: Own,
    log: JobLog,
    job: Job,
    redis: redis::Client,
}

impl Scene {
    async fn start() -> Option<Self> {
        let own = Own::start()?;
        let log = own.connect().await.replies;
        let redis = redis::Client::open(own.redis.url()).unwrap();
        Some(Self {
            own,
            log,
            job: job(Route::Voice),
            redis,
        })
    }

    async fn command(&self, words: &[&str]) {
        let mut connection = self.redis.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        let command = command.arg(&words[1..]);
        command.exec_async(&mut connection).await.unwrap();
    }

    fn key(&self) -> String {
        common::reply::address(self.job.correlation_id)
    }

    /// What there is now is what there will be after [`lose`](Self::lose).
    async fn save(&self) {
        self.command(&["COPY", &self.key(), "saved", "REPLACE"])
            .await;
    }

    async fn lose(&self) {
        self.command(&["COPY", "saved", &self.key(), "REPLACE"])
            .await;
    }

    async fn begin(&self) -> Run {
        let started = StageStarted {
            stage: Stage::Rag,
            attempt: 1,
        };
        match self.log.begin_stage(&self.job, started).await {
            Ok(Begun::Started(run)) => run,
            other => panic!("it begins: {other:?}"),
        }
    }

    async fn tell(&self, run: &Run, step: u32, text: &str) -> Appended {
        let told = [Event::AnswerDelta { text: text.into() }];
        let id = self.job.correlation_id;
        self.log.narrate(id, run, step, &told).await.unwrap()
    }

    async fn complete(&self, run: &Run, text: &str) -> Appended {
        let mut turn = text_turn("apa?");
        turn.answer = Some(answer(text));
        let events = [Event::StageCompleted {
            stage: run.stage,
            duration_ms: 1.0,
            queued_ms: 1.0,
        }];
        let completed = CompletedStage {
            stage: run.stage,
            run,
            turn: &turn,
            withheld: None,
        };
        let id = self.job.correlation_id;
        self.log
            .complete_stage(id, &events, &completed)
            .await
            .unwrap()
    }

    async fn end(&self) {
        let turn: Turn = text_turn("apa?");
        let end = [Event::Completed {
            turn: Box::new(turn),
        }];
        let ended = self.log.append(self.job.correlation_id, &end).await;
        assert_eq!(ended, Ok(Appended::Recorded));
    }

    /// What a follower hears from `cursor` to the end.
    fn follow(&self, cursor: u64) -> Follower {
        let (log, id) = (self.log.clone(), self.job.correlation_id);
        let (last, heard) = watch::channel(0);
        let records = async move {
            let heard = log.follow(id, cursor).map(Result::unwrap);
            let heard = heard.inspect(|record| _ = last.send(record.sequence_number));
            heard.collect().await
        };
        Follower {
            heard,
            task: tokio::spawn(async { within(records).await }),
        }
    }

    /// Returns when the log has been begun anew.
    async fn is_begun_anew(&self) {
        let id = self.job.correlation_id;
        let first = async || self.log.read(id, 0).await.unwrap()[0].sequence_number;
        within(async {
            while first().await == 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

struct Follower {
    /// The number of the last event.
    heard: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<Vec<Record>>,
}

impl Follower {
    async fn has_heard(&mut self, number: u64) {
        within(self.heard.wait_for(|heard| *heard >= number))
            .await
            .unwrap();
    }

    async fn all(self) -> Vec<Record> {
        self.task.await.unwrap()
    }
}

fn ends_well(records: &[Record]) {
    let end = records.last().map(|record| &record.event);
    assert!(matches!(end, Some(Event::Completed { .. })), "{records:?}");
}

/// The answer that counts, by what a follower was told.
fn answer_of(records: &[Record]) -> String {
    let numbers: Vec<u64> = records.iter().map(|it| it.sequence_number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    Told::by(records.iter().map(|record| &record.event)).text
}

#[tokio::test]
async fn an_answer_of_which_words_are_lost_is_told_anew() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    let mut listening = scene.follow(0);
    let run = scene.begin().await;
    scene.tell(&run, 1, "Itu ").await;
    scene.save().await;
    scene.tell(&run, 2, "ada ").await;
    scene.tell(&run, 3, "di ").await;
    listening.has_heard(5).await;
    scene.lose().await;
    let told = scene.tell(&run, 4, "Bandung.").await;
    assert_eq!(told, Appended::Lost, "the words between are not there");
    // Its message comes again.
    let next = scene.begin().await;
    assert_eq!(next.told.text, "");
    assert_eq!(scene.tell(&run, 5, "x").await, Appended::Lost);
    scene.tell(&next, 1, "Di Bandung.").await;
    assert_eq!(
        scene.complete(&next, "Di Bandung.").await,
        Appended::Recorded
    );
    scene.end().await;
    let heard = listening.all().await;
    assert_eq!(answer_of(&heard), "Di Bandung.");
    // Who comes again with what was lost hears the rest, and who comes for the first time hears it all.
    assert_eq!(answer_of(&scene.follow(5).all().await), "Di Bandung.");
    let whole = scene.follow(0).all().await;
    assert_eq!(answer_of(&whole), "Di Bandung.");
    assert!(matches!(whole[0].event, Event::Accepted { .. }));
}

/// The worker has died too: the follower alone knows that there was more.
#[tokio::test]
async fn who_follows_notices_that_some_is_lost() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    scene.save().await;
    let run = scene.begin().await;
    scene.tell(&run, 1, "Itu ").await;
    let mut listening = scene.follow(0);
    listening.has_heard(3).await;
    scene.lose().await;
    // Another worker, which knows nothing of it.
    scene.begin().await;
    scene.is_begun_anew().await;
    let next = scene.begin().await;
    scene.tell(&next, 1, "Di Bandung.").await;
    scene.end().await;
    assert_eq!(answer_of(&listening.all().await), "Di Bandung.");
    scene.own.redis.kill();
}

/// A stage was complete, and its message is on the way, when the store lost it.
#[tokio::test]
async fn the_next_stage_notices_that_some_is_lost() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    let run = scene.begin().await;
    scene.save().await;
    scene.tell(&run, 1, "Itu ").await;
    scene.complete(&run, "Itu.").await;
    let mut listening = scene.follow(0);
    listening.has_heard(4).await;
    let seen = run.log_seen();
    scene.lose().await;
    let started = StageStarted {
        stage: Stage::Tts,
        attempt: 1,
    };
    let begun = scene.log.begin_stage_after(&scene.job, started, seen).await;
    assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
    scene.end().await;
    let heard = listening.all().await;
    ends_well(&heard);
}

#[tokio::test]
async fn a_job_whose_log_is_gone_is_begun_anew_and_its_end_is_heard() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    let run = scene.begin().await;
    for step in 1..=20 {
        scene.tell(&run, step, "kata ").await;
    }
    let mut listening = scene.follow(0);
    listening.has_heard(22).await;
    scene.command(&["DEL", &scene.key()]).await;
    assert_eq!(scene.tell(&run, 21, "kata ").await, Appended::Lost);
    let next = scene.begin().await;
    assert_eq!((next.number, next.told.text.as_str()), (1, ""));
    assert!(next.epoch > run.epoch);
    assert_eq!(
        scene.tell(&run, 22, "x").await,
        Appended::Lost,
        "of another log"
    );
    scene.tell(&next, 1, "Di Bandung.").await;
    scene.complete(&next, "Di Bandung.").await;
    scene.end().await;
    let heard = listening.all().await;
    assert_eq!(answer_of(&heard), "Di Bandung.");
    ends_well(&heard);
}

/// Two appends of one number, of which the store has lost one.
#[tokio::test]
async fn what_another_has_written_in_place_of_what_was_lost_stays() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    let run = scene.begin().await;
    scene.save().await;
    scene.tell(&run, 1, "Itu ").await;
    scene.lose().await;
    let id = scene.job.correlation_id;
    let cancelled = scene.log.append(id, &[Event::Cancelled]).await;
    assert_eq!(cancelled, Ok(Appended::Recorded));
    assert_eq!(scene.tell(&run, 2, "ada ").await, Appended::Closed);
    let records = scene.log.read(id, 0).await.unwrap();
    assert_eq!(records.last().unwrap().event, Event::Cancelled);
}

/// A client may claim to have seen what never was.
#[tokio::test]
async fn a_cursor_from_outside_changes_nothing() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.log.open(&scene.job).await.unwrap();
    let run = scene.begin().await;
    let listening = scene.follow(99);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(scene.tell(&run, 1, "Itu ").await, Appended::Recorded);
    listening.task.abort();
}
