//! The part of Markdown that documents use, as plain text that can be quoted and spoken.
//!
//! Not a Markdown renderer: headings, paragraphs, lists and tables are told apart, inline marks are dropped, everything
//! else stays as it was written.

/// What stands under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `None` for text before the first heading.
    pub heading: Option<String>,
    pub blocks: Vec<Block>,
}

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

/// The sections of a text in order; those without text are left out. A subheading is named after its parent too.
pub fn sections(text: &str) -> Vec<Section> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    done: Vec<Section>,
    /// Headings from level 2 down to the present one.
    path: Vec<(usize, String)>,
    blocks: Vec<Block>,
    open: Option<Block>,
    columns: Option<Vec<String>>,
    code: bool,
}

impl Reader {
    fn line(&mut self, raw: &str) {
        let line = raw.trim();
        if line.starts_with("```") {
            self.code = !self.code;
            return self.close_block();
        }
        if !line.starts_with('|') {
            self.columns = None;
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

    fn open_section(&mut self, level: usize, heading: String) {
        self.close_section();
        self.path.retain(|(above, _)| *above < level);
        if level > 1 {
            self.path.push((level, heading));
        }
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
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| inline(cell.trim()))
            .collect();
        if cells
            .iter()
            .all(|cell| cell.chars().all(|character| "-: ".contains(character)))
        {
            return;
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(cells);
            return;
        };
        let mut row = String::from("- ");
        for (at, cell) in cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.is_empty())
        {
            match columns.get(at) {
                Some(column) if at > 0 && !column.is_empty() => {
                    row.push_str(&format!("; {column}: {cell}"))
                }
                _ if at > 0 => row.push_str(&format!("; {cell}")),
                _ => row.push_str(cell),
            }
        }
        self.blocks.push(Block::Item(row));
    }

    fn close_block(&mut self) {
        self.blocks.extend(self.open.take());
    }

    fn close_section(&mut self) {
        self.close_block();
        if self.blocks.is_empty() {
            return;
        }
        let names: Vec<&str> = self
            .path
            .iter()
            .map(|(_, heading)| heading.as_str())
            .collect();
        let heading = (!names.is_empty()).then(|| names.join(" – "));
        self.done.push(Section {
            heading,
            blocks: std::mem::take(&mut self.blocks),
        });
    }

    fn finish(mut self) -> Vec<Section> {
        self.close_section();
        self.done
    }
}

fn heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let text = line[level..].strip_prefix(' ')?;
    (1..=6)
        .contains(&level)
        .then_some((level, plain_heading(text)?))
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
    let mut rest = text;
    while let Some(at) = rest.find(['[', '*', '`', '_', '!']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (written, used) = mark(rest, plain.chars().last());
        plain.push_str(written);
        rest = &rest[used..];
    }
    plain.push_str(rest);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a mark at the start of `rest` leaves behind, and how many bytes it takes.
fn mark(rest: &str, before: Option<char>) -> (&str, usize) {
    let first = &rest[..1];
    if first == "!" || first == "[" {
        return link(rest).unwrap_or((first, 1));
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

fn link(rest: &str) -> Option<(&str, usize)> {
    let opening = if rest.starts_with('!') { 2 } else { 1 };
    let label = rest
        .get(opening..)
        .filter(|_| rest[..opening].ends_with('['))?;
    let close = label.find(']')?;
    let target = label[close + 1..].strip_prefix('(')?;
    let end = target.find(')')?;
    Some((&label[..close], opening + close + 2 + end + 1))
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
