//! What kind of answer a question wants.

use serde::{Deserialize, Serialize};

use super::Term;
use super::words::Word;
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;

/// The kind of answer that a question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// `apa itu …`
    Definition,
    /// `apa saja …`
    List,
    /// `siapa …`
    Person,
    /// `kapan …`
    Time,
    /// `berapa …`
    Quantity,
    /// `berapa lama …`
    Duration,
    /// `di mana …`
    Place,
    /// `bagaimana …`
    Manner,
    /// `mengapa …`
    Reason,
    /// `apakah …`, `bisakah …`, `ada … tidak`
    YesNo,
    /// `apa …`
    Thing,
    /// No question word.
    #[default]
    Open,
}

impl QuestionKind {
    /// The kind with this name in the data files.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "definition" => Self::Definition,
            "list" => Self::List,
            "person" => Self::Person,
            "time" => Self::Time,
            "quantity" => Self::Quantity,
            "duration" => Self::Duration,
            "place" => Self::Place,
            "manner" => Self::Manner,
            "reason" => Self::Reason,
            "yes_no" => Self::YesNo,
            "thing" => Self::Thing,
            _ => return None,
        })
    }

    /// `apa` and `apakah` open many questions whose real question word follows: "Apakah ada info kapan wisuda?"
    fn is_general(self) -> bool {
        matches!(self, Self::Thing | Self::YesNo | Self::Open)
    }
}

/// Verbs that ask for yes or no when they open a question: "Bisa nyicil UKT?"
const OPENING_VERBS: &[&str] = &[
    "ada", "bisa", "boleh", "harus", "wajib", "perlu", "haruskah",
];

/// The kind by the question words, wherever they stand: "UKT itu apa?"
pub fn detect(words: &[Word], lexicon: &Lexicon) -> QuestionKind {
    let found = found(words, lexicon);
    let specific = found.iter().find(|kind| !kind.is_general());
    let opens_with_verb = words
        .iter()
        .find(|word| word.text != "apa" && word.text != "saya");
    let opens_with_verb =
        opens_with_verb.is_some_and(|word| OPENING_VERBS.contains(&word.text.as_str()));
    match specific.or(found.first()) {
        Some(QuestionKind::Thing) if asks_for_meaning(words) => QuestionKind::Definition,
        Some(kind) => *kind,
        None if opens_with_verb || words.last().is_some_and(|word| word.text == "tidak") => {
            QuestionKind::YesNo
        }
        None => leading_aspect(words, lexicon)
            .or_else(|| words.iter().find_map(|word| aspect_kind(&word.text)))
            .unwrap_or_default(),
    }
}

/// What a message without a question word wants: "biaya asrama", "jadwal wisuda".
fn aspect_kind(word: &str) -> Option<QuestionKind> {
    match word {
        "biaya" | "tarif" | "harga" | "jumlah" => Some(QuestionKind::Quantity),
        "jadwal" | "tanggal" => Some(QuestionKind::Time),
        _ => None,
    }
}

/// What a message begins with says what it wants, though the same word elsewhere may not: "lama studinya", but
/// "mahasiswa lama".
fn leading_aspect(words: &[Word], lexicon: &Lexicon) -> Option<QuestionKind> {
    let first = words.iter().find(|word| !lexicon.is_filler(&word.text))?;
    match first.text.strip_suffix("nya").unwrap_or(&first.text) {
        "lama" | "durasi" => Some(QuestionKind::Duration),
        "tempat" => Some(QuestionKind::Place),
        _ => None,
    }
}

/// Whether a word asks.
pub fn is_question_word(words: &[String], lexicon: &Lexicon) -> bool {
    let asks = |word: &String| {
        !matches!(
            word.as_str(),
            "cara" | "langkah" | "prosedur" | "alamat" | "lokasi"
        )
    };
    words.first().is_some_and(asks) && lexicon.kinds.longest_at(words).is_some()
}

