mod fuzz;

use super::*;

/// Everything the splitter gives for `text`, cut as `deltas`.
fn spoken<'a>(deltas: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut splitter = SentenceSplitter::new();
    let mut pieces: Vec<String> = deltas
        .into_iter()
        .flat_map(|delta| splitter.push(delta))
        .collect();
    pieces.extend(splitter.finish());
    pieces
}

fn by_character(text: &str) -> Vec<String> {
    spoken(text.split("").filter(|piece| !piece.is_empty()))
}

fn solid(text: &str) -> String {
    text.split_whitespace().collect()
}

const TABLE: [(&str, &[&str]); 39] = [
    ("Halo. Apa kabar? Baik!", &["Halo.", "Apa kabar?", "Baik!"]),
    (
        "IPK 3,51 dan Rp2.500.000 cukup. Ya.",
        &["IPK 3,51 dan Rp2.500.000 cukup.", "Ya."],
    ),
    (
        "Buka 08.00 sampai 16.00. Tutup Minggu.",
        &["Buka 08.00 sampai 16.00.", "Tutup Minggu."],
    ),
    (
        "Lihat www.itb.ac.id. Lalu daftar.",
        &["Lihat www.itb.ac.id.", "Lalu daftar."],
    ),
    (
        "Prof. Dr. Ir. Budi hadir. Ya.",
        &["Prof. Dr. Ir. Budi hadir.", "Ya."],
    ),
    (
        "Di Jl. Ganesa No. 10. Datanglah.",
        &["Di Jl. Ganesa No. 10.", "Datanglah."],
    ),
    (
        "Buku, pena, dll. Kemudian pulang.",
        &["Buku, pena, dll.", "Kemudian pulang."],
    ),
    (
        "Buku, pena, dll. harus dibawa. Ya.",
        &["Buku, pena, dll. harus dibawa.", "Ya."],
    ),
    (
        "Oleh B. J. Habibie. Selesai.",
        &["Oleh B. J. Habibie.", "Selesai."],
    ),
    ("Oleh B.J. Habibie.", &["Oleh B.J. Habibie."]),
    ("Dapat nilai A. Hebat.", &["Dapat nilai A.", "Hebat."]),
    (
        "Budi, S.T., M.T. adalah dosen. Ya.",
        &["Budi, S.T., M.T. adalah dosen.", "Ya."],
    ),
    (
        "Dosennya Budi, S.T. Ia ramah.",
        &["Dosennya Budi, S.T.", "Ia ramah."],
    ),
    (
        "Juli s.d. Agustus a.n. Budi. Ya.",
        &["Juli s.d. Agustus a.n. Budi.", "Ya."],
    ),
    (
        "Hmm... kalau begitu... Ya sudah.",
        &["Hmm... kalau begitu...", "Ya sudah."],
    ),
    (
        "Katanya \"Halo.\" Lalu pergi.",
        &["Katanya \"Halo.\"", "Lalu pergi."],
    ),
    (
        "Biaya naik.[1] Lalu turun. [2][3] Ya.",
        &["Biaya naik.[1]", "Lalu turun. [2][3]", "Ya."],
    ),
    ("(Lihat di sini.) Ya.", &["(Lihat di sini.)", "Ya."]),
    ("**Penting.** Baca ini.", &["**Penting.**", "Baca ini."]),
    (
        "Syarat:\n- satu\n- dua\nSelesai",
        &["Syarat:", "- satu", "- dua", "Selesai"],
    ),
    (
        "1. Daftar dulu.\n2. Bayar.",
        &["1. Daftar dulu.", "2. Bayar."],
    ),
    (
        "Tahun 1920. Lalu berkembang.",
        &["Tahun 1920.", "Lalu berkembang."],
    ),
    (
        "baris yang\nterbungkus saja. Ya.",
        &["baris yang\nterbungkus saja.", "Ya."],
    ),
    ("Apa?! Masa sih?? Ya...", &["Apa?!", "Masa sih??", "Ya..."]),
    ("halo semua. apa kabar", &["halo semua.", "apa kabar"]),
    (
        "Biayanya Rp. 5.000.000 per semester. Ya.",
        &["Biayanya Rp. 5.000.000 per semester.", "Ya."],
    ),
    ("Dr.Eng. Budi hadir. Ya.", &["Dr.Eng. Budi hadir.", "Ya."]),
    ("Dr. Eng. Budi hadir. Ya.", &["Dr. Eng. Budi hadir.", "Ya."]),
    (
        "Budi, M.Eng. Ia ramah. Ya.",
        &["Budi, M.Eng.", "Ia ramah.", "Ya."],
    ),
    (
        "Dr.-Ing. Budi dan Dr.rer.nat. Ani. Ya.",
        &["Dr.-Ing. Budi dan Dr.rer.nat. Ani.", "Ya."],
    ),
    (
        "Di Km. 21 Kav. 5, Th. 2003. Ya.",
        &["Di Km. 21 Kav. 5, Th. 2003.", "Ya."],
    ),
    (
        "Gol. III atau gol. 3 dari Univ. Indonesia. Ya.",
        &["Gol. III atau gol. 3 dari Univ. Indonesia.", "Ya."],
    ),
    (
        "Tim mencetak dua gol. Penonton bersorak.",
        &["Tim mencetak dua gol.", "Penonton bersorak."],
    ),
    ("Oleh Moh. Hatta. Ya.", &["Oleh Moh. Hatta.", "Ya."]),
    (
        "a. Mengisi formulir.\nb. Membayar.",
        &["a. Mengisi formulir.", "b. Membayar."],
    ),
    (
        "Nilainya A, B, C, D, dan E. Dalam sistem itu A terbaik.",
        &["Nilainya A, B, C, D, dan E.", "Dalam sistem itu A terbaik."],
    ),
    (
        "Oleh Ani dan B. Susanto. Ya.",
        &["Oleh Ani dan B. Susanto.", "Ya."],
    ),
    ("  \n\n ", &[]),
    ("Tanpa akhir", &["Tanpa akhir"]),
];

