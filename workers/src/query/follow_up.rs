//! Questions that lean on the one before: "Kalau S2?", "terus caranya gimana?", "berapa lama?".

use super::kind::QuestionKind;
use super::words::Word;
use super::{Form, Query, Role, Term};
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::lexicon::alternatives::Member;
use crate::knowledge::vocabulary::Vocabulary;

/// How much what is carried over counts beside what was said now.
const CARRIED: f32 = 0.8;

/// A word in more than about half of the passages, such as the institution's name, is not a topic of its own.
const COMMON_RARITY: f32 = 0.12;

/// How much a level or the like counts that the question before named: enough to turn down a rival, too little to lose
/// what is the same for all.
const QUALIFIER: f32 = 0.5;

/// Words that open a follow-up.
const OPENERS: &[&str] = &[
    "kalau", "terus", "lalu", "lantas", "kemudian", "dan", "tapi", "untuk", "berarti", "what",
    "and", "selain", "yang",
];

/// Spelled so surely that one stands for the other: `doctorate` for `doktor`.
const SAME: f32 = 0.9;

/// How often, or for how long: an earlier question's measure is not what the next one is about.
const MEASURES: &[&str] = &[
    "setahun", "semester", "tahun", "bulan", "minggu", "hari", "sekali",
];

/// Words that point back, wherever they stand.
const POINTERS: &[&str] = &[
    "tersebut", "itu", "sana", "situ", "begitu", "nya", "it", "that", "there",
];

/// The query as it stands alone, with the topic of the previous question where this one lacks its own.
pub fn resolve(
    alone: Query,
    words: &[Word],
    previous: Option<&Query>,
    lexicon: &Lexicon,
    vocabulary: &dyn Vocabulary,
) -> Query {
    match previous {
        Some(previous) if leans(&alone, words, previous, lexicon, vocabulary) => {
            join(alone, previous, CARRIED, lexicon, vocabulary)
        }
        Some(previous) if lacks_subject(&alone, words, vocabulary) => {
            join(alone, previous, QUALIFIER, lexicon, vocabulary)
        }
        _ => alone,
    }
}

/// "Kena UKT?" says what may happen, and leaves to the question before to whom or when. It may stand for itself all the
/// same, so that what is carried over counts little.
fn lacks_subject(alone: &Query, words: &[Word], vocabulary: &dyn Vocabulary) -> bool {
    let own = alone.terms.iter().filter(|term| is_topic(term, vocabulary));
    let opens = words
        .first()
        .is_some_and(|word| BARE_VERBS.contains(&word.text.as_str()));
    alone.kind == QuestionKind::YesNo && opens && own.count() == 1
}

/// Verbs that want a subject; what is possible or must be ("bisa", "harus") is asked for without one.
const BARE_VERBS: &[&str] = &[
    "kena",
    "dikenakan",
    "dikenai",
    "bayar",
    "membayar",
    "dapat",
    "mendapat",
    "ikut",
    "mengikuti",
];

/// A level or the like that qualified the question before in the same message holds for this one too, when it names none
/// of its own: "Berapa lama studi magister dan berapa SKS?"
pub fn keep_qualifiers(query: &mut Query, before: &Query, lexicon: &Lexicon) {
    let topics = before.terms.iter().filter(|term| term.role != Role::Aspect);
    let same_for_all = matches!(
        query.kind,
        QuestionKind::Time | QuestionKind::Place | QuestionKind::Person
    );
    if same_for_all || topics.count() < 2 || query.terms.is_empty() {
        return;
    }
    let qualifies = |term: &&Term| {
        let members = members(term, lexicon);
        let own = |own: &Term| {
            let own = self::members(own, lexicon);
            own.iter()
                .any(|own| members.iter().any(|member| member.shares_group(*own)))
        };
        !members.is_empty() && !query.terms.iter().any(own)
    };
    let kept: Vec<Term> = before
        .terms
        .iter()
        .filter(qualifies)
        .map(|term| Term {
            weight: term.weight.min(QUALIFIER),
            ..term.clone()
        })
        .collect();
    query.terms.extend(kept);
}

