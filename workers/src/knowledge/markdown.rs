//! The part of Markdown that documents use, as plain text that can be quoted and spoken.
//!
//! Not a Markdown renderer: headings, paragraphs, lists and tables are told apart, inline marks are dropped, everything
//! else stays as it was written.

use super::headings::{self, Headings};

/// What stands under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `None` for text before the first heading.
    pub heading: Option<String>,
    pub blocks: Vec<Block>,
}

/// Bytes of a column's name that is said again in each row.
const LONGEST_COLUMN: usize = 120;

/// A paragraph, one item of a list, or one row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Paragraph(String),
    /// With its mark, `- ` or `3. `, so that a reader of the plain text still sees the list.
    Item(String),
    /// One record of a long table, `- column: cell; column: cell`. Unlike an item it is understood without its neighbours.
    Row(String),
}

impl Block {
    pub fn text(&self) -> &str {
        match self {
            Self::Paragraph(text) | Self::Item(text) | Self::Row(text) => text,
        }
    }
}

/// The first heading of the highest level, as a title.
pub fn title(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| plain_heading(line.strip_prefix("# ")?))
}

/// The sections of a text in order, under its own title. A subheading is named after its parent too; a heading without
/// text is text of the section above it.
pub fn sections(text: &str) -> Vec<Section> {
    sections_under(&title(text).unwrap_or_default(), text)
}

/// As [`sections`], for a text whose title is known: only a highest heading that repeats it names no section.
pub fn sections_under(title: &str, text: &str) -> Vec<Section> {
    let mut reader = Reader {
        title: title.to_owned(),
        ..Reader::default()
    };
    for line in text.lines() {
        reader.line(line);
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    title: String,
    /// The title stands in the text too.
    titled: bool,
    done: Vec<Section>,
    headings: Headings,
    blocks: Vec<Block>,
    open: Option<Block>,
    columns: Option<Columns>,
    code: bool,
}

/// The first row of a table, until it ends.
struct Columns {
    names: Vec<String>,
    /// A rule follows, which makes the row a head.
    ruled: bool,
    /// Those that have named a cell.
    used: Vec<bool>,
}

impl Reader {
    fn line(&mut self, raw: &str) {
        let line = raw.trim();
        if !line.starts_with('|') {
            self.close_table();
        }
        if is_fence(line) {
            self.code = !self.code;
            return self.close_block();
        }
        if let Some((level, heading)) = heading(line).filter(|_| !self.code) {
            return self.open_section(level, heading);
        }
        if line.is_empty() || is_rule(line) {
            return self.close_block();
        }
        if line.starts_with('|') {
            return self.table_row(line);
        }
        if let Some(item) = list_item(line) {
            self.close_block();
            self.open = Some(Block::Item(item));
            return;
        }
        self.continue_block(&inline(line.trim_start_matches("> ")));
    }

    fn open_section(&mut self, level: u8, heading: String) {
        self.close_section();
        let lone = if level == 1 && heading == self.title {
            self.titled = true;
            self.headings.close(level)
        } else {
            self.headings.open(level, heading)
        };
        headings::append(&mut self.done, lone);
    }

    fn continue_block(&mut self, text: &str) {
        match &mut self.open {
            Some(Block::Paragraph(open) | Block::Item(open) | Block::Row(open)) => {
                open.push(' ');
                open.push_str(text);
            }
            None => self.open = Some(Block::Paragraph(text.to_owned())),
        }
    }

    /// A row becomes an item `- cell; column: cell`, which can be searched, quoted and read out.
    fn table_row(&mut self, line: &str) {
        self.close_block();
        let cells: Vec<String> = cells(line).iter().map(|cell| inline(cell.trim())).collect();
        if is_table_rule(&cells) {
            if let Some(columns) = &mut self.columns {
                columns.ruled = true;
            }
            return;
        }
        if self.columns.as_ref().is_some_and(|columns| !columns.ruled) {
            // Without a rule the first row is one like the others.
            self.close_table();
            self.columns = Some(Columns {
                names: Vec::new(),
                ruled: true,
                used: Vec::new(),
            });
        }
        let Some(columns) = &mut self.columns else {
            self.columns = Some(Columns {
                used: vec![false; cells.len()],
                names: cells,
                ruled: false,
            });
            return;
        };
        self.blocks.push(Block::Item(columns.row(&cells)));
    }

    /// The names of columns without a cell stand for themselves.
    fn close_table(&mut self) {
        let Some(Columns { names, used, .. }) = self.columns.take() else {
            return;
        };
        let unused = names.into_iter().zip(used);
        let unused: Vec<String> = unused
            .filter(|(name, used)| !used && !name.is_empty())
            .map(|(name, _)| name)
            .collect();
        if !unused.is_empty() {
            let item = format!("- {}", unused.join("; "));
            self.blocks.push(Block::Item(item));
        }
    }

    fn close_block(&mut self) {
        self.blocks.extend(self.open.take());
    }

    fn close_section(&mut self) {
        self.close_block();
        if self.blocks.is_empty() {
            return;
        }
        self.done.push(Section {
            heading: self.headings.name(),
            blocks: std::mem::take(&mut self.blocks),
        });
    }

    fn finish(mut self) -> Vec<Section> {
        self.close_table();
        self.close_section();
        let lone = self.headings.close(1);
        headings::append(&mut self.done, lone);
        if self.done.is_empty() && self.titled {
            self.done.push(Section {
                heading: None,
                blocks: vec![Block::Paragraph(self.title)],
            });
        }
        self.done
    }
}

impl Columns {
    /// `- cell; column: cell`: the first cell names its row.
    fn row(&mut self, cells: &[String]) -> String {
        let filled = cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.is_empty());
        let parts: Vec<String> = filled
            .map(|(at, cell)| match self.name_for(at) {
                Some(column) => format!("{column}: {cell}"),
                None => cell.clone(),
            })
            .collect();
        format!("- {}", parts.join("; "))
    }

    /// What the cell at `at` is said to be. One text in the head, repeated in a million rows, would be more than any
    /// memory holds: a name that is too long stands for itself, once.
    fn name_for(&mut self, at: usize) -> Option<&str> {
        let name = self.names.get(at)?;
        if name.len() > LONGEST_COLUMN {
            return None;
        }
        self.used[at] = true;
        (at > 0 && !name.is_empty()).then_some(name)
    }
}

