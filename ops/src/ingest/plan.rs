//! What to write and what to remove, decided from ids alone.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;
use workers::knowledge::store::StoredPassage;

/// Which of the stored documents this run speaks for.
#[derive(Debug, Default)]
pub struct Scope {
    /// The names of the roots: their documents are removed when they are gone.
    pub roots: Vec<String>,
    /// Files and folders that could not be read: their documents stay.
    pub unread: Vec<String>,
    /// Documents outside of the roots go as well.
    pub prune: bool,
}

impl Scope {
    fn covers(&self, document: &str) -> bool {
        let within = |name: &String| is_within(document, name);
        (self.prune || self.roots.iter().any(within)) && !self.unread.iter().any(within)
    }
}

/// Whether a document is `name`, lies in the folder `name`, or is one of several in the file `name`.
fn is_within(document: &str, name: &str) -> bool {
    document
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
}

/// Compares what is read, file by file, with what is stored.
pub struct Plan {
    stored: HashMap<Uuid, String>,
    seen: HashSet<Uuid>,
    order: Vec<Uuid>,
    unchanged: usize,
    rewrite: bool,
}

impl Plan {
    /// With `rewrite`, what has not changed is written as well.
    pub fn new(stored: HashMap<Uuid, String>, rewrite: bool) -> Self {
        Self {
            stored,
            seen: HashSet::new(),
            order: Vec::new(),
            unchanged: 0,
            rewrite,
        }
    }

    /// Those passages that must be written.
    pub fn changed(&mut self, passages: Vec<StoredPassage>) -> Vec<StoredPassage> {
        let mut changed = Vec::new();
        for passage in passages {
            if !self.seen.insert(passage.id) {
                continue;
            }
            self.order.push(passage.id);
            if self.stored.contains_key(&passage.id) && !self.rewrite {
                self.unchanged += 1;
            } else {
                changed.push(passage);
            }
        }
        changed
    }

    pub fn unchanged(&self) -> usize {
        self.unchanged
    }

    /// All passages of this run in the order of their documents.
    pub fn order(&self) -> &[Uuid] {
        &self.order
    }

    /// Those that are stored and gone, when everything has been read.
    pub fn gone(&self, scope: &Scope) -> Vec<Uuid> {
        let mut gone: Vec<Uuid> = self
            .stored
            .iter()
            .filter(|(id, document)| !self.seen.contains(id) && scope.covers(document))
            .map(|(id, _)| *id)
            .collect();
        gone.sort_unstable();
        gone
    }
}

#[cfg(test)]
mod tests {
    use workers::knowledge::{DocumentRef, passages::passage};

    use super::*;

    fn of(document: &str, text: &str) -> StoredPassage {
        let document = DocumentRef {
            id: document.into(),
            title: String::new(),
            url: None,
        };
        passage(document, None, None, text.into())
    }

    #[test]
    fn only_what_this_run_speaks_for_is_removed() {
        let stored = [
            ("docs/a.md", "same"),
            ("docs/a.md", "old"),
            ("docs/b.md", "file gone"),
            ("docs/bad.pdf", "unread"),
            (
                "docs/bad.pdf.md",
                "gone, with a name like that of the unread one",
            ),
            ("docs/list.jsonl#x", "unread, one of several in a file"),
            ("docs/closed/c.md", "in an unread folder"),
            ("docs2/a.md", "of another root"),
            ("", "without a document"),
        ];
        let list = || {
            stored
                .iter()
                .map(|(document, text)| (of(document, text).id, (*document).to_owned()))
                .collect::<HashMap<_, _>>()
        };
        for (prune, expected) in [
            (
                false,
                vec![
                    "old",
                    "file gone",
                    "gone, with a name like that of the unread one",
                ],
            ),
            (
                true,
                vec![
                    "old",
                    "file gone",
                    "gone, with a name like that of the unread one",
                    "of another root",
                    "without a document",
                ],
            ),
        ] {
            let mut plan = Plan::new(list(), false);
            let changed = plan.changed(vec![
                of("docs/a.md", "same"),
                of("docs/a.md", "new"),
                of("docs/a.md", "new"),
            ]);
            assert_eq!(changed, [of("docs/a.md", "new")]);
            assert_eq!((plan.unchanged(), plan.order().len()), (1, 2));
            let scope = Scope {
                roots: vec!["docs".into()],
                unread: ["docs/bad.pdf", "docs/list.jsonl", "docs/closed"]
                    .map(str::to_owned)
                    .to_vec(),
                prune,
            };
            let gone: HashSet<Uuid> = plan.gone(&scope).into_iter().collect();
            let named: Vec<&str> = stored
                .iter()
                .filter(|(document, text)| gone.contains(&of(document, text).id))
                .map(|(_, text)| *text)
                .collect();
            assert_eq!(named, expected, "prune: {prune}");
        }
    }

    #[test]
    fn a_rewrite_writes_what_has_not_changed() {
        let same = of("docs/a.md", "same");
        let stored = HashMap::from([(same.id, "docs/a.md".to_owned())]);
        let mut plan = Plan::new(stored, true);
        assert_eq!(plan.changed(vec![same.clone()]), [same]);
        assert_eq!(plan.unchanged(), 0);
    }
}