fn leans(
    alone: &Query,
    words: &[Word],
    previous: &Query,
    lexicon: &Lexicon,
    vocabulary: &dyn Vocabulary,
) -> bool {
    let own: Vec<&Term> = alone
        .terms
        .iter()
        .filter(|term| is_topic(term, vocabulary))
        .collect();
    if own.is_empty() {
        let names_institution = alone.terms.iter().any(|term| term.role != Role::Aspect);
        return !(alone.kind == QuestionKind::Definition && names_institution);
    }
    // "Yang komputasi jurusannya apa saja?" is about computing, of what was spoken of before.
    let specific = own.iter().filter(|term| !is_field(term, lexicon)).count();
    let single = own.len() == 1 || specific == 1;
    let opened = words
        .first()
        .is_some_and(|word| OPENERS.contains(&word.text.as_str()));
    let points_back = words.iter().any(|word| word.points_back)
        || (alone.kind != QuestionKind::Definition
            && words
                .iter()
                .any(|word| POINTERS.contains(&word.text.as_str())));
    let replaces = own
        .iter()
        .all(|term| replaced_by(term, &previous.terms, lexicon).is_some());
    let bare = alone.kind == QuestionKind::Open && words.len() <= 3;
    replaces && (opened || bare) || single && (opened || points_back)
}

fn is_topic(term: &Term, vocabulary: &dyn Vocabulary) -> bool {
    let common = term.forms.first().is_some_and(|form| {
        form.stems
            .iter()
            .all(|stem| vocabulary.rarity(stem) < COMMON_RARITY)
    });
    term.role != Role::Aspect && !common
}

fn is_field(term: &Term, lexicon: &Lexicon) -> bool {
    let field = |form: &Form| form.stems.iter().all(|stem| lexicon.is_field(stem));
    term.forms.iter().any(field)
}

/// The place of the earlier term that a new one excludes: `sarjana` for `magister`.
fn replaced_by(term: &Term, earlier: &[Term], lexicon: &Lexicon) -> Option<usize> {
    let members = members(term, lexicon);
    earlier.iter().position(|earlier| {
        let others = self::members(earlier, lexicon);
        members
            .iter()
            .any(|member| others.iter().any(|other| member.excludes(*other)))
    })
}

fn members(term: &Term, lexicon: &Lexicon) -> Vec<Member> {
    let same = term.forms.iter().filter(|form| form.weight >= SAME);
    same.flat_map(|form| lexicon.alternatives.members(&form.stems))
        .collect()
}

fn join(
    alone: Query,
    previous: &Query,
    share: f32,
    lexicon: &Lexicon,
    vocabulary: &dyn Vocabulary,
) -> Query {
    let replaced: Vec<usize> = alone
        .terms
        .iter()
        .filter_map(|term| replaced_by(term, &previous.terms, lexicon))
        .collect();
    let asks_anew = alone.kind != QuestionKind::Open && !is_continued(&alone);
    let wanted = |term: &Term| was_wanted(term, previous, lexicon);
    // "Kalau doktor berapa?" wants the same of another.
    let wants_other = alone
        .terms
        .iter()
        .any(|term| replaced_by(term, &previous.terms, lexicon).is_none());
    let stays = wants_other
        && previous
            .terms
            .iter()
            .any(|term| is_topic(term, vocabulary) && !wanted(term));
    let carried = previous.terms.iter().enumerate().filter(|(at, term)| {
        let measure = MEASURES.contains(&term.surface.as_str());
        let aspect_of_the_old =
            asks_anew && (term.role == Role::Aspect || measure || (stays && wanted(term)));
        !replaced.contains(at)
            && !aspect_of_the_old
            && !alone.terms.iter().any(|own| own.forms == term.forms)
    });
    let carried: Vec<Term> = carried
        .map(|(_, term)| Term {
            weight: term.weight * share,
            ..term.clone()
        })
        .collect();
    let text = joined_text(&alone, previous, &replaced);
    let kind = if asks_anew { alone.kind } else { previous.kind };
    let mut terms = alone.terms.clone();
    terms.extend(carried);
    Query {
        text,
        kind,
        terms,
        ..alone
    }
}

/// What the earlier question wanted of its topic: `SKS` in "berapa SKS doktor", `lama studi` in "berapa lama studi doktor".
fn was_wanted(term: &Term, previous: &Query, lexicon: &Lexicon) -> bool {
    let amount = previous.kind == QuestionKind::Quantity;
    let counted = amount && previous.counted.as_ref() == Some(&term.surface);
    let stems = term.forms.first().map_or(&[][..], |form| &form.stems);
    let aspect = stems.len() > 1 && lexicon.is_light(&stems[0]);
    counted || aspect
}

/// "Kalau S2 gimana?" asks what was asked before, about S2.
fn is_continued(alone: &Query) -> bool {
    matches!(alone.kind, QuestionKind::Manner | QuestionKind::Open)
        && !alone.terms.iter().any(|term| term.role == Role::Aspect)
}

