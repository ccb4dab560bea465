use proptest::prelude::*;

use super::*;

#[test]
fn answers_are_read_as_a_speaker_would() {
    let table = [
        // Numbers and money.
        ("144 SKS", "seratus empat puluh empat es ka es"),
        ("IPK 3,51", "i pe ka tiga koma lima satu"),
        ("IPK 3.50", "i pe ka tiga koma lima nol"),
        ("Rp2.500.000", "dua juta lima ratus ribu rupiah"),
        ("Rp 2.500.000,00.", "dua juta lima ratus ribu rupiah."),
        ("Rp5.000,-", "lima ribu rupiah"),
        (
            "Rp2,5 juta/semester",
            "dua koma lima juta rupiah per semester",
        ),
        ("Rp8–14 juta", "delapan sampai empat belas juta rupiah"),
        (
            "Rp500.000 - Rp1.000.000",
            "lima ratus ribu sampai satu juta rupiah",
        ),
        ("USD 100 atau $5", "seratus dolar Amerika atau lima dolar"),
        (
            "50% dan 12,5 %",
            "lima puluh persen dan dua belas koma lima persen",
        ),
        ("8–14 minggu", "delapan sampai empat belas minggu"),
        (
            "2020-2024",
            "dua ribu dua puluh sampai dua ribu dua puluh empat",
        ),
        (
            "tahun 1990-an",
            "tahun seribu sembilan ratus sembilan puluhan",
        ),
        (
            "angkatan ke-3, ke-1, ke-II",
            "angkatan ketiga, pertama, kedua",
        ),
        ("1/2 dan 3/4", "setengah dan tiga per empat"),
        (
            "Suhu -5 °C atau 25°C",
            "Suhu minus lima derajat selsius atau dua puluh lima derajat selsius",
        ),
        (
            "60 km/jam, 5 m²",
            "enam puluh kilometer per jam, lima meter persegi",
        ),
        ("Nomor 007", "Nomor nol nol tujuh"),
        ("versi 1.2.3", "versi satu titik dua titik tiga"),
        // Dates, times, telephones.
        ("3 Juli 1920", "tiga Juli seribu sembilan ratus dua puluh"),
        ("03/07/1920", "tiga Juli seribu sembilan ratus dua puluh"),
        ("1920-07-03", "tiga Juli seribu sembilan ratus dua puluh"),
        ("pukul 08.00", "pukul delapan"),
        ("jam 7.30", "jam tujuh tiga puluh"),
        (
            "08.00–16.30 WIB",
            "pukul delapan sampai enam belas tiga puluh we i be",
        ),
        ("23:59", "pukul dua puluh tiga lima puluh sembilan"),
        ("skala 1:10", "skala satu banding sepuluh"),
        (
            "(022) 2500935",
            "nol dua dua, dua lima nol nol sembilan tiga lima",
        ),
        ("+62 812", "plus enam puluh dua delapan ratus dua belas"),
        (
            "+62 812-3456-7890",
            "plus enam dua, delapan satu dua, tiga empat lima enam, tujuh delapan sembilan nol",
        ),
        (
            "NIM: 13519001",
            "nim: satu tiga lima satu sembilan nol nol satu",
        ),
        (
            "telp. +62-22-2508519, 3 orang",
            "telepon plus enam dua, dua dua, dua lima nol delapan lima satu sembilan, tiga orang",
        ),
        (
            "0812345678 20 kali",
            "nol delapan satu dua tiga empat lima enam tujuh delapan dua puluh kali",
        ),
        ("Tahap I. Selesai", "Tahap satu. Selesai"),
        ("Dr.Eng. Budi", "doktor enjinering Budi"),
        (
            "SK No. 1166/PER/2020",
            "es ka nomor seribu seratus enam puluh enam garis miring per garis miring dua ribu dua puluh",
        ),
        // Abbreviations.
        ("S1, S2, S-3, D-III", "es satu, es dua, es tiga, de tiga"),
        ("FMIPA, STEI, FTMD", "ef mipa, stei, ef te em de"),
        ("UKT-nya dan SKSnya", "u ka te nya dan es ka es nya"),
        (
            "Prof. Dr. Ir. B.J. Habibie, S.T., M.T.",
            "profesor doktor insinyur be je Habibie, sarjana teknik, magister teknik.",
        ),
        (
            "Jl. Ganesa No. 10 Bandung",
            "jalan Ganesa nomor sepuluh Bandung",
        ),
        ("buku, dll. Lalu", "buku, dan lain-lain. Lalu"),
        ("buku, dsb. yang baru", "buku, dan sebagainya yang baru"),
        ("a.n. Budi s.d. Juni", "atas nama Budi sampai dengan Juni"),
        ("Bab IV, semester V", "Bab empat, semester lima"),
        ("Kalkulus II", "Kalkulus dua"),
        ("BIAYA KULIAH DI ITB", "biaya kuliah di i te be"),
        ("IF2110", "i ef dua satu satu nol"),
        ("LPDP dan SNBP", "el pe de pe dan es en be pe"),
        // Addresses.
        ("www.itb.ac.id", "i te be titik a ce titik i de"),
        (
            "https://admission.itb.ac.id/home?a=1.",
            "admission titik i te be titik a ce titik i de garis miring home.",
        ),
        (
            "helpdesk@itb.ac.id",
            "helpdesk at i te be titik a ce titik i de",
        ),
        ("(itb.ac.id)", "(i te be titik a ce titik i de)"),
        // Signs and markup.
        ("Biaya naik [1][2].", "Biaya naik."),
        (
            "**Tebal** dan [situs](https://itb.ac.id)",
            "Tebal dan situs",
        ),
        ("# Judul\n- satu\n- dua", "Judul. satu. dua"),
        (
            "A & B, 3+4=7, ±5",
            "a dan be, tiga tambah empat sama dengan tujuh, kurang lebih lima",
        ),
        ("C++ dan A+", "ce plus plus dan a plus"),
        ("dosen/mahasiswa dan/atau", "dosen atau mahasiswa dan atau"),
        ("mahasiswa-mahasiswi", "mahasiswa-mahasiswi"),
        ("Senin–Jumat", "Senin sampai Jumat"),
        ("Selamat! 🎉😀", "Selamat!"),
        ("a\u{0}\u{200b}b  \n c", "a be ce"),
        ("Wah... hebat!!!", "Wah. hebat!"),
        ("", ""),
        ("[1] 😀 ---", ""),
    ];
    let wrong: Vec<_> = table
        .iter()
        .map(|(text, expected)| (text, expected, speakable(text)))
        .filter(|(_, expected, said)| said != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What [`speakable`] promises of any text.
fn check(text: &str) -> Result<(), String> {
    let said = speakable(text);
    let complaint = if said.len() > 16 * text.len() + 16 {
        "too long"
    } else if said.contains(|c: char| c.is_control() || c.is_ascii_digit()) {
        "unsayable characters"
    } else if said.contains("  ") || said.trim() != said {
        "loose spaces"
    } else {
        return Ok(());
    };
    let beginning: String = said.chars().take(200).collect();
    Err(format!(
        "{complaint}: {} → {} bytes: {beginning:?}",
        text.len(),
        said.len()
    ))
}

#[test]
fn repeated_pieces_stay_bounded_and_linear() {
    let units = [
        "9", "99 ", "999", "999.999 ", "=", "= ", "9=", "%", "±", "(", ")", "[", "](", "[1]", "<",
        "<a", "*", "_", "a_", "a.", "A.", "1.", "1,", "1-", "1/", "+", "+1", "-1", "0 ", "0-",
        "(0", "Rp1-", "$1", "S1", "ke-", "ke-9 ", "@", "a@", "a@a.", "www.", "http://", "&",
        "&amp;", "\n", "# ", "|", "~", "°", "°C", "m²", "é", "ﷺ", "😀", "X", "XX ", "I ", "SKS ",
        "dll. ", "dll ", "T.T.", "'", "a'", "\\", "```\n", "A", "a", "Q ", "w", "8.00-", "08.00 ",
        "2/3 ", "1:1", "½", "㎞", "¾", "!", "【1】", "US$9",
    ];
    let mut slowest = (std::time::Duration::ZERO, "");
    for unit in units {
        for text in [
            unit.to_owned(),
            unit.repeat(7),
            unit.repeat(200_000 / unit.len()),
        ] {
            let started = std::time::Instant::now();
            check(&text).unwrap_or_else(|complaint| panic!("{unit:?}: {complaint}"));
            let took = started.elapsed();
            assert!(took.as_secs() < 5, "{unit:?}: {took:?}");
            slowest = slowest.max((took, unit));
        }
    }
    println!("slowest 200 kB: {slowest:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_can_be_said(text in any::<String>()) {
        prop_assert_eq!(check(&text), Ok(()));
    }

    #[test]
    fn any_mixture_of_marks_can_be_said(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "Rp", "1", "0", "99", ".", ",", "-", "–", "/", ":", " ", "\n", "(", ")", "[", "]", "é",
                "S", "ke-", "I", "V", "%", "°", "C", "²", "@", "itb", "www.", "https://", "a", "Dr.", "dll.",
                "+", "=", "*", "_", "#", "|", "`", "<", ">", "&", "\\", "'", "\"", "😀", "jam", "pukul ", "$",
                "，", "𝟗", "Ⅳ", "x", "km", "WA ", "an", "juta", "!", "~",
            ]),
            0..60,
        ),
    ) {
        prop_assert_eq!(check(&pieces.concat()), Ok(()));
    }
}

#[test]
fn the_voice_spells_no_word_and_skips_no_letter() {
    let table = [
        ("144 SKS", "s@R2'atus"),
        ("STEI", "st'Ei"),
        ("ITB", "'i t'E b'E"),
        ("S1", "'es s'atu"),
        ("Rp2.500.000", "R2up'iah"),
    ];
    for (text, phonemes) in table {
        let voice = std::process::Command::new("espeak-ng")
            .args(["-v", "id", "-q", "-x", &speakable(text)])
            .output();
        let Ok(voice) = voice else {
            println!("skipped: espeak-ng is needed to hear the words");
            return;
        };
        let heard = String::from_utf8_lossy(&voice.stdout).into_owned();
        assert!(heard.contains(phonemes), "{text}: {heard}");
    }
}
