//! Files that are changed by someone who knows how they are built, so that a reader gets far into them.
//!
//! A walker finds the numbers of a file and its parts. Numbers are set to what readers stumble over; parts are repeated,
//! removed, exchanged and put into each other, and whatever states the length of the whole is kept right.

use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample::Index};

mod field;
pub mod text;

pub use field::{Coding, Field, number};

/// Bytes that one change may add.
const MOST_ADDED: usize = 100_000;

/// Bytes of a changed file.
const LONGEST: usize = 400_000;

/// A part of a file, between what opens and what closes it.
#[derive(Clone, Debug)]
pub struct Part {
    pub range: Range<usize>,
    /// Bytes of what opens it, and of what closes it.
    pub head: usize,
    pub tail: usize,
    /// A number of a fixed length that grows with it.
    pub size: Option<Field>,
}

impl Part {
    pub fn leaf(range: Range<usize>) -> Self {
        Self {
            range,
            head: 0,
            tail: 0,
            size: None,
        }
    }

    pub fn content(&self) -> Range<usize> {
        self.range.start + self.head..self.range.end - self.tail
    }

    fn fits(&self, length: usize) -> bool {
        let marks = self.head.saturating_add(self.tail);
        self.range.end <= length && marks <= self.range.len() && !self.range.is_empty()
    }
}

/// A number of entries, in binary, and the first of them.
#[derive(Clone, Debug)]
pub struct Table {
    pub count: Field,
    pub entry: Range<usize>,
}

/// What a file is built of.
#[derive(Clone, Debug, Default)]
pub struct Anatomy {
    pub fields: Vec<Field>,
    pub parts: Vec<Part>,
    pub tables: Vec<Table>,
}

impl Anatomy {
    /// Adds numbers that follow each other.
    pub fn numbers(&mut self, mut at: usize, widths: &[usize], coding: Coding) {
        for width in widths {
            self.fields.push(Field::new(at, *width, coding));
            at = at.saturating_add(*width);
        }
    }

    /// Walkers believe the file; what lies outside of it is dropped.
    fn within(mut self, length: usize) -> Self {
        self.fields.retain(|field| field.range().end <= length);
        self.parts.retain(|part| part.fits(length));
        self.tables
            .retain(|table| table.count.range().end <= length && table.entry.end <= length);
        self
    }

    /// Puts bytes in the place of others, and makes the parts around them as long as they then are.
    fn replace(&self, file: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
        let more = with.len() as i128 - range.len() as i128;
        for part in &self.parts {
            let content = part.content();
            if content.start <= range.start
                && range.end <= content.end
                && let Some(size) = part.size
            {
                let written = size.written(file, size.read(file) + more);
                if let Some(place) = file.get_mut(size.range()) {
                    place.copy_from_slice(&written);
                }
            }
        }
        file.splice(range, with.iter().copied());
    }
}

/// How files of one kind are built.
#[derive(Clone, Copy)]
pub struct Grammar {
    pub walk: fn(&[u8]) -> Anatomy,
    /// What readers of it know, to be strewn in; for text alone.
    pub words: &'static [&'static str],
}

impl Grammar {
    fn anatomy(&self, file: &[u8]) -> Anatomy {
        (self.walk)(file).within(file.len())
    }
}

/// A kind of file.
pub struct Kind {
    pub grammar: Grammar,
    pub members: Option<Members>,
    /// Makes right what must be right for anything to be read, such as checksums.
    pub mend: fn(Vec<u8>) -> Vec<u8>,
}

/// Files that are packed in the file.
pub struct Members {
    pub grammar: Grammar,
    pub unpack: fn(&[u8]) -> Vec<Vec<u8>>,
    /// Packs them in the way of the file that they are from.
    pub pack: fn(&[u8], &[Vec<u8>]) -> Vec<u8>,
}

/// One of a list; of its beginning, where what matters most stands.
#[derive(Clone, Copy, Debug)]
struct Spot {
    index: Index,
    among: usize,
}

