use std::time::{Duration, Instant};

use super::*;

#[test]
fn sentences_get_the_label_a_listener_would_give() {
    use EmotionLabel::{Angry, Disgusted, Fearful, Happy, Neutral, Sad, Surprised};
    let table = [
        // Plain questions and statements.
        ("Apa saja fakultas di ITB?", Neutral),
        ("Berapa biaya UKT per semester?", Neutral),
        ("Bagaimana cara daftar SNBP?", Neutral),
        ("Pembayaran UKT di ITB gmn?", Neutral),
        ("Kapan batas akhir pengisian FRS", Neutral),
        ("Di mana letak kampus Jatinangor?", Neutral),
        ("Apa itu cum laude?", Neutral),
        ("Saya mau tanya soal beasiswa.", Neutral),
        ("Selamat pagi, saya ingin bertanya tentang STEI.", Neutral),
        ("Terima kasih.", Neutral),
        ("Where is the library?", Neutral),
        ("Jelaskan syarat kelulusan sarjana", Neutral),
        ("Apakah ada mata kuliah manajemen stres?", Neutral),
        ("Apa bahaya terlambat membayar UKT?", Neutral),
        ("Bagaimana prosedur jika mahasiswa gagal?", Neutral),
        ("", Neutral),
        ("...", Neutral),
        ("123 456", Neutral),
        // Happy.
        ("Saya senang sekali diterima di ITB", Happy),
        ("aku seneng banget", Happy),
        ("Alhamdulillah, akhirnya lulus juga!", Happy),
        ("Hore, aku keterima!", Happy),
        ("Aku bahagia banget hari ini", Happy),
        ("Bangga banget bisa masuk ITB", Happy),
        ("I'm so happy to be here", Happy),
        ("nggak sabar mau kuliah nih", Happy),
        ("Asyik, dapat beasiswa", Happy),
        ("Kampusnya keren banget!", Happy),
        ("Aku diterima 🎉🥳", Happy),
        ("Wah keren banget ITB ya", Happy),
        // Sad.
        ("Aku sedih banget nggak lulus", Sad),
        ("Saya kecewa dengan hasilnya", Sad),
        ("saya tidak senang", Sad),
        ("Pengen nangis rasanya", Sad),
        ("galau nih gak keterima", Sad),
        ("I am so sad, I failed the exam", Sad),
        ("Putus asa rasanya, ditolak terus", Sad),
        ("Aku gak lulus 😭", Sad),
        ("Sediiiih banget", Sad),
        // Angry.
        ("kesel banget, sistemnya error terus", Angry),
        ("Saya marah sekali dengan pelayanan ini", Angry),
        ("Nyebelin banget sih websitenya", Angry),
        ("Brengsek, aku ditipu!", Angry),
        ("Gimana sih, masa nggak ada yang jawab! Bikin emosi!", Angry),
        ("I'm really angry about this", Angry),
        ("Ini tidak adil!", Angry),
        ("sebel deh nunggu lama banget", Angry),
        // Fearful.
        ("takut nih kalau nggak lulus", Fearful),
        ("Saya khawatir tidak bisa bayar UKT", Fearful),
        ("deg-degan nunggu pengumuman", Fearful),
        ("Aku panik, lupa kata sandi!", Fearful),
        ("Cemas banget soal ujian besok", Fearful),
        ("I'm scared I will fail", Fearful),
        ("Aku takut gimana caranya bayar ya?", Fearful),
        // Surprised.
        ("wow", Surprised),
        ("Wow, besar sekali kampusnya!", Surprised),
        ("Astaga, mahal banget!", Surprised),
        ("Aku nggak nyangka bisa lolos", Surprised),
        ("Ya ampun, kaget aku", Surprised),
        ("Hah, masa sih?!", Surprised),
        ("OMG no way", Surprised),
        // Disgusted.
        ("Jijik banget lihat toiletnya", Disgusted),
        ("Kantinnya menjijikkan", Disgusted),
        ("muak aku dengan semua ini", Disgusted),
        ("Iuh, bau busuk sekali, mual", Disgusted),
        ("that is disgusting", Disgusted),
        // Negation and mixtures.
        ("aku nggak sedih kok", Neutral),
        ("Saya tidak takut", Neutral),
        ("jangan marah ya", Neutral),
        ("aku nggak terlalu takut sih", Neutral),
        ("Saya tidak marah, tapi kecewa", Sad),
        ("bukan hanya sedih, aku hancur hati", Sad),
        ("tidak apa-apa, saya senang kok", Happy),
        ("I'm not angry", Neutral),
        ("bukan main senangnya aku", Happy),
    ];
    let wrong: Vec<_> = table
        .iter()
        .map(|(text, expected)| (text, expected, classify(text, None)))
        .filter(|(_, expected, guess)| guess.label != **expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn emphasis_raises_confidence_and_hedges_lower_it() {
    let score = |text: &str| classify(text, None).scores[&EmotionLabel::Sad];
    assert!(score("aku sedih banget") > score("aku sedih"));
    assert!(score("aku sedih!!!") > score("aku sedih"));
    assert!(score("aku agak sedih") < score("aku sedih"));
}

#[test]
fn a_clear_word_is_surer_than_a_weak_one_and_never_certain() {
    let clear = classify("senang senang senang senang banget!!!", None);
    assert!(clear.confidence > 0.8 && clear.confidence <= MAX_CONFIDENCE);
    assert!(classify("bagus", None).confidence < clear.confidence);
}

#[test]
fn any_text_gives_scores_that_sum_to_one() {
    let texts = [
        "\0\u{202e}",
        "😀".repeat(5_000).as_str(),
        "ß ſ ŉ İ ﷺ",
        "!?!?!?",
        "tidak",
    ]
    .map(str::to_owned);
    for text in texts {
        let guess = classify(&text, Some(&[f32::NAN; 100]));
        assert!((guess.scores.values().sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(guess.scores.len(), EmotionLabel::ALL.len());
    }
}

#[test]
fn the_cost_does_not_grow_with_the_clip() {
    let tone: Vec<f32> = (0..16_000 * 300)
        .map(|n| (n as f32 * 0.05).sin() * 0.5)
        .collect();
    let time = |seconds: usize| {
        let started = Instant::now();
        let _ = classify("senang", Some(&tone[..seconds * 16_000]));
        started.elapsed()
    };
    let quickest = |seconds| (0..5).map(|_| time(seconds)).min().unwrap();
    let (ten, all) = (quickest(10), quickest(300));
    println!("10 s: {ten:?}, 300 s: {all:?}");
    // Generous: a busy machine must not fail this.
    assert!(ten < Duration::from_millis(300), "{ten:?}");
    assert!(all < Duration::from_millis(300), "{all:?}");
}

mod recorded {
    //! Clips made with eSpeak NG and SoX: the same words, said flat and lively.

    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::super::*;

    fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take()?;
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().ok()?;
        let _ = writer.join();
        output.status.success().then_some(output.stdout)
    }

    /// Speaks SSML, as 16 kHz floats.
    fn speak(ssml: &str) -> Option<Vec<f32>> {
        let wav = run(
            "espeak-ng",
            &["-v", "id", "-m", "--stdin", "--stdout"],
            ssml.as_bytes(),
        )?;
        run(
            "sox",
            &[
                "-t",
                "wav",
                "--ignore-length",
                "-",
                "-t",
                "f32",
                "-r",
                "16000",
                "-c",
                "1",
                "-",
            ],
            &wav,
        )
        .map(|raw| floats(&raw))
    }

    fn floats(raw: &[u8]) -> Vec<f32> {
        raw.as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    }

    /// The clauses said in monotone, as the synthesiser does it, and with the
    /// leaps of pitch and loudness of someone beside himself.
    fn flat_calm_lively(clauses: &[&str]) -> Option<[Vec<f32>; 3]> {
        let text = clauses.join(", ");
        let leaps = clauses.iter().enumerate().map(|(n, clause)| match n % 2 {
            0 => format!("<prosody pitch='190%' range='200%' volume='x-loud'>{clause}</prosody>"),
            _ => format!("<prosody pitch='60%' range='200%' volume='x-soft'>{clause}</prosody>"),
        });
        Some([
            speak(&format!(
                "<speak><prosody range='0%'>{text}</prosody></speak>"
            ))?,
            speak(&format!("<speak>{text}</speak>"))?,
            speak(&format!(
                "<speak>{}</speak>",
                leaps.collect::<Vec<_>>().join(", ")
            ))?,
        ])
    }

    const QUESTION: [&str; 3] = [
        "Saya mau tanya",
        "berapa biaya kuliah di sana",
        "dan kapan harus dibayar?",
    ];

    #[test]
    fn a_plain_question_stays_neutral_in_any_voice() {
        let Some(clips) = flat_calm_lively(&QUESTION) else {
            println!("skipped: espeak-ng and sox are needed to make the clips");
            return;
        };
        let text = QUESTION.join(", ");
        let guesses = clips.map(|clip| classify(&text, Some(&clip)));
        assert!(
            guesses
                .iter()
                .all(|guess| guess.label == EmotionLabel::Neutral),
            "{guesses:#?}"
        );
        let [flat, calm, lively] = guesses;
        assert!(lively.confidence < calm.confidence, "{lively:?} {calm:?}");
        assert!(flat.scores[&EmotionLabel::Sad] > calm.scores[&EmotionLabel::Sad]);
        let text_only = classify(&text, None);
        assert!(
            (calm.confidence - text_only.confidence).abs() < 0.05,
            "{calm:?} {text_only:?}"
        );
    }

    #[test]
    fn a_lively_voice_strengthens_an_exclamation() {
        let clauses = [
            "Wow",
            "aku kaget",
            "besar sekali kampusnya",
            "luas",
            "dan indah!",
        ];
        let Some(clips) = flat_calm_lively(&clauses) else {
            println!("skipped: espeak-ng and sox are needed to make the clips");
            return;
        };
        let text = clauses.join(", ");
        let [flat, calm, lively] =
            clips.map(|clip| classify(&text, Some(&clip)).scores[&EmotionLabel::Surprised]);
        assert!(flat < calm && calm < lively, "{flat} {calm} {lively}");
    }

    #[test]
    fn noise_and_silence_change_nothing() {
        let Some(noise) = run(
            "sox",
            &[
                "-n",
                "-t",
                "f32",
                "-r",
                "16000",
                "-c",
                "1",
                "-",
                "synth",
                "3",
                "whitenoise",
                "vol",
                "0.3",
            ],
            &[],
        ) else {
            println!("skipped: sox is needed to make the clip");
            return;
        };
        let noise = floats(&noise);
        assert_eq!(classify("senang", Some(&noise)), classify("senang", None));
        assert_eq!(
            classify("senang", Some(&[0.0; 48_000])),
            classify("senang", None)
        );
    }
}
