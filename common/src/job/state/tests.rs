//! The promises of [`crate::job::log`], over any order of commands, lost answers and dead processes.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    ids::MessageId,
    pipeline::Route,
    reply::{Appended, Begun, CompletedStage, Failure, FailureKind, Run, StageStarted, Withdrawn},
    testing::{
        fixtures::{self, answer, job, speech, text_turn},
        fuzz::explore_by,
    },
};

/// The same in each run; with `FUZZ_SECONDS` others.
const CASES: u32 = 2_000;

/// Stages of the job under test, by number.
const STAGES: [Stage; 2] = [Stage::Rag, Stage::Tts];

/// What is done to the log, by whom.
#[derive(Clone, Debug)]
enum Command {
    Open,
    Start {
        stage: usize,
        process: u8,
    },
    /// By one of the runs so far, the newest or one that it has superseded.
    Progress {
        run: usize,
        restarts: bool,
    },
    /// The answer to the last step was lost: the run takes it again.
    RepeatProgress {
        run: usize,
    },
    /// Speech of the answer that counts, or of one before it.
    Speak {
        run: usize,
        is_stale: bool,
    },
    Complete {
        run: usize,
        ends: bool,
        withholds: bool,
    },
    ReleaseStage {
        run: usize,
    },
    Fail {
        run: usize,
        resumable: bool,
    },
    Expire {
        is_stale: bool,
    },
    Cancel,
    MarkResubmitted,
    Rollback,
    Resume,
    Release {
        stage: usize,
        process: u8,
    },
    Erase,
    /// The store comes back without it.
    Lose,
    /// The store comes back with what it had so many commands before.
    ComeBackWithLess {
        back: usize,
    },
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    use Command::*;
    let run = 0..4_usize;
    let process = 0..3_u8;
    let one = prop_oneof![
        4 => Just(Open),
        8 => (0..2_usize, process.clone()).prop_map(|(stage, process)| Start { stage, process }),
        8 => (run.clone(), any::<bool>()).prop_map(|(run, restarts)| Progress { run, restarts }),
        2 => run.clone().prop_map(|run| RepeatProgress { run }),
        4 => (run.clone(), any::<bool>()).prop_map(|(run, is_stale)| Speak { run, is_stale }),
        4 => (run.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(run, ends, withholds)| Complete { run, ends, withholds }),
        2 => run.clone().prop_map(|run| ReleaseStage { run }),
        3 => (run, any::<bool>()).prop_map(|(run, resumable)| Fail { run, resumable }),
        1 => any::<bool>().prop_map(|is_stale| Expire { is_stale }),
        1 => Just(Cancel),
        1 => Just(MarkResubmitted),
        1 => Just(Rollback),
        4 => Just(Resume),
        1 => (0..2_usize, process).prop_map(|(stage, process)| Release { stage, process }),
        1 => Just(Erase),
        1 => Just(Lose),
        2 => (1..6_usize).prop_map(|back| ComeBackWithLess { back }),
    ];
    vec(one, 1..60)
}

/// A store of one log, and all who work on it.
struct World {
    job: Job,
    epoch: u64,
    state: Option<JobState>,
    /// Since the log began, or was erased.
    events: Vec<Event>,
    runs: Vec<(Run, u32)>,
    resumptions: u64,
    /// What the store has had.
    past: Vec<(JobState, Vec<Event>)>,
}

impl World {
    fn new() -> Self {
        Self {
            job: job(Route::Voice),
            epoch: 0,
            state: None,
            events: Vec::new(),
            runs: Vec::new(),
            resumptions: 0,
            past: Vec::new(),
        }
    }

    /// The job as messages of its present life have it.
    fn job(&self) -> Job {
        let state = self.state.as_ref();
        let standing = state.and_then(|state| state.resumption.as_ref());
        Job {
            deadline: standing.map_or(self.job.deadline, |it| it.deadline),
            ..self.job.clone()
        }
    }

