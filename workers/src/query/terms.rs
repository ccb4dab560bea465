//! The things that a question is about, each with the ways to say it.

use super::language::Language;
use super::mending::{informal_roots, spoken_letters};
use super::words::Word;
use super::{Form, Role, Term};
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;

/// How much an aspect (`cara`, `biaya`) counts beside the topic.
const ASPECT_WEIGHT: f32 = 0.45;

/// How much an everyday verb or adjective counts.
const COMMON_WEIGHT: f32 = 0.5;

/// How much a word counts that the collection lacks: an everyday one hardly, as the documents say it otherwise; a verb
/// less than a noun, which is likely what the question is about.
const UNKNOWN_COMMON_WEIGHT: f32 = 0.1;
const UNKNOWN_VERB_WEIGHT: f32 = 0.5;
const UNKNOWN_WEIGHT: f32 = 0.85;

/// A number in a question rarely tells what it is about: "lulus dalam 5 tahun", "wisuda 2026".
const NUMBER_WEIGHT: f32 = 0.2;

/// A name in more than about a fifth of the passages is that of the institution itself, or of its city.
const HOME_RARITY: f32 = 0.3;

/// More terms are left out; a question has a handful.
const MAX_TERMS: usize = 24;

/// The terms of a question in order, each once.
pub fn terms(
    words: &[Word],
    language: Language,
    lexicon: &Lexicon,
    vocabulary: &dyn Vocabulary,
) -> Vec<Term> {
    let content = content(words, language, lexicon);
    let stems: Vec<String> = content
        .iter()
        .map(|content| stem(&content.word.text))
        .collect();
    let mut terms: Vec<Term> = Vec::new();
    let mut at = 0;
    while at < content.len() && terms.len() < MAX_TERMS {
        let (length, term) = term_at(&content[at..], &stems[at..], lexicon, vocabulary);
        if !terms.iter().any(|known| known.forms == term.forms) {
            terms.push(term);
        }
        at += length;
    }
    terms.extend(calculation(words));
    terms
}

/// Numbers to calculate with, and what is to be done with them. A name: only text that holds the same has the result.
fn calculation(words: &[Word]) -> Option<Term> {
    let mut places = words.windows(3);
    let place = places.find(|place| {
        is_number(&place[0].text)
            && OPERATORS.contains(&place[1].text.as_str())
            && is_number(&place[2].text)
    })?;
    let texts: Vec<String> = place.iter().map(|word| word.text.clone()).collect();
    let surface = texts.join(" ");
    let form = Form {
        stems: texts,
        weight: 1.0,
    };
    Some(term(surface, vec![form], Role::Name))
}

const OPERATORS: &[&str] = &[
    "tambah",
    "ditambah",
    "plus",
    "kurang",
    "dikurang",
    "dikurangi",
    "minus",
    "kali",
    "dikali",
    "dikalikan",
    "times",
    "x",
    "bagi",
    "dibagi",
    "per",
    "pangkat",
    "persen",
];

/// A word with a topic, and what stood before it.
struct Content<'a> {
    word: &'a Word,
    after_preposition: bool,
    /// Directly after the content word before it.
    adjacent: bool,
    first: bool,
}

fn content<'a>(words: &'a [Word], language: Language, lexicon: &Lexicon) -> Vec<Content<'a>> {
    let mut found: Vec<Content<'a>> = Vec::new();
    let mut last = None;
    for (at, word) in words.iter().enumerate() {
        let left_out = lexicon.is_filler(&word.text)
            || (language == Language::English && lexicon.is_english_filler(&word.text));
        if left_out || word.text.is_empty() {
            continue;
        }
        let before = at.checked_sub(1).map(|before| words[before].text.as_str());
        let after = words.get(at + 1).map(|after| after.text.as_str());
        let asked = [before, after].contains(&Some("berapa"));
        if asked && UNITS.contains(&word.text.as_str()) {
            continue;
        }
        found.push(Content {
            word,
            after_preposition: matches!(
                before,
                Some("di" | "ke" | "dari" | "bernama" | "at" | "in")
            ),
            adjacent: at > 0 && last == Some(at - 1),
            first: at == 0,
        });
        last = Some(at);
    }
    found
}

