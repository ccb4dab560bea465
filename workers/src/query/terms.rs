//! The things that a question is about, each with the ways to say it.

use super::language::Language;
use super::words::Word;
use super::{Form, Role, Term};
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;

/// How much an aspect (`cara`, `biaya`) counts beside the topic.
const ASPECT_WEIGHT: f32 = 0.45;

/// How much an everyday verb or adjective counts.
const COMMON_WEIGHT: f32 = 0.5;

/// How sure a corrected spelling is.
const CORRECTED: f32 = 0.8;

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
    terms
}

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
    if let Some((length, related)) = lexicon.related.longest_at(stems) {
        let mut forms = vec![Form {
            stems: stems[..length].to_vec(),
            weight: 1.0,
        }];
        forms.extend(related.iter().map(|related| related.as_form(1.0)));
        let surface = surface(&content[..length]);
        let aspect = stems[..length].iter().all(|stem| lexicon.is_light(stem));
        let role = if aspect { Role::Aspect } else { Role::Topic };
        return (length, term(surface, forms, role));
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
    let letter = LETTER_NAMES
        .iter()
        .find(|(name, _)| *name == tail.text)
        .map(|(_, letter)| *letter);
    let tails = [Some(tail.text.as_str()), letter];
    let joined = tails
        .into_iter()
        .flatten()
        .map(|tail| stem(&format!("{}{tail}", head.text)));
    joined
        .into_iter()
        .find(|joined| vocabulary.contains(joined))
}

/// How a recogniser writes single letters that are spoken.
const LETTER_NAMES: &[(&str, &str)] = &[
    ("be", "b"),
    ("ce", "c"),
    ("de", "d"),
    ("ef", "f"),
    ("ge", "g"),
    ("ha", "h"),
    ("je", "j"),
    ("ka", "k"),
    ("el", "l"),
    ("em", "m"),
    ("en", "n"),
    ("pe", "p"),
    ("er", "r"),
    ("es", "s"),
    ("te", "t"),
];

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
    if !known(&forms, vocabulary) && !lexicon.is_common(stem) {
        forms.extend(corrected(&word.text, lexicon, vocabulary));
    }
    let unknown = !known(&forms, vocabulary);
    let named = content.after_preposition || (word.capital && !content.first);
    let role = match () {
        () if lexicon.is_light(stem) || (unknown && lexicon.is_common(stem)) => Role::Aspect,
        () if unknown && named => Role::Name,
        () => Role::Topic,
    };
    let mut term = term(word.text.clone(), forms, role);
    if role == Role::Topic && lexicon.is_common(stem) {
        term.weight = COMMON_WEIGHT;
    }
    term
}

/// The known word that this one may be a misspelling of, and what is related to it.
fn corrected(word: &str, lexicon: &Lexicon, vocabulary: &dyn Vocabulary) -> Vec<Form> {
    let Some(near) = vocabulary.nearest(word) else {
        return Vec::new();
    };
    let related = lexicon.related.longest_at(std::slice::from_ref(&near));
    let related = related.map_or(&[][..], |(_, related)| related);
    let mut forms = vec![Form {
        stems: vec![near.clone()],
        weight: CORRECTED,
    }];
    forms.extend(related.iter().map(|related| related.as_form(CORRECTED)));
    forms
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

/// Roots of spoken verb forms: `ngelunasin` → `lunas`, `nyetak` → `cetak`. Only roots that the collection knows.
fn informal_roots<'a>(
    word: &'a str,
    vocabulary: &'a dyn Vocabulary,
) -> impl Iterator<Item = String> + 'a {
    let bases = [Some(word), word.strip_suffix("in")].into_iter().flatten();
    let roots = bases.flat_map(|base| {
        let nasal = |prefix: &str, initials: &[&str]| -> Vec<String> {
            let rest = base.strip_prefix(prefix);
            rest.into_iter()
                .flat_map(|rest| {
                    initials
                        .iter()
                        .map(move |initial| format!("{initial}{rest}"))
                })
                .collect()
        };
        let mut roots = vec![base.to_owned()];
        roots.extend(nasal("nge", &[""]));
        roots.extend(nasal("ng", &["", "k"]));
        roots.extend(nasal("ny", &["s", "c"]));
        roots.extend(nasal("n", &["t", ""]));
        roots.extend(nasal("m", &["p", ""]));
        roots
    });
    roots
        .filter(|root| root.len() >= 3)
        .map(|root| stem(&root))
        .filter(|root| vocabulary.contains(root))
        .take(2)
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
        fn nearest(&self, word: &str) -> Option<String> {
            (word == "wisdua").then(|| "wisuda".to_owned())
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
            ("resep rendang", Role::Topic),
        ] {
            assert_eq!(
                of(message).last().map(|term| term.role),
                Some(role),
                "{message}"
            );
        }
    }

    #[test]
    fn misspelt_and_informal_words_find_known_ones() {
        for (message, expected) in [
            ("wisdua", "wisuda"),
            ("ngelunasin", "lunas"),
            ("nyetakin", "cetak"),
        ] {
            let forms = &of(message)[0].forms;
            assert!(
                forms.iter().any(|form| form.stems == [expected]),
                "{message}: {forms:?}"
            );
        }
    }
}