    fn decide<T>(&mut self, rule: impl Fn(&mut Draft) -> T) -> (T, Vec<Event>) {
        let mut draft = Draft::of(self.epoch, self.state.clone());
        let answer = rule(&mut draft);
        // The same decision again, from the same state: it is pure.
        let mut again = Draft::of(self.epoch, self.state.clone());
        rule(&mut again);
        assert_eq!(again, draft);
        if draft.erases {
            self.events.clear();
        }
        self.events.extend(draft.events.clone());
        self.state = draft.state;
        self.past
            .extend(self.state.clone().map(|state| (state, self.events.clone())));
        (answer, draft.events)
    }

    fn run(&self, number: usize) -> Option<(usize, Run)> {
        let number = number % self.runs.len().max(1);
        let (run, _) = self.runs.get(number)?;
        Some((number, run.clone()))
    }

    fn is_newest(&self, run: &Run) -> bool {
        let same = |other: &&(Run, u32)| (other.0.epoch, other.0.stage) == (run.epoch, run.stage);
        let newest = self
            .runs
            .iter()
            .filter(same)
            .map(|(run, _)| run.number)
            .max();
        run.epoch == self.epoch && newest == Some(run.number)
    }

    fn last_restart(&self) -> Option<usize> {
        let is_restart = |event: &Event| *event == Event::AnswerRestarted;
        self.events.iter().rposition(is_restart)
    }

    /// Sentences of the answer that counts.
    fn spoken(&self) -> u32 {
        let counting = &self.events[self.last_restart().unwrap_or_default()..];
        let spoken = |it: &&Event| matches!(it, Event::AudioDelta { .. });
        u32::try_from(counting.iter().filter(spoken).count()).unwrap()
    }