/// The earlier question with the new word in the place of the old one, or both one after the other.
fn joined_text(alone: &Query, previous: &Query, replaced: &[usize]) -> String {
    if let ([at], [own]) = (replaced, alone.terms.as_slice()) {
        let old = previous.terms[*at].surface.as_str();
        if let Some(place) = previous.text.to_ascii_lowercase().find(old) {
            let (before, after) = (&previous.text[..place], &previous.text[place + old.len()..]);
            return format!("{before}{}{after}", own.surface);
        }
    }
    format!("{} {}", previous.text, alone.text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::query::Interpreter;

    struct Listed;

    impl Vocabulary for Listed {
        fn contains(&self, _stem: &str) -> bool {
            true
        }
        fn rarity(&self, stem: &str) -> f32 {
            if stem == "itb" { 0.05 } else { 0.7 }
        }
        fn nearest(&self, _word: &str) -> Option<String> {
            None
        }
    }

    fn resolved(earlier: &[&str], message: &str) -> (String, String) {
        let interpreter = Interpreter::new(Arc::new(Lexicon::bundled()), Arc::new(Listed));
        let query = interpreter.understand(message, earlier).queries.remove(0);
        let mut surfaces: Vec<String> = query.terms.into_iter().map(|term| term.surface).collect();
        surfaces.sort();
        (query.text, surfaces.join(" "))
    }

    #[test]
    fn a_level_holds_for_both_questions_of_a_message() {
        let interpreter = Interpreter::new(Arc::new(Lexicon::bundled()), Arc::new(Listed));
        for (message, expected) in [
            (
                "Berapa lama masa studi doktor dan berapa SKS bebannya?",
                "bebannya doktor sks",
            ),
            (
                "Berapa lama studi magister dan berapa SKS-nya?",
                "magister sks",
            ),
            (
                "Berapa SKS doktor dan berapa lama studinya?",
                "doktor lama studinya",
            ),
            ("Berapa SKS magister dan berapa SKS doktor?", "doktor sks"),
            ("Berapa SKS sarjana dan kapan wisuda?", "wisuda"),
        ] {
            let query = interpreter.understand(message, &[]).queries.remove(1);
            let mut surfaces: Vec<String> =
                query.terms.into_iter().map(|term| term.surface).collect();
            surfaces.sort();
            assert_eq!(surfaces.join(" "), expected, "{message}");
        }
    }

    #[test]
    fn a_follow_up_takes_its_topic_from_the_question_before() {
        for (earlier, message, text, terms) in [
            (
                &["Berapa SKS untuk lulus sarjana?"][..],
                "Kalau magister?",
                "Berapa SKS untuk lulus magister?",
                "lulus magister sks",
            ),
            (
                &["Berapa SKS untuk lulus sarjana?"],
                "kalo S2",
                "Berapa SKS untuk lulus s2?",
                "lulus s2 sks",
            ),
            (
                &["Apa itu cuti akademik?"],
                "berapa lama?",
                "Apa itu cuti akademik? berapa lama?",
                "akademik cuti lama",
            ),
            (
                &["Apa itu cuti?"],
                "terus caranya gimana",
                "Apa itu cuti? terus caranya gimana",
                "cara cuti",
            ),
            (
                &["Apa itu cuti?", "berapa lama?"],
                "syaratnya?",
                "Apa itu cuti? berapa lama? syaratnya?",
                "cuti lama syaratnya",
            ),
            (
                &["Apa itu STEI?"],
                "yang komputasi jurusannya apa saja?",
                "Apa itu STEI? yang komputasi jurusannya apa saja?",
                "jurusannya komputasi stei",
            ),
            (
                &["Berapa kali wisuda setahun?"],
                "di mana tempatnya?",
                "Berapa kali wisuda setahun? di mana tempatnya?",
                "tempatnya wisuda",
            ),
            (
                &["Apa itu cuti?"],
                "kena ukt ga?",
                "Apa itu cuti? kena ukt ga?",
                "cuti kena ukt",
            ),
            (
                &["Apa itu asrama?"],
                "bisa nyicil ukt?",
                "bisa nyicil ukt?",
                "mencicil ukt",
            ),
            (
                &["Apa itu cuti?"],
                "Di mana perpustakaan ITB?",
                "Di mana perpustakaan ITB?",
                "itb perpustakaan",
            ),
            (&["Apa itu cuti?"], "Apa itu ITB?", "Apa itu ITB?", "itb"),
            (&["halo"], "berapa lama?", "berapa lama?", "lama"),
            (&[], "Kalau S2?", "Kalau S2?", "s2"),
        ] {
            assert_eq!(
                resolved(earlier, message),
                (text.to_owned(), terms.to_owned()),
                "{earlier:?} {message}"
            );
        }
    }
}
