use common::{pipeline::Stage, reply::Event};

use super::*;

fn told(text: &str) -> Told {
    Told {
        has_begun: !text.is_empty(),
        text: text.into(),
    }
}

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

/// What a run tells that begins with `told` and writes `pieces`, and then is
/// done with `answer`, in few letters.
fn run(told: Told, pieces: &[&str], answer: &str) -> Vec<String> {
    let mut telling = Telling::new(told);
    let mut tidings: Vec<_> = pieces
        .iter()
        .map(|piece| match *piece {
            "anew" => telling.tell(vec![Event::AnswerRestarted]),
            text => telling.tell(vec![delta(text)]),
        })
        .collect();
    tidings.push(telling.finish(answer));
    let events = tidings.into_iter().flat_map(|it| it.events);
    let words = events.map(|event| match event {
        Event::AnswerDelta { text } => text,
        Event::AnswerRestarted => "anew".into(),
        other => panic!("{other:?}"),
    });
    words.collect()
}

#[test]
fn a_run_tells_what_the_log_has_not() {
    let whole = "Satu dua. Tiga empat.";
    type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);
    let rows: [Row<'_>; 8] = [
        (
            "",
            &["Satu ", "dua. Ti", "ga empat."],
            &["Satu ", "dua. Ti", "ga empat."],
        ),
        ("", &[], &[whole]),
        // Taken up again: no word twice.
        (
            "Satu dua. Ti",
            &["Satu dua.", " Tiga empat."],
            &["ga empat."],
        ),
        (whole, &["Satu dua."], &[]),
        // It turns out differently.
        (
            "Satu dua. Lima",
            &["Satu dua. ", "Tiga", " empat."],
            &["anew", "Satu dua. Tiga", " empat."],
        ),
        (
            "Satu dua. Tiga empat. Lima.",
            &["Satu dua. Tiga empat."],
            &["anew", whole],
        ),
        // Another provider begins anew in the middle.
        (
            "",
            &["Nol. Satu", "anew", whole],
            &["Nol. Satu", "anew", whole],
        ),
        // White space at the end is no difference.
        (
            "",
            &["Satu dua. Tiga empat. \n"],
            &["Satu dua. Tiga empat. \n"],
        ),
    ];
    for (before, pieces, events) in rows {
        let label = format!("{before:?} {pieces:?}");
        assert_eq!(run(told(before), pieces, whole), events, "{label}");
    }
}

#[test]
fn an_empty_answer_tells_nothing() {
    assert!(run(told(""), &[], "").is_empty());
}

#[test]
fn the_first_piece_of_the_first_answer_is_the_beginning() {
    let mut telling = Telling::new(told(""));
    assert!(telling.tell(vec![delta("Satu")]).begins);
    assert!(!telling.tell(vec![delta(" dua")]).begins);
    let anew = vec![Event::AnswerRestarted, delta("Tiga")];
    assert!(!telling.tell(anew).begins);
    assert!(
        !Telling::new(told("Satu"))
            .tell(vec![delta("Satu dua")])
            .begins
    );
}

#[test]
fn other_events_pass_in_their_place() {
    let mut telling = Telling::new(Told::default());
    let other = Event::StageCompleted {
        stage: Stage::Stt,
        duration_ms: 1.0,
        queued_ms: 0.0,
    };
    let tidings = telling.tell(vec![delta("Satu. Dua. "), other.clone()]);
    assert_eq!(tidings.events, [delta("Satu. Dua. "), other]);
}