    fn act(&mut self, command: &Command) {
        let job = self.job();
        let was_over = self.state.as_ref().is_some_and(JobState::is_terminal);
        let process = |number: &u8| format!("process {number}");
        let revision = self.state.as_ref().map_or(0, |it| it.answer_revision);
        let written = match command {
            Command::Open => self.decide(|draft| draft.open(&job)).1,
            Command::Start { stage, process: by } => {
                let started = StageStarted {
                    stage: STAGES[*stage],
                    attempt: 1,
                };
                let by = process(by);
                let start = |draft: &mut Draft| draft.start_stage(&job, started.clone(), &by);
                let (begun, written) = self.decide(start);
                if let Begun::Started(run) = begun {
                    self.runs.push((run, 0));
                }
                written
            }
            Command::Progress { run, restarts } => {
                let Some((number, run)) = self.run(*run) else {
                    return;
                };
                let step = self.runs[number].1 + 1;
                let told = match restarts {
                    true => [Event::AnswerRestarted],
                    false => [Event::AnswerDelta { text: "a".into() }],
                };
                let tell = |draft: &mut Draft| draft.append_progress(&run, step, &told);
                let (appended, written) = self.decide(tell);
                if appended == Appended::Recorded {
                    assert!(self.is_newest(&run), "{run:?} is fenced off");
                    self.runs[number].1 = step;
                }
                written
            }
            Command::RepeatProgress { run } => {
                let Some((number, run)) = self.run(*run) else {
                    return;
                };
                let step = self.runs[number].1;
                if step == 0 {
                    return;
                }
                let told = [Event::AnswerDelta { text: "a".into() }];
                let tell = |draft: &mut Draft| draft.append_progress(&run, step, &told);
                let (_, written) = self.decide(tell);
                assert!(written.is_empty(), "told twice");
                written
            }
            Command::Speak { run, is_stale } => {
                let Some((number, run)) = self.run(*run) else {
                    return;
                };
                let step = self.runs[number].1 + 1;
                let spoken = [Event::AudioDelta {
                    revision: revision + u64::from(*is_stale),
                    n: self.spoken() + 1,
                    text: "Itu.".into(),
                    speech: speech(),
                }];
                let tell = |draft: &mut Draft| draft.append_progress(&run, step, &spoken);
                let (appended, written) = self.decide(tell);
                if appended == Appended::Recorded {
                    assert_eq!(written.is_empty(), *is_stale);
                    self.runs[number].1 = step;
                }
                written
            }
            Command::ReleaseStage { run } => {
                let Some((_, run)) = self.run(*run) else {
                    return;
                };
                let release = |draft: &mut Draft| draft.release_stage(run.stage, Some(&run), &[]);
                let (_, written) = self.decide(release);
                let (_, more) = self.decide(release);
                assert!(more.is_empty(), "told twice");
                written
            }
            Command::Complete {
                run,
                ends,
                withholds,
            } => {
                let Some((_, run)) = self.run(*run) else {
                    return;
                };
                let mut turn = text_turn("apa?");
                turn.answer = Some(answer("itu"));
                let done = Event::StageCompleted {
                    stage: run.stage,
                    duration_ms: 1.0,
                    queued_ms: 1.0,
                };
                let (mut events, withheld) = match withholds {
                    true => (vec![], Some(done)),
                    false => (vec![done], None),
                };
                if *ends {
                    let turn = Box::new(turn.clone());
                    events.push(Event::Completed { turn });
                }
                let completed = CompletedStage {
                    stage: run.stage,
                    run: &run,
                    turn: &turn,
                    withheld,
                };
                let complete = |draft: &mut Draft| draft.complete_stage(&events, &completed);
                let (appended, written) = self.decide(complete);
                if appended == Appended::Recorded {
                    assert!(self.is_newest(&run), "{run:?} is fenced off");
                    // Nobody is told of it twice, and whoever comes next knows it.
                    let (again, more) = self.decide(complete);
                    assert!(more.is_empty());
                    let expected = match ends {
                        true => Appended::Closed,
                        false => Appended::Recorded,
                    };
                    // What was over before is only reached by an earlier, equal completion.
                    assert!(again == expected || was_over || written.is_empty());
                }
                written
            }
            Command::Fail { run, resumable } => {
                let Some((_, run)) = self.run(*run) else {
                    return;
                };
                let failure = Failure {
                    code: "x".into(),
                    message: "…".into(),
                    kind: match resumable {
                        true => FailureKind::Unavailable,
                        false => FailureKind::UnprocessableInput,
                    },
                    stage: Some(run.stage),
                };
                let message = MessageId::of(job.correlation_id, run.stage);
                self.decide(|draft| draft.fail(&job, &message, Some(&run), &failure))
                    .1
            }
            Command::Expire { is_stale } => {
                let standing = self.state.as_ref().and_then(|it| it.resumption.clone());
                let job = if *is_stale {
                    self.job.clone()
                } else {
                    job.clone()
                };
                let (appended, written) = self.decide(|draft| draft.expire(&job));
                if *is_stale && standing.is_some() {
                    assert_ne!(appended, Appended::Recorded);
                }
                written
            }
            Command::Cancel => self.decide(|draft| draft.append(&[Event::Cancelled])).1,
            Command::MarkResubmitted => self.decide(Draft::mark_resubmitted).1,
            Command::Rollback => {
                let has_begun = self
                    .events
                    .iter()
                    .any(|it| matches!(it, Event::StageStarted(_)));
                let (rolled_back, written) =
                    self.decide(|draft| draft.rollback_submit(&Event::Cancelled));
                if has_begun {
                    assert_eq!(rolled_back, Withdrawn::Begun);
                }
                written
            }
            Command::Resume => {
                self.resumptions += 1;
                let minutes = std::time::Duration::from_secs(60 * self.resumptions);
                let resumption = Resumption {
                    deadline: self.job.deadline.after(minutes),
                    callback: None,
                };
                let may = crate::reply::can_be_resumed(&fixtures::log(self.events.clone()));
                let now = self.job.accepted_at;
                let (_, written) = self.decide(|draft| draft.resume(&resumption, now));
                assert_eq!(!written.is_empty(), may);
                // It goes on from here.
                assert!(written.is_empty() || !self.state.as_ref().unwrap().is_terminal());
                return;
            }
            Command::Release { stage, process: by } => {
                let (by, stage) = (process(by), STAGES[*stage]);
                self.decide(|draft| draft.release_attempt(stage, &by)).1
            }
            Command::Erase => {
                self.decide(|draft| draft.erase(&job));
                return;
            }
            Command::Lose => {
                self.state = None;
                self.events.clear();
                self.past.clear();
                self.epoch += 1;
                return;
            }
            Command::ComeBackWithLess { back } => {
                let Some(kept) = self.past.len().checked_sub(*back) else {
                    return;
                };
                let highest = self.state.as_ref().map_or(0, |state| state.last);
                self.past.truncate(kept + 1);
                let Some((state, events)) = self.past.pop() else {
                    return;
                };
                let is_over = state.is_terminal();
                (self.state, self.events) = (Some(state), events);
                let records = fixtures::log(self.events.clone());
                let epoch = self.epoch + 1;
                self.decide(|draft| draft.begin_anew(epoch, &records));
                if is_over {
                    // What its runs have told more is lost with them.
                    self.runs.clear();
                } else {
                    self.epoch = epoch;
                    let first = self.state.as_ref().map_or(0, |state| state.first);
                    assert!(first > highest, "a follower passes nothing over");
                }
                return;
            }
        };
        assert!(!was_over || written.is_empty(), "nothing follows the end");
    }