fn term_at(
    content: &[Content],
    stems: &[String],
    lexicon: &Lexicon,
    vocabulary: &dyn Vocabulary,
) -> (usize, Term) {
    let neighbour = content.get(1).filter(|tail| tail.adjacent);
    if let Some(joined) = neighbour.and_then(|tail| joined(content[0].word, tail.word, vocabulary))
    {
        let forms = vec![Form {
            stems: vec![joined],
            weight: 1.0,
        }];
        return (2, term(surface(&content[..2]), forms, Role::Topic));
    }
    if let Some(tail) = neighbour.filter(|_| NUMBERED.contains(&content[0].word.text.as_str())) {
        let numbers = same_number(&tail.word.text);
        let forms = numbers.into_iter().map(|number| Form {
            stems: vec![stems[0].clone(), number],
            weight: 1.0,
        });
        let forms: Vec<Form> = forms.collect();
        if !forms.is_empty() {
            return (2, term(surface(&content[..2]), forms, Role::Name));
        }
    }
    if let Some((length, related)) = lexicon.related.longest_at(stems) {
        let mut forms = vec![Form {
            stems: stems[..length].to_vec(),
            weight: 1.0,
        }];
        forms.extend(related.iter().map(|related| related.as_form(1.0)));
        let surface = surface(&content[..length]);
        let aspect = stems[..length].iter().all(|stem| lexicon.is_light(stem));
        let role = if aspect { Role::Aspect } else { Role::Topic };
        let mut term = term(surface, forms, role);
        if role == Role::Topic && stems[..length].iter().all(|stem| lexicon.is_common(stem)) {
            term.weight = COMMON_WEIGHT;
        }
        return (length, term);
    }
    if neighbour.is_some() && lexicon.is_name_head(&content[0].word.text) {
        let forms = vec![Form {
            stems: stems[..2].to_vec(),
            weight: 1.0,
        }];
        return (2, term(surface(&content[..2]), forms, Role::Name));
    }
    (1, single(&content[0], &stems[0], lexicon, vocabulary))
}

/// Two words that the collection writes as one: `stei k` and `stei ka` for `STEI-K`, `non reguler` for `nonreguler`.
fn joined(head: &Word, tail: &Word, vocabulary: &dyn Vocabulary) -> Option<String> {
    if vocabulary.contains(&stem(&tail.text)) && tail.text.len() > 2 {
        return None;
    }
    let letter = spoken_letters(&tail.text);
    let tails = [Some(tail.text.as_str()), letter];
    let joined = tails
        .into_iter()
        .flatten()
        .map(|tail| stem(&format!("{}{tail}", head.text)));
    joined
        .into_iter()
        .find(|joined| vocabulary.contains(joined))
}

/// What is told from others of its kind by a number alone: text about `Pasal 1` says nothing of `Pasal 12`.
const NUMBERED: &[&str] = &[
    "pasal",
    "bab",
    "lampiran",
    "gelombang",
    "tahap",
    "periode",
    "article",
    "chapter",
    "appendix",
];

/// Roman numbers from 1, as chapters carry them.
const ROMAN: &[&str] = &[
    "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv",
    "xvi", "xvii", "xviii", "xix", "xx",
];

/// The number and its other spelling; empty for what is no number.
fn same_number(word: &str) -> Vec<String> {
    if let Some(at) = ROMAN.iter().position(|roman| *roman == word) {
        return vec![word.to_owned(), (at + 1).to_string()];
    }
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return Vec::new();
    }
    let number = word.parse::<usize>().ok();
    let roman = number.and_then(|number| ROMAN.get(number.checked_sub(1)?));
    let spellings = std::iter::once(word).chain(roman.copied());
    spellings.map(str::to_owned).collect()
}

/// Whether a term is a thing with its number: `pasal 12`.
pub fn is_numbered(term: &Term) -> bool {
    let head = term.surface.split(' ').next().unwrap_or_default();
    term.role == Role::Name && NUMBERED.contains(&head)
}

fn single(content: &Content, stem: &str, lexicon: &Lexicon, vocabulary: &dyn Vocabulary) -> Term {
    let word = content.word;
    let mut forms = vec![Form {
        stems: vec![stem.to_owned()],
        weight: 1.0,
    }];
    forms.extend(compound(word, lexicon));
    if !known(&forms, vocabulary) {
        let roots = informal_roots(&word.text, vocabulary);
        forms.extend(roots.map(|root| Form {
            stems: vec![root],
            weight: 1.0,
        }));
    }
    let unknown = !known(&forms, vocabulary);
    let adverb = word.text.len() > 5 && word.text.ends_with("ly");
    let common = adverb || lexicon.is_common(stem) || lexicon.is_common(&word.text);
    let named = content.after_preposition || (word.capital && !content.first);
    let at_home = vocabulary.rarity(stem) < HOME_RARITY;
    let elsewhere =
        (lexicon.is_elsewhere(&word.text) && !at_home) || (unknown && lexicon.is_other_topic(stem));
    let role = match () {
        () if elsewhere => Role::Name,
        () if is_number(&word.text) => Role::Aspect,
        () if lexicon.is_light(stem) || (unknown && common) => Role::Aspect,
        () if unknown && named => Role::Name,
        () => Role::Topic,
    };
    let mut term = term(word.text.clone(), forms, role);
    match role {
        Role::Aspect if is_number(&word.text) => term.weight = NUMBER_WEIGHT,
        Role::Topic | Role::Aspect if unknown => {
            term.weight = unknown_weight(&word.text, common || role == Role::Aspect);
        }
        Role::Topic if common => term.weight = COMMON_WEIGHT,
        Role::Topic | Role::Aspect | Role::Name => {}
    }
    term
}

