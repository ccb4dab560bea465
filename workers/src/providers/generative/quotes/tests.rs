use common::testing::growth::{Pattern, assert_linear};

use super::*;
use crate::knowledge::{DocumentRef, Passage};

fn passage(id: &str, text: &str) -> Passage {
    Passage {
        id: id.into(),
        document: DocumentRef {
            id: id.into(),
            title: format!("Judul {id}"),
            url: (id != "b").then(|| format!("https://contoh.id/{id}")),
        },
        heading: None,
        page: None,
        text: text.into(),
        score: 1.0,
    }
}

fn passages() -> Vec<Passage> {
    vec![
        passage(
            "a",
            "Politeknik Contoh adalah sekolah vokasi. Politeknik Contoh berdiri pada tahun 1985. Kampusnya di Malang.",
        ),
        passage(
            "b",
            "Cuti kuliah adalah izin berhenti.\nSyarat cuti:\n- mengisi formulir\n- tanda tangan wali\n- bebas tunggakan biaya",
        ),
        passage(
            "c",
            "Beasiswa dibuka pada bulan Mei. Beasiswa ditutup pada bulan Juni.",
        ),
    ]
}

fn shown(passages: &[Passage]) -> Vec<Shown<'_>> {
    passages.iter().map(whole).collect()
}

fn whole(passage: &Passage) -> Shown<'_> {
    Shown {
        passage,
        text: &passage.text,
    }
}

/// An answer with `|n` where it leans on passage `n`, counted from 0.
fn leaning(marked: &str) -> (String, Vec<Lean>) {
    let mut parts = marked.split('|');
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut leans = Vec::new();
    for part in parts {
        let (digit, rest) = part.split_at(1);
        leans.push(Lean {
            at: text.len(),
            passages: vec![digit.parse().unwrap()],
        });
        text.push_str(rest);
    }
    (text, leans)
}

#[test]
fn quotes_are_what_supports_the_statement_before_the_mark() {
    let passages = passages();
    let shown = shown(&passages);
    let lexicon = Lexicon::bundled();
    for (marked, quotes) in [
        (
            "Sekolah ini didirikan tahun 1985|0. Letaknya di Malang|0.",
            vec![(
                1,
                "Politeknik Contoh adalah sekolah vokasi. Politeknik Contoh berdiri pada tahun 1985.",
            )],
        ),
        (
            "Didirikan tahun 1985|0 dan beasiswanya ditutup bulan Juni|2.",
            vec![
                (1, "Politeknik Contoh berdiri pada tahun 1985."),
                (2, "Beasiswa ditutup pada bulan Juni."),
            ],
        ),
        (
            "Isi formulir, minta tanda tangan wali, dan lunasi tunggakan biaya|1.",
            vec![(
                1,
                "mengisi formulir\n- tanda tangan wali\n- bebas tunggakan biaya",
            )],
        ),
        (
            "It was founded in 1985.|0",
            vec![(1, "Politeknik Contoh berdiri pada tahun 1985.")],
        ),
        (
            "Something else entirely.|2",
            vec![(1, "Beasiswa dibuka pada bulan Mei.")],
        ),
        (
            "|0Berdiri tahun 1985.",
            vec![(1, "Politeknik Contoh berdiri pada tahun 1985.")],
        ),
        (
            "Beasiswa dibuka bulan Mei|2|1",
            vec![
                (1, "Beasiswa dibuka pada bulan Mei."),
                (2, "Cuti kuliah adalah izin berhenti."),
            ],
        ),
    ] {
        let (text, leans) = leaning(marked);
        let citations = cited(&text, &leans, &shown, &lexicon);
        let found: Vec<(u32, &str)> = citations
            .iter()
            .map(|citation| (citation.n, citation.quote.as_str()))
            .collect();
        assert_eq!(found, quotes, "{marked}");
        for citation in &citations {
            let score = citation.score.unwrap();
            assert!((0.0..=1.0).contains(&score), "{marked}");
            assert!(
                passages
                    .iter()
                    .any(|passage| passage.text.contains(&citation.quote)),
                "{marked}"
            );
        }
    }
}

#[test]
fn citations_name_the_document_and_how_much_is_held() {
    let passages = passages();
    let (text, leans) = leaning("Politeknik Contoh berdiri tahun 1985|0. Cuti itu menyenangkan|1.");
    let citations = cited(&text, &leans, &shown(&passages), &Lexicon::bundled());
    assert_eq!(citations[0].title, "Judul a");
    assert_eq!(citations[0].url, "https://contoh.id/a");
    assert_eq!(citations[0].score, Some(1.0));
    assert_eq!((citations[1].n, citations[1].url.as_str()), (2, ""));
    assert!(citations[1].score < Some(0.6));
}

#[test]
fn without_marks_only_what_a_passage_clearly_supports_is_attributed() {
    let passages = passages();
    let lexicon = Lexicon::bundled();
    for (text, titles) in [
        (
            "Politeknik Contoh berdiri pada tahun 1985. Beasiswa ditutup bulan Juni.",
            vec!["Judul a", "Judul c"],
        ),
        ("Presiden Prancis tinggal di Paris sejak 2017.", vec![]),
        ("Tahun 1985.", vec![]),
        ("", vec![]),
    ] {
        let citations = attributed(text, &shown(&passages), &lexicon);
        let found: Vec<&str> = citations.iter().map(|c| c.title.as_str()).collect();
        assert_eq!(found, titles, "{text}");
    }
}

#[test]
fn only_what_the_model_was_shown_is_quoted_and_quotes_are_bounded() {
    let lexicon = Lexicon::bundled();
    let long = passage("a", &"kata panjang tanpa akhir ".repeat(200));
    let text = "Kata panjang tanpa akhir.";
    let leans = [Lean {
        at: text.len(),
        passages: vec![0],
    }];
    let all = [Shown {
        passage: &long,
        text: &long.text,
    }];
    let quote = &cited(text, &leans, &all, &lexicon)[0].quote;
    assert!(quote.chars().count() <= MAX_QUOTE_CHARS && long.text.contains(quote.as_str()));
    let passages = passages();
    let start = [Shown {
        passage: &passages[0],
        text: &passages[0].text[..40],
    }];
    let citations = cited("Kampusnya di Malang.", &leans[..0], &start, &lexicon);
    assert!(citations.is_empty());
    let leans = [Lean {
        at: 20,
        passages: vec![0],
    }];
    let citations = cited("Kampusnya di Malang.", &leans, &start, &lexicon);
    assert_eq!(
        citations[0].quote,
        "Politeknik Contoh adalah sekolah vokasi."
    );
}

/// A mark behind each letter, in one sentence or in many, of a model that was told to write them.
#[test]
fn many_marks_cost_no_more_than_the_text_between_them() {
    let passages = passages();
    let shown = shown(&passages);
    let lexicon = Lexicon::bundled();
    let patterns = [
        Pattern::Run("|0"),
        Pattern::Run("-|0"),
        Pattern::Run("kuliah |0"),
        Pattern::Run("Kuliah. |0"),
        Pattern::Two("kuliah ", "-|0"),
        Pattern::Two("Kuliah. ", "-|0|1"),
    ];
    assert_linear("quotes", &patterns, |marked| {
        let (text, leans) = leaning(marked);
        cited(&text, &leans, &shown, &lexicon);
    });
}