impl Spot {
    fn of<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        let reach = list.len().min(self.among);
        (reach > 0).then(|| &list[self.index.index(reach)])
    }
}

#[derive(Clone, Debug)]
enum Value {
    Exactly(i128),
    /// So much more than it is.
    More(i128),
    /// So much more than the file has bytes.
    Length(i128),
    Another(Spot),
}

#[derive(Clone, Debug)]
enum Change {
    Number(Spot, Value),
    Remove(Spot),
    Repeat(Spot, usize),
    Swap(Spot, Spot),
    Nest(Spot, usize),
    Grow(Spot, usize),
    Words(Spot, Vec<(Index, usize)>),
    Graft(Index, Spot, Spot),
    Flip(Index, u8),
    Cut(Index),
}

fn spot() -> impl Strategy<Value = Spot> + Clone {
    let among = prop::sample::select(vec![16, 128, usize::MAX]);
    (any::<Index>(), among).prop_map(|(index, among)| Spot { index, among })
}

fn value() -> impl Strategy<Value = Value> {
    const EDGES: &[u32] = &[2, 4, 7, 8, 12, 15, 16, 20, 24, 28, 31, 32, 62, 63, 64];
    let edge = (prop::sample::select(EDGES), -1..=1_i128);
    prop_oneof![
        3 => prop::sample::select(vec![0, 1, 2, 3, -1]).prop_map(Value::Exactly),
        5 => edge.prop_map(|(bits, more)| Value::Exactly((1 << bits) + more)),
        3 => prop::sample::select(vec![-8, -2, -1, 1, 2, 8, 256]).prop_map(Value::More),
        1 => (-1..=1_i128).prop_map(Value::Length),
        2 => spot().prop_map(Value::Another),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let times = || prop::sample::select(vec![1, 2, 3, 10, 100, 1_000, 10_000, 100_000]);
    let words = vec((any::<Index>(), times()), 1..4);
    prop_oneof![
        12 => (spot(), value()).prop_map(|(at, value)| Change::Number(at, value)),
        2 => spot().prop_map(Change::Remove),
        3 => (spot(), times()).prop_map(|(at, times)| Change::Repeat(at, times)),
        2 => (spot(), spot()).prop_map(|(one, other)| Change::Swap(one, other)),
        3 => (spot(), times()).prop_map(|(at, times)| Change::Nest(at, times)),
        2 => (spot(), times()).prop_map(|(at, times)| Change::Grow(at, times)),
        4 => (spot(), words).prop_map(|(at, words)| Change::Words(at, words)),
        2 => (any::<Index>(), spot(), spot()).prop_map(|(file, from, to)| Change::Graft(file, from, to)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

impl Value {
    fn of(&self, field: Field, file: &[u8], fields: &[Field]) -> i128 {
        match self {
            Self::Exactly(value) => *value,
            Self::More(more) => field.read(file) + more,
            Self::Length(more) => file.len() as i128 + more,
            Self::Another(spot) => spot.of(fields).map_or(0, |field| field.read(file)),
        }
    }
}

impl Change {
    /// Does nothing where the file has no such thing.
    fn to(&self, file: &mut Vec<u8>, grammar: &Grammar, others: &[Vec<u8>]) {
        let anatomy = grammar.anatomy(file);
        // Nothing to be done is an empty list for every kind of change.
        let _ = self.attempt(file, &anatomy, grammar, others);
        file.truncate(LONGEST);
    }

    fn attempt(
        &self,
        file: &mut Vec<u8>,
        anatomy: &Anatomy,
        grammar: &Grammar,
        others: &[Vec<u8>],
    ) -> Option<()> {
        match self {
            Self::Number(at, value) => {
                let field = at.of(&anatomy.fields)?;
                let written = field.written(file, value.of(*field, file, &anatomy.fields));
                anatomy.replace(file, field.range(), &written);
            }
            Self::Remove(at) => anatomy.replace(file, at.of(&anatomy.parts)?.range.clone(), &[]),
            Self::Repeat(at, times) => {
                let range = at.of(&anatomy.parts)?.range.clone();
                let copies = repeated(&file[range.clone()], *times);
                anatomy.replace(file, range.end..range.end, &copies);
            }
            Self::Swap(one, other) => {
                let one = at_of(one, anatomy)?;
                let other = at_of(other, anatomy)?;
                swap(file, anatomy, one, other);
            }
            Self::Nest(at, times) => nest(file, anatomy, at.of(&anatomy.parts)?, *times),
            Self::Grow(at, times) => grow(file, anatomy, at.of(&anatomy.tables)?, *times),
            Self::Words(at, words) => {
                let at = at_of(at, anatomy)?.start;
                let text: Vec<u8> = words
                    .iter()
                    .filter(|_| !grammar.words.is_empty())
                    .flat_map(|(word, times)| repeated(word.get(grammar.words).as_bytes(), *times))
                    .take(MOST_ADDED)
                    .collect();
                anatomy.replace(file, at..at, &text);
            }
            Self::Graft(other, from, to) => {
                let other = other.get(others);
                let from = at_of(from, &grammar.anatomy(other))?;
                let to = at_of(to, anatomy)?;
                anatomy.replace(file, to, &other[from]);
            }
            Self::Flip(at, bits) if !file.is_empty() => *at.get_mut(file) ^= bits,
            Self::Cut(at) if !file.is_empty() => file.truncate(at.index(file.len())),
            Self::Flip(..) | Self::Cut(_) => {}
        }
        Some(())
    }
}

fn at_of(spot: &Spot, anatomy: &Anatomy) -> Option<Range<usize>> {
    spot.of(&anatomy.parts).map(|part| part.range.clone())
}

fn repeated(part: &[u8], times: usize) -> Vec<u8> {
    part.repeat(times.min(MOST_ADDED / part.len().max(1)))
}

fn swap(file: &mut Vec<u8>, anatomy: &Anatomy, one: Range<usize>, other: Range<usize>) {
    let (first, second) = match one.start < other.start {
        true => (one, other),
        false => (other, one),
    };
    if first.end > second.start {
        return;
    }
    let (head, tail) = (file[first.clone()].to_vec(), file[second.clone()].to_vec());
    // The later one first: the earlier one stays where it is.
    anatomy.replace(file, second, &head);
    anatomy.replace(file, first, &tail);
}

/// Puts a part into parts of its own kind.
fn nest(file: &mut Vec<u8>, anatomy: &Anatomy, part: &Part, times: usize) {
    let marks = part.head + part.tail;
    let times = times.min(MOST_ADDED / marks.max(1));
    let whole = &file[part.range.clone()];
    let (head, tail) = (&whole[..part.head], &whole[whole.len() - part.tail..]);
    let mut nested = Vec::with_capacity(whole.len() + times * marks);
    for level in (1..=times).rev() {
        let start = nested.len();
        nested.extend_from_slice(head);
        if let Some(size) = part.size
            && size.range().end <= part.content().start
        {
            let length = size.read(file) + (level * marks) as i128;
            let place = start + size.at - part.range.start;
            let written = size.written(file, length);
            nested[place..place + size.width].copy_from_slice(&written);
        }
    }
    nested.extend_from_slice(whole);
    nested.extend(tail.repeat(times));
    anatomy.replace(file, part.range.clone(), &nested);
}

/// Adds entries to a table, and to the count of them.
fn grow(file: &mut Vec<u8>, anatomy: &Anatomy, table: &Table, times: usize) {
    let entries = repeated(&file[table.entry.clone()], times);
    let added = entries.len() / table.entry.len().max(1);
    let count = table.count.read(file) + added as i128;
    let written = table.count.written(file, count);
    anatomy.replace(file, table.count.range(), &written);
    anatomy.replace(file, table.entry.end..table.entry.end, &entries);
}

/// How a file is made of a good one.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: Index,
    /// To the files that are packed in it.
    within: Vec<(Index, Change)>,
    changes: Vec<Change>,
    mended: bool,
}

/// Plans for a kind of file.
pub fn plans(kind: &Kind) -> impl Strategy<Value = Plan> {
    // Where files are packed, it is them that most of a reader's work is about.
    let packed = kind.members.is_some();
    let within = vec((any::<Index>(), change()), if packed { 0..5 } else { 0..1 });
    let changes = vec(change(), if packed { 0..3 } else { 1..5 });
    let mended = prop::bool::weighted(0.9);
    (any::<Index>(), within, changes, mended).prop_map(|(seed, within, changes, mended)| Plan {
        seed,
        within,
        changes,
        mended,
    })
}

impl Plan {
    /// The file, made of one of `seeds`.
    pub fn file(&self, kind: &Kind, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut file = self.seed.get(seeds).clone();
        if let Some(members) = &kind.members
            && !self.within.is_empty()
        {
            file = self.repacked(&file, members);
        }
        for change in &self.changes {
            change.to(&mut file, &kind.grammar, seeds);
        }
        match self.mended {
            true => (kind.mend)(file),
            false => file,
        }
    }

    fn repacked(&self, file: &[u8], members: &Members) -> Vec<u8> {
        let good = (members.unpack)(file);
        if good.is_empty() {
            return file.to_vec();
        }
        let mut changed = good.clone();
        for (member, change) in &self.within {
            change.to(member.get_mut(&mut changed), &members.grammar, &good);
        }
        (members.pack)(file, &changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box in a box. Each begins with its length: of what follows, and of all of the inner one.
    const FILE: &[u8] = &[4, 2, 7, 9, 5];

    fn walk(file: &[u8]) -> Anatomy {
        let part = |start: usize| {
            let length = usize::from(file[start]);
            Part {
                range: start..start + length + usize::from(start == 0),
                head: 1,
                tail: 0,
                size: Some(Field::new(start, 1, Coding::Big)),
            }
        };
        Anatomy {
            parts: vec![part(0), part(1)],
            tables: vec![Table {
                count: Field::new(4, 1, Coding::Big),
                entry: 2..3,
            }],
            ..Anatomy::default()
        }
    }

    #[test]
    fn what_states_a_length_stays_right() {
        let anatomy = walk(FILE);
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = FILE.to_vec();
            change(&mut file);
            file
        };
        let replaced = changed(&|file| anatomy.replace(file, 2..3, &[1, 1, 1]));
        assert_eq!(replaced, [6, 4, 1, 1, 1, 9, 5]);
        let nested = changed(&|file| nest(file, &anatomy, &anatomy.parts[1], 2));
        assert_eq!(nested, [6, 4, 3, 2, 7, 9, 5]);
        let grown = changed(&|file| grow(file, &anatomy, &anatomy.tables[0], 2));
        assert_eq!(grown, [6, 4, 7, 7, 7, 9, 7]);
        let swapped = changed(&|file| swap(file, &anatomy, 2..3, 3..4));
        assert_eq!(swapped, [4, 2, 9, 7, 5]);
    }

    #[test]
    fn any_plan_makes_a_file_that_is_not_much_longer() {
        let kind = Kind {
            grammar: Grammar {
                walk: text::walk,
                words: &["<a>", "</a>"],
            },
            members: None,
            mend: |file| file,
        };
        let seeds = [
            b"<b>1 [2 (3)]</b>\n".repeat(20),
            Vec::new(),
            vec![0xff; 100],
        ];
        crate::testing::fuzz::explore(&plans(&kind), |plan| {
            prop_assert!(plan.file(&kind, &seeds).len() <= LONGEST);
            Ok(())
        });
    }
}