#[test]
fn sentences_end_where_a_reader_would_pause() {
    for (text, expected) in TABLE {
        assert_eq!(spoken([text]), expected, "pushed {text:?}");
        assert_eq!(split(text), expected, "split {text:?}");
    }
}

#[test]
fn every_cut_into_two_gives_the_same_pieces() {
    for (text, _) in TABLE {
        let whole = spoken([text]);
        assert_eq!(by_character(text), whole, "{text:?}");
        for (index, _) in text.char_indices() {
            let (head, tail) = text.split_at(index);
            assert_eq!(spoken([head, tail]), whole, "{head:?} | {tail:?}");
        }
    }
}

#[test]
fn the_first_sentence_comes_with_the_next_word() {
    let mut splitter = SentenceSplitter::new();
    assert!(splitter.push("Pendaftaran dibuka Juli.").is_empty());
    assert_eq!(splitter.push(" Bia"), ["Pendaftaran dibuka Juli."]);
    assert!(splitter.push("ya Rp2").is_empty());
    assert!(splitter.push(".500.000 di Jl.").is_empty());
    assert!(splitter.push(" Ganesa").is_empty());
    assert_eq!(
        splitter.finish().as_deref(),
        Some("Biaya Rp2.500.000 di Jl. Ganesa")
    );
}

#[test]
fn a_sentence_without_end_is_cut_at_commas_then_spaces_then_anywhere() {
    let commas = "kata kata kata kata, ".repeat(100);
    let words = "kata ".repeat(1_000);
    let solid = "é".repeat(5_000);
    for text in [commas.as_str(), &words, &solid] {
        let pieces = spoken([text]);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.chars().count() <= overlong::MAX_CHARS)
        );
        assert!(pieces.len() >= text.chars().count() / overlong::MAX_CHARS);
        assert_eq!(by_character(text), pieces);
    }
    assert!(
        spoken([commas.as_str()])
            .iter()
            .all(|piece| piece.ends_with(','))
    );
    assert!(
        spoken([words.as_str()])
            .iter()
            .all(|piece| piece.ends_with("kata"))
    );
}

#[test]
fn a_megabyte_is_split_in_linear_time() {
    for unit in [".", "a.", "[", ". [", "\n", " ", "\"", "Prof. ", "B. "] {
        let text = unit.repeat(1_000_000 / unit.len());
        let started = std::time::Instant::now();
        assert_eq!(solid(&spoken([text.as_str()]).concat()), solid(&text));
        assert!(
            started.elapsed().as_secs() < 20,
            "{unit:?}: {:?}",
            started.elapsed()
        );
    }
}