/// The cells of a row; `\|` is a bar in one of them.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.strip_prefix('|').unwrap_or(line).chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = character == '\\' && characters.next_if_eq(&'|').is_some();
        match cells.last_mut() {
            Some(cell) if escaped => cell.push('|'),
            Some(cell) if character != '|' => cell.push(character),
            _ => cells.push(String::new()),
        }
    }
    if cells.len() > 1 {
        cells.pop_if(|last| last.is_empty());
    }
    cells
}

fn is_table_rule(cells: &[String]) -> bool {
    let is_rule = |cell: &String| cell.chars().all(|character| "-: ".contains(character));
    cells.iter().all(is_rule)
}

/// The beginning or the end of code, and not code in one line.
fn is_fence(line: &str) -> bool {
    line.strip_prefix("```")
        .is_some_and(|language| !language.trim_start_matches('`').contains("```"))
}

fn heading(line: &str) -> Option<(u8, String)> {
    let marks = line.bytes().take_while(|byte| *byte == b'#').count();
    let text = line[marks..].strip_prefix(' ')?;
    let level = u8::try_from(marks)
        .ok()
        .filter(|level| (1..=6).contains(level))?;
    Some((level, plain_heading(text)?))
}

fn plain_heading(text: &str) -> Option<String> {
    let plain = inline(text.trim().trim_end_matches('#').trim());
    (!plain.is_empty()).then_some(plain)
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3
        && (line.bytes().all(|byte| byte == b'-') || line.bytes().all(|byte| byte == b'*'))
}

/// `- text` or `3. text` of a list line; other bullet characters and `3)` are brought to these two.
fn list_item(line: &str) -> Option<String> {
    let bullet = line
        .strip_prefix(['-', '*', '+', '•', '◦', '▪'])
        .and_then(|rest| rest.strip_prefix(' '));
    if let Some(rest) = bullet {
        return Some(format!("- {}", inline(rest.trim())));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 2 {
        return None;
    }
    let rest = line[digits..].strip_prefix(['.', ')'])?.strip_prefix(' ')?;
    Some(format!("{}. {}", &line[..digits], inline(rest.trim())))
}

/// Drops emphasis and code marks, and keeps the text of links.
fn inline(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut links = Links::of(text);
    let mut at = 0;
    while let Some(before) = text[at..].find(['[', '*', '`', '_', '!']) {
        plain.push_str(&text[at..at + before]);
        at += before;
        let (written, used) = links
            .at(at)
            .unwrap_or_else(|| mark(&text[at..], plain.chars().last()));
        plain.push_str(written);
        at += used;
    }
    plain.push_str(&text[at..]);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a mark at the start of `rest` leaves behind, and how many bytes it takes.
fn mark(rest: &str, before: Option<char>) -> (&str, usize) {
    let first = &rest[..1];
    if first == "!" || first == "[" {
        return (first, 1);
    }
    let run = rest
        .bytes()
        .take_while(|byte| *byte == rest.as_bytes()[0])
        .count();
    let after = rest[run..].chars().next();
    let inside_word =
        before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
    let loose = before.is_none_or(char::is_whitespace) && after.is_none_or(char::is_whitespace);
    let literal =
        loose || (first == "_" && inside_word) || (first == "*" && run == 1 && inside_word);
    if literal {
        (&rest[..run], run)
    } else {
        ("", run)
    }
}

/// The links of a text, asked for from its start to its end.
struct Links<'a> {
    text: &'a str,
    labels: Ends,
    targets: Ends,
}

impl<'a> Links<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            labels: Ends::new(']'),
            targets: Ends::new(')'),
        }
    }

    /// The label of the link that begins at `at`, and the bytes of all of it.
    fn at(&mut self, at: usize) -> Option<(&'a str, usize)> {
        let rest = &self.text[at..];
        let opening = ["[", "!["]
            .into_iter()
            .find(|mark| rest.starts_with(mark))?;
        let label = at + opening.len();
        let label_end = self.labels.after(self.text, label)?;
        let target = label_end + 1;
        if !self.text[target..].starts_with('(') {
            return None;
        }
        let target_end = self.targets.after(self.text, target)?;
        Some((&self.text[label..label_end], target_end + 1 - at))
    }
}

