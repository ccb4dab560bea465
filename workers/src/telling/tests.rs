use common::{pipeline::Stage, reply::Event};

use super::*;

fn told(take: u32, text: &str) -> Told {
    Told {
        take,
        text: text.into(),
    }
}

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

/// What a run tells that begins with `told` and writes `pieces`, and then is
/// done with `answer`; events and sentences in few letters.
fn run(told: Told, pieces: &[&str], answer: &str) -> (Vec<String>, Vec<String>) {
    let mut telling = Telling::new(told, Next::Speaks);
    let mut tidings: Vec<_> = pieces
        .iter()
        .map(|piece| match *piece {
            "anew" => telling.tell(vec![Event::AnswerRestarted]),
            text => telling.tell(vec![delta(text)]),
        })
        .collect();
    tidings.push(telling.finish(answer));
    let (mut events, mut sentences) = (Vec::new(), Vec::new());
    for it in tidings {
        events.extend(it.events.iter().map(|event| match event {
            Event::AnswerDelta { text } => text.clone(),
            Event::AnswerRestarted => "anew".into(),
            other => panic!("{other:?}"),
        }));
        sentences.extend(it.sentences.iter().map(|it| {
            let end = if it.last { "!" } else { "" };
            format!("{}.{} {}{end}", it.take, it.n, it.text)
        }));
    }
    (events, sentences)
}

#[test]
fn a_run_tells_what_the_log_has_not() {
    let whole = "Satu dua. Tiga empat.";
    type Row<'a> = (Told, &'a [&'a str], &'a str, &'a [&'a str], &'a [&'a str]);
    let rows: [Row<'_>; 8] = [
        (
            told(1, ""),
            &["Satu ", "dua. Ti", "ga empat."],
            whole,
            &["Satu ", "dua. Ti", "ga empat."],
            &["1.1 Satu dua.", "1.2 Tiga empat.!"],
        ),
        (
            told(1, ""),
            &[],
            whole,
            &[whole],
            &["1.1 Satu dua.", "1.2 Tiga empat.!"],
        ),
        // Taken up again: no word twice, and the sentences again, since those
        // of the run that died may not have been sent.
        (
            told(1, "Satu dua. Ti"),
            &["Satu dua.", " Tiga empat."],
            whole,
            &["ga empat."],
            &["1.1 Satu dua.", "1.2 Tiga empat.!"],
        ),
        (
            told(1, whole),
            &["Satu dua."],
            whole,
            &[],
            &["1.1 Satu dua.", "1.2 Tiga empat.!"],
        ),
        // It turns out differently.
        (
            told(1, "Satu dua. Lima"),
            &["Satu dua. ", "Tiga", " empat."],
            whole,
            &["anew", "Satu dua. Tiga", " empat."],
            &["2.1 Satu dua.", "2.2 Tiga empat.!"],
        ),
        (
            told(2, "Satu dua. Tiga empat. Lima."),
            &["Satu dua. Tiga empat."],
            whole,
            &["anew", whole],
            &["2.1 Satu dua.", "3.1 Satu dua.", "3.2 Tiga empat.!"],
        ),
        // Another provider begins anew in the middle.
        (
            told(1, ""),
            &["Nol. Satu", "anew", "Satu dua. Tiga empat."],
            whole,
            &["Nol. Satu", "anew", whole],
            &["1.1 Nol.", "2.1 Satu dua.", "2.2 Tiga empat.!"],
        ),
        // White space at the end is no difference.
        (
            told(1, ""),
            &["Satu dua. Tiga empat. \n"],
            whole,
            &["Satu dua. Tiga empat. \n"],
            &["1.1 Satu dua.", "1.2 Tiga empat.", "1.3 !"],
        ),
    ];
    for (before, pieces, answer, events, sentences) in rows {
        let label = format!("{before:?} {pieces:?}");
        let (told, cut) = run(before, pieces, answer);
        assert_eq!(told, events, "{label}");
        assert_eq!(cut, sentences, "{label}");
    }
}

#[test]
fn an_empty_answer_is_one_empty_sentence() {
    assert_eq!(run(told(1, ""), &[], "").1, ["1.1 !"]);
    let sentences = sentences_of("", 3);
    assert_eq!((sentences.len(), sentences[0].take), (1, 3));
}

#[test]
fn a_whole_answer_is_cut_as_one_that_came_in_pieces() {
    let answer =
        "Biaya UKT Rp 12,5 juta per semester. Lihat Pasal 5. Batasnya 3 Jan. 2025, kata Dr. Budi.";
    let pieces: Vec<String> = answer.chars().map(String::from).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let (_, streamed) = run(told(1, ""), &pieces, answer);
    let (_, whole) = run(told(1, ""), &[], answer);
    assert_eq!(streamed, whole);
    assert_eq!(sentences_of(answer, 1).len(), whole.len());
}

#[test]
fn other_events_pass_in_their_place_and_nothing_is_cut_for_readers() {
    let mut telling = Telling::new(Told::default(), Next::DoesNotSpeak);
    let other = Event::StageCompleted {
        stage: Stage::Stt,
        duration_ms: 1.0,
        queued_ms: 0.0,
    };
    let tidings = telling.tell(vec![delta("Satu. Dua. "), other.clone()]);
    assert_eq!(tidings.events, [delta("Satu. Dua. "), other]);
    assert!(telling.finish("Satu. Dua.").sentences.is_empty());
}
