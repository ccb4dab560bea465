//! Whether a sentence tells what a question says of its topic, and not only something about the topic.

use super::confidence::{Weighed, strength};
use super::fit::{Matches, Question};
use super::reading::Unit;
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::analyser::token::tokens;
use crate::query::kind::QuestionKind;

/// Ways to say that there is something: any sentence about it tells as much.
const EXISTING: &[&str] = &["sedia", "ada", "punya", "milik", "available"];

/// How often something is, or how long: "dibayar per bulan" is told by no sentence that speaks of paying alone.
const PERIODS: &[&str] = &["jam", "hari", "minggu", "bulan", "semester", "tahun"];

/// More of the question than this must not be left open.
const UNTOLD_SHARE: f32 = 0.2;

/// What a verb or a noun of somebody who does something begins with.
const AGENTIVE: &[&str] = &["pe", "me", "di"];

/// What English ones end with: founded, founder.
const AGENTIVE_ENGLISH: &[&str] = &["ed", "er"];

/// From this weight on a form is the same thing: who opened a school did not found it.
const SAME_DEED: f32 = 0.9;

impl Question<'_> {
    /// "Apakah ijazah bisa diambil orang lain?" is told by no sentence that speaks of diplomas alone, and "Apakah TPB di
    /// Ganesha?" by none about other places.
    pub(super) fn leaves_predicate_open(&self, matches: &Matches, unit: &Unit) -> bool {
        let Some(topic) = self.heaviest().filter(|_| self.kind == QuestionKind::YesNo) else {
            return false;
        };
        let said = |at: &usize| {
            let exists = EXISTING.contains(&first_stem(&self.terms[*at]));
            let everywhere = self.terms[*at].known && self.is_everywhere(*at);
            *at != topic && !exists && !everywhere
        };
        let told = |at: usize| {
            matches.heading[at] > 0.0 || strength(self.terms[at].term, &unit.stems) > 0.0
        };
        let said: Vec<usize> = (0..self.terms.len()).filter(said).collect();
        let nothing = !said.is_empty() && !said.iter().any(|at| told(*at));
        let how_often = |at: &usize| PERIODS.contains(&first_stem(&self.terms[*at]));
        let other_period = said.iter().filter(|at| how_often(at)).any(|at| !told(*at));
        nothing || other_period || self.untold_share(matches, unit) > UNTOLD_SHARE
    }

    /// How much of the question is about things that stand neither in the sentence nor over it.
    fn untold_share(&self, matches: &Matches, unit: &Unit) -> f32 {
        let all: f32 = self.terms.iter().map(|term| term.weight).sum();
        let untold = self.terms.iter().enumerate().filter(|(at, term)| {
            self.is_main(term)
                && matches.heading[*at].max(matches.title[*at]) == 0.0
                && strength(term.term, &unit.stems) == 0.0
        });
        let untold: f32 = untold.map(|(_, term)| term.weight).sum();
        untold / all.max(f32::EPSILON)
    }

    /// "Siapa pendirinya?" is told by an active verb, by the noun or by "didirikan oleh", not by "didirikan pada" or
    /// "berdiri".
    pub(super) fn lacks_agent(&self, unit: &Unit) -> bool {
        self.kind == QuestionKind::Person
            && self.deed().is_some_and(|deed| !tells_agent(deed, unit))
    }

    /// What was done by the person who is asked for.
    fn deed(&self) -> Option<&Weighed<'_>> {
        let asked = self.counted()?;
        let word = asked.term.surface.as_str();
        let indonesian =
            stem(word) != word && AGENTIVE.iter().any(|prefix| word.starts_with(prefix));
        let english = AGENTIVE_ENGLISH.iter().any(|suffix| word.ends_with(suffix));
        let office = self.lexicon.is_office(first_stem(asked));
        ((indonesian || english) && !office).then_some(asked)
    }
}

fn first_stem<'a>(term: &'a Weighed) -> &'a str {
    let first = term.term.forms.first().and_then(|form| form.stems.first());
    first.map_or("", String::as_str)
}

fn tells_agent(deed: &Weighed, unit: &Unit) -> bool {
    let agent_follows = unit.folded.contains(" oleh ");
    let of_deed = |stem: &String| {
        let same = deed.term.forms.iter();
        same.filter(|form| form.weight >= SAME_DEED)
            .any(|form| form.stems.contains(stem))
    };
    tokens(&unit.text).iter().any(|token| {
        let word = token.text.as_str();
        let passive = word.starts_with("di") && stem(word) != word;
        of_deed(&stem(word)) && !word.starts_with("ber") && (agent_follows || !passive)
    })
}