/// Where the next closing mark stands. The same one ends all that is opened before it, so that a text is searched once
/// however much is opened in it.
struct Ends {
    mark: char,
    /// `None` until it is looked for; the length of the text where there are no more.
    next: Option<usize>,
}

impl Ends {
    fn new(mark: char) -> Self {
        Self { mark, next: None }
    }

    /// The first one from `from` on, which is not less than in the call before.
    fn after(&mut self, text: &str, from: usize) -> Option<usize> {
        let known = self.next.filter(|next| *next >= from);
        let next = known.unwrap_or_else(|| {
            let found = text[from..].find(self.mark);
            found.map_or(text.len(), |found| from + found)
        });
        self.next = Some(next);
        (next < text.len()).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_paragraphs_lists_and_tables_become_plain_blocks() {
        let text = "# Judul\nPembuka\nlanjut.\n\n## Syarat\n\nSyaratnya:\n\n- **KTM** asli\n  yang berlaku\n* `formulir`\n\n\
                    ### Biaya\n| Jenjang | UKT |\n|---|---|\n| S1 | Rp1 |\n| S2 | Rp2 |\n\n1) Satu\n2. Dua\n";
        let found = sections(text);
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[0].heading.clone(), found[0].blocks[0].text()),
            (None, "Pembuka lanjut.")
        );
        assert_eq!(found[1].heading.as_deref(), Some("Syarat"));
        let lines: Vec<&str> = found[1].blocks.iter().map(Block::text).collect();
        assert_eq!(
            lines,
            ["Syaratnya:", "- KTM asli yang berlaku", "- formulir"]
        );
        assert_eq!(found[2].heading.as_deref(), Some("Syarat – Biaya"));
        let lines: Vec<&str> = found[2].blocks.iter().map(Block::text).collect();
        assert_eq!(
            lines,
            ["- S1; UKT: Rp1", "- S2; UKT: Rp2", "1. Satu", "2. Dua"]
        );
    }

    #[test]
    fn a_heading_or_a_table_that_says_it_all_is_kept_as_text() {
        let seen = |text: &str| -> Vec<String> {
            let found = sections(text);
            found
                .iter()
                .flat_map(|section| {
                    let heading = section.heading.as_deref().unwrap_or("");
                    let blocks = section.blocks.iter();
                    blocks.map(move |block| format!("{heading}|{}", block.text()))
                })
                .collect()
        };
        for (text, expected) in [
            (
                "# Pejabat\n## Kepala UPT: Dr. Anisa\n## Wakil: Budi\n## Kontak\nLantai 2.\n## Penutup",
                vec![
                    "|Kepala UPT: Dr. Anisa",
                    "|Wakil: Budi",
                    "Kontak|Lantai 2.",
                    "|Penutup",
                ],
            ),
            (
                "## A\n### Apa B?\n### Apa C?\nYa.",
                vec!["A|Apa B?", "A – Apa C?|Ya."],
            ),
            (
                "# Judul\nIsi.\n# Lain\nIsi lagi.",
                vec!["|Isi.", "Lain|Isi lagi."],
            ),
            ("# Kantor tutup 5 Mei", vec!["|Kantor tutup 5 Mei"]),
            (
                "| Jenjang | UKT |\n|---|---|\n\nIsi.",
                vec!["|- Jenjang; UKT", "|Isi."],
            ),
            (
                "| Nama | Pilihan |\n|---|---|\n| UKT | A\\|B |\n| SPP | C\\|",
                vec!["|- UKT; Pilihan: A|B", "|- SPP; Pilihan: C|"],
            ),
            ("```satu baris``` saja", vec!["|satu baris saja"]),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }

    #[test]
    fn inline_marks_go_and_plain_characters_stay() {
        for (text, plain) in [
            (
                "**tebal** dan *miring* dan _garis_",
                "tebal dan miring dan garis",
            ),
            ("[SIX](https://six.itb.ac.id) di sini", "SIX di sini"),
            ("![logo](a.png)", "logo"),
            ("nama_berkas dan 2 * 3", "nama_berkas dan 2 * 3"),
            ("awas! [1] (catatan)", "awas! [1] (catatan)"),
            ("`kode`", "kode"),
        ] {
            assert_eq!(inline(text), plain, "{text}");
        }
    }
}
