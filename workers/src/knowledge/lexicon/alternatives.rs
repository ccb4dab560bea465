//! Words that exclude each other, such as the levels of study.

use super::{Lexicon, lines};

/// Groups of exclusive members; a member may have several spellings.
#[derive(Debug, Default)]
pub struct Alternatives {
    groups: Vec<Vec<Vec<Vec<String>>>>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    group: usize,
    member: usize,
}

impl Member {
    /// Whether naming one in place of the other changes the question.
    pub fn excludes(self, other: Self) -> bool {
        self.group == other.group && self.member != other.member
    }

    /// Whether both are of one group, be they the same or not.
    pub fn shares_group(self, other: Self) -> bool {
        self.group == other.group
    }
}

impl Alternatives {
    pub(super) fn read(texts: &[&str], lexicon: &Lexicon) -> Self {
        let group = |line: &str| -> Vec<Vec<Vec<String>>> {
            let spellings = |member: &str| {
                member
                    .split('|')
                    .map(|phrase| lexicon.phrase(phrase))
                    .collect()
            };
            line.split('\t').map(spellings).collect()
        };
        Self {
            groups: texts
                .iter()
                .flat_map(|text| lines(text))
                .map(|(_, line)| group(line))
                .collect(),
        }
    }

    /// The spellings of what a phrase, given as stems, excludes.
    pub fn rivals(&self, stems: &[String]) -> impl Iterator<Item = &Vec<String>> {
        let named = self.members(stems);
        let of = move |member: Member| named.iter().any(|named| named.excludes(member));
        let groups = self.groups.iter().enumerate();
        groups
            .flat_map(|(group, members)| {
                let members = members.iter().enumerate();
                members.map(move |(member, spellings)| (Member { group, member }, spellings))
            })
            .filter(move |(member, _)| of(*member))
            .flat_map(|(_, spellings)| spellings)
    }

    /// The groups' members that a phrase, given as stems, spells.
    pub fn members(&self, stems: &[String]) -> Vec<Member> {
        let mut found = Vec::new();
        for (group, members) in self.groups.iter().enumerate() {
            for (member, spellings) in members.iter().enumerate() {
                if spellings
                    .iter()
                    .any(|spelling| spelling.as_slice() == stems)
                {
                    found.push(Member { group, member });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_one_group_exclude_each_other_and_spellings_do_not() {
        let lexicon = Lexicon::bundled();
        let member = |phrase: &str| lexicon.alternatives.members(&lexicon.phrase(phrase))[0];
        assert!(member("sarjana").excludes(member("s2")));
        assert!(!member("sarjana").excludes(member("s1")));
        assert!(!member("sarjana").excludes(member("uts")));
        assert!(
            lexicon
                .alternatives
                .members(&lexicon.phrase("asrama"))
                .is_empty()
        );
    }
}