/// Whether a number or a person of the user's own is asked for: "nilai ujian saya berapa".
pub fn is_personal(words: &[Word], lexicon: &Lexicon) -> bool {
    let kind = detect(words, lexicon);
    let owned = words.windows(2).any(|pair| {
        matches!(pair[1].text.as_str(), "saya" | "aku" | "gue" | "my")
            && !lexicon.is_filler(&pair[0].text)
            && !lexicon.is_common(&stem(&pair[0].text))
    });
    let english = words
        .windows(2)
        .any(|pair| pair[0].text == "my" && !lexicon.is_filler(&pair[1].text));
    let told = matches!(kind, QuestionKind::Quantity | QuestionKind::Person);
    told && (owned || english)
        || asks_for_decision(kind, words)
        || asks_for_record(kind, words, lexicon)
        || asks_for_secret(kind, words, lexicon)
}

/// Why something was done to the user is told by no document: "Kenapa ITB menolak anak saya?"
fn asks_for_decision(kind: QuestionKind, words: &[Word]) -> bool {
    let is = |word: &Word, listed: &[&str]| listed.contains(&word.text.as_str());
    let kin = |word: &&Word| !is(word, &["anak", "adik", "kakak"]);
    let others: Vec<&Word> = words.iter().filter(kin).collect();
    let user = |word: &Word| is(word, &["saya", "aku", "kami", "gue"]);
    let verb = |word: &Word, prefix: &str| {
        let derived = word.text.starts_with(prefix) && stem(&word.text) != word.text;
        derived && word.text != "mengapa"
    };
    let done_to_user = others.windows(2).any(|pair| {
        (verb(pair[0], "me") && user(pair[1])) || (user(pair[0]) && verb(pair[1], "di"))
    });
    kind == QuestionKind::Reason && done_to_user
}

/// What each student has one of is told by no document, whatever the question word: "apa jadwal kuliah saya besok".
fn asks_for_record(kind: QuestionKind, words: &[Word], lexicon: &Lexicon) -> bool {
    let told = matches!(
        kind,
        QuestionKind::Thing | QuestionKind::Time | QuestionKind::Definition
    );
    let own = |word: &Word| matches!(word.text.as_str(), "saya" | "aku" | "gue" | "my");
    let record = |word: &Word| lexicon.is_record(&word.text);
    let near = words.windows(RECORD_REACH.min(words.len()).max(1));
    told && near
        .into_iter()
        .any(|window| window.iter().any(own) && window.iter().any(record))
}

/// A secret is told to nobody; how it is set or what to do without it is another question.
fn asks_for_secret(kind: QuestionKind, words: &[Word], lexicon: &Lexicon) -> bool {
    let any = |listed: &[&str]| {
        words
            .iter()
            .any(|word| listed.contains(&word.text.as_str()))
    };
    let told = matches!(
        kind,
        QuestionKind::Thing | QuestionKind::Definition | QuestionKind::Quantity
    );
    let secret = words.iter().any(|word| lexicon.is_secret(&word.text));
    secret && (told || any(GIVING)) && !any(MANAGING)
}

/// How far `saya` may stand from what is the user's own: "jadwal kuliah saya".
const RECORD_REACH: usize = 3;

const GIVING: &[&str] = &[
    "kasih", "beri", "berikan", "beritahu", "minta", "bagi", "sebutkan", "tell", "give", "share",
    "show",
];

/// Words of questions about the keeping of a secret.
const MANAGING: &[&str] = &[
    "lupa",
    "ganti",
    "mengganti",
    "ubah",
    "mengubah",
    "reset",
    "atur",
    "mengatur",
    "hilang",
    "salah",
    "bocor",
    "aman",
    "syarat",
    "dilakukan",
    "melakukan",
    "forgot",
    "forget",
    "forgotten",
    "change",
    "changing",
];

/// Words between `berapa` and what is to be counted.
const COUNTING: &[&str] = &[
    "siapa", "nama", "saja", "berapa", "jumlah", "banyak", "total", "kira", "sih", "ya", "ada",
    "many", "times", "who", "is", "are", "the", "a",
];