    fn check(&self) {
        let Some(state) = &self.state else {
            return assert!(self.events.is_empty());
        };
        // Numbers without a gap.
        assert_eq!(state.last + 1 - state.first, self.events.len() as u64);
        let ends = self.events.iter().filter(|it| it.is_terminal()).count();
        let resumptions = self
            .events
            .iter()
            .filter(|it| matches!(it, Event::Resumed(_)))
            .count();
        assert_eq!(ends, resumptions + usize::from(state.is_terminal()));
        let last = self.events.last();
        assert_eq!(state.is_terminal(), last.is_some_and(Event::is_terminal));
        // The speech of the answer that counts, and of no other one.
        let restart = self.last_restart();
        let revision = restart.map_or(0, |place| state.first + place as u64);
        if state.first == first_number(self.epoch) {
            assert_eq!(state.answer_revision, revision);
        }
        for event in &self.events[restart.unwrap_or_default()..] {
            if let Event::AudioDelta { revision, .. } = event {
                assert_eq!(*revision, state.answer_revision);
            }
        }
        // It is kept as JSON.
        let kept = serde_json::to_string(state).unwrap();
        assert_eq!(serde_json::from_str::<JobState>(&kept).unwrap(), *state);
    }
}

#[test]
fn the_promises_hold_in_any_order_of_commands() {
    explore_by(CASES, &commands(), |commands| {
        let mut world = World::new();
        for command in &commands {
            world.act(command);
            world.check();
        }
        Ok(())
    });
}

#[test]
fn an_attempt_that_ends_each_of_its_workers_is_begun_so_often_and_no_more() {
    let job = job(Route::Text);
    let mut state = None;
    let mut start = |process: usize| {
        let mut draft = Draft::of(0, state.clone());
        let started = StageStarted {
            stage: Stage::Rag,
            attempt: 1,
        };
        let begun = draft.start_stage(&job, started, &process.to_string());
        state = draft.state;
        begun
    };
    for process in 0..MOST_RUNS {
        for _ in 0..2 {
            // Who begins it twice has lived to do so.
            let Begun::Started(run) = start(process as usize) else {
                panic!("it begins")
            };
            assert_eq!(run.crashes, process);
        }
    }
    assert_eq!(start(99), Begun::CrashesWorkers);
}

#[test]
fn what_is_over_for_good_keeps_nothing_of_the_turn() {
    let job = job(Route::Text);
    let mut draft = Draft::of(0, None);
    let started = StageStarted {
        stage: Stage::Rag,
        attempt: 1,
    };
    let Begun::Started(run) = draft.start_stage(&job, started, "a") else {
        panic!("it begins")
    };
    let turn = text_turn(&"rahasia ".repeat(100));
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let end = Event::Completed {
        turn: Box::new(turn.clone()),
    };
    assert_eq!(draft.complete_stage(&[end], &completed), Appended::Recorded);
    let kept = serde_json::to_string(&draft.state).unwrap();
    assert!(kept.len() < 100, "{kept}");
}