fn is_number(word: &str) -> bool {
    let digits = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits || NUMBER_WORDS.contains(&word)
}

const NUMBER_WORDS: &[&str] = &[
    "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh",
];

/// Words that only say in what a question wants its answer counted: "berapa semester".
const UNITS: &[&str] = &[
    "semester", "tahun", "bulan", "minggu", "hari", "jam", "kali",
];

/// What Indonesian verbs begin with.
const VERB_PREFIXES: &[&str] = &["me", "ber", "di", "ter", "nge", "ny"];

fn unknown_weight(word: &str, common: bool) -> f32 {
    let verb = word.len() > 5 && VERB_PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    match () {
        () if common => UNKNOWN_COMMON_WEIGHT,
        () if verb => UNKNOWN_VERB_WEIGHT,
        () => UNKNOWN_WEIGHT,
    }
}

/// The words of a compound, which a text may write apart.
fn compound(word: &Word, lexicon: &Lexicon) -> Option<Form> {
    let stems: Vec<String> = word
        .parts
        .iter()
        .filter(|part| !lexicon.is_filler(part))
        .map(|part| stem(part))
        .collect();
    (!stems.is_empty()).then_some(Form { stems, weight: 0.9 })
}

fn known(forms: &[Form], vocabulary: &dyn Vocabulary) -> bool {
    forms
        .iter()
        .any(|form| form.stems.iter().all(|stem| vocabulary.contains(stem)))
}

fn surface(content: &[Content]) -> String {
    let words: Vec<&str> = content
        .iter()
        .map(|content| content.word.text.as_str())
        .collect();
    words.join(" ")
}

fn term(surface: String, forms: Vec<Form>, role: Role) -> Term {
    let weight = if role == Role::Aspect {
        ASPECT_WEIGHT
    } else {
        1.0
    };
    Term {
        surface,
        forms,
        weight,
        role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::words::words;
    use std::collections::HashSet;

    struct Known(HashSet<&'static str>);

    impl Vocabulary for Known {
        fn contains(&self, stem: &str) -> bool {
            self.0.contains(stem)
        }
        fn rarity(&self, _stem: &str) -> f32 {
            0.5
        }
        fn nearest(&self, _word: &str) -> Option<String> {
            None
        }
    }

    fn of(message: &str) -> Vec<Term> {
        let lexicon = Lexicon::bundled();
        let vocabulary = Known(
            ["wisuda", "lunas", "itb", "biaya", "cetak"]
                .into_iter()
                .collect(),
        );
        let language = crate::query::language::detect(message, &lexicon);
        terms(&words(message, &lexicon), language, &lexicon, &vocabulary)
    }

    fn surfaces(message: &str) -> Vec<String> {
        of(message).into_iter().map(|term| term.surface).collect()
    }

    #[test]
    fn what_surrounds_the_question_is_left_out() {
        for (message, expected) in [
            (
                "Kak, mau tanya dong, berapa sih UKT di ITB?",
                vec!["ukt", "itb"],
            ),
            (
                "How many credits do I need to graduate?",
                vec!["credits", "graduate"],
            ),
            ("apa itu", vec![]),
            ("syarat program studi", vec!["syarat", "program studi"]),
        ] {
            assert_eq!(surfaces(message), expected, "{message}");
        }
    }

    #[test]
    fn names_that_the_collection_lacks_are_marked() {
        for (message, role) in [
            ("biaya di ui", Role::Name),
            ("Siapa presiden Prancis?", Role::Name),
            ("biaya Universitas Indonesia", Role::Name),
            ("biaya wisuda", Role::Topic),
            ("resep rendang", Role::Name),
            ("Berapa 2+2?", Role::Name),
            ("12 dikali 3 berapa", Role::Name),
            ("wisuda 2 kali", Role::Aspect),
        ] {
            assert_eq!(
                of(message).last().map(|term| term.role),
                Some(role),
                "{message}"
            );
        }
    }

    #[test]
    fn a_number_belongs_to_what_it_names() {
        for (message, expected) in [
            ("isi Pasal 12", &["pasal 12", "pasal xii"][..]),
            ("isi BAB III", &["bab iii", "bab 3"]),
            ("isi Pasal 120", &["pasal 120"]),
            ("isi pasal", &["pasal"]),
            ("lulus 144 SKS", &["sks"]),
        ] {
            let terms = of(message);
            let forms = &terms.last().expect("a term").forms;
            let found: Vec<String> = forms.iter().map(|form| form.stems.join(" ")).collect();
            assert!(
                expected
                    .iter()
                    .all(|form| found.iter().any(|found| found == form)),
                "{message}: {found:?}"
            );
        }
    }

    #[test]
    fn informal_words_find_known_ones() {
        for (message, expected) in [("ngelunasin", "lunas"), ("nyetakin", "cetak")] {
            let forms = &of(message)[0].forms;
            assert!(
                forms.iter().any(|form| form.stems == [expected]),
                "{message}: {forms:?}"
            );
        }
    }
}