/// The term that directly follows `berapa` or `siapa`: "berapa SKS", "siapa dosen".
pub fn counted(words: &[Word], terms: &[Term], lexicon: &Lexicon) -> Option<String> {
    let at = words.iter().position(|word| {
        matches!(
            word.text.as_str(),
            "berapa" | "jumlah" | "many" | "siapa" | "who"
        )
    })?;
    let named = |word: &&Word| !COUNTING.contains(&word.text.as_str());
    let person = matches!(words[at].text.as_str(), "siapa" | "who");
    let all = words.get(at + 1).is_some_and(|word| word.text == "saja");
    let before = || words[..at].iter().find(named).filter(|_| person && all);
    let next = words[at..].iter().find(named).or_else(before)?;
    // "Siapa Karel Bosscha?" asks about a name, not for one.
    if person && next.capital {
        return None;
    }
    let begins = |term: &&Term| term.surface.split(' ').next() == Some(next.text.as_str());
    let counted = terms.iter().find(begins)?;
    (!lexicon.is_light(&stem(&next.text))).then(|| counted.surface.clone())
}

/// Whether the present state is asked for.
pub fn is_present(words: &[Word], lexicon: &Lexicon) -> bool {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    lexicon.names_present(&format!(" {} ", texts.join(" ")))
}

fn found(words: &[Word], lexicon: &Lexicon) -> Vec<QuestionKind> {
    let texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < texts.len() {
        match lexicon.kinds.longest_at(&texts[at..]) {
            Some((length, kind)) => {
                found.push(*kind);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// "UKT itu apa?"
fn asks_for_meaning(words: &[Word]) -> bool {
    let mut from_end = words
        .iter()
        .rev()
        .filter(|word| !matches!(word.text.as_str(), "ya" | "sih" | "kak" | "dong"));
    from_end.next().is_some_and(|word| word.text == "apa")
        && from_end
            .next()
            .is_some_and(|word| word.text == "itu" || word.text == "adalah")
        && words.len() <= 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::words::words;

    #[test]
    fn records_of_the_user_and_secrets_are_personal() {
        let lexicon = Lexicon::bundled();
        for (message, personal) in [
            ("berapa IPK saya", true),
            ("apa jadwal kuliah saya besok", true),
            ("what is my GPA", true),
            ("password wifi kampus apa", true),
            ("tell me the wifi password", true),
            ("lupa password akun", false),
            ("password akun salah harus apa", false),
            ("How do I calculate my GPA?", false),
            ("kapan saya bisa cuti", false),
            ("di mana saya melihat nilai", false),
            ("Kenapa ITB menolak anak saya?", true),
            ("kenapa mengeluarkan gue", true),
            ("Kenapa akun saya diblokir?", true),
            ("Kenapa saya tidak bisa mengisi FRS?", false),
            ("Kenapa anak saya harus mengulang?", false),
        ] {
            assert_eq!(
                is_personal(&words(message, &lexicon), &lexicon),
                personal,
                "{message}"
            );
        }
    }

    #[test]
    fn question_words_tell_the_kind() {
        let lexicon = Lexicon::bundled();
        for (message, kind) in [
            ("Apa itu ITB?", QuestionKind::Definition),
            ("ITB itu apa sih", QuestionKind::Definition),
            ("UKT itu apa?", QuestionKind::Definition),
            ("Fakultas apa saja di ITB?", QuestionKind::List),
            ("brp sks buat lulus", QuestionKind::Quantity),
            ("berapa lama kuliah s2", QuestionKind::Duration),
            ("kpn itb berdiri", QuestionKind::Time),
            ("Di mana perpustakaan?", QuestionKind::Place),
            ("gmn cara cuti", QuestionKind::Manner),
            ("Kenapa saya tidak bisa masuk?", QuestionKind::Reason),
            ("Apakah ada yang tahu kapan wisuda?", QuestionKind::Time),
            ("Apakah UKT bisa dicicil?", QuestionKind::YesNo),
            ("ada asrama ga", QuestionKind::YesNo),
            ("bisa nyicil ukt", QuestionKind::YesNo),
            ("siapa rektornya", QuestionKind::Person),
            ("How many credits to graduate?", QuestionKind::Quantity),
            ("syarat cuti", QuestionKind::Open),
            ("Dan lama studinya?", QuestionKind::Duration),
            ("mahasiswa lama", QuestionKind::Open),
            ("Tempatnya?", QuestionKind::Place),
            ("", QuestionKind::Open),
        ] {
            assert_eq!(
                detect(&words(message, &lexicon), &lexicon),
                kind,
                "{message}"
            );
        }
    }
}
