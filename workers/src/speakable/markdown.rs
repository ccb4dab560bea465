//! Markdown taken off: what stays is prose with a stop after every block.

mod inline;

/// Lines become sentences where the layout separated them.
pub(super) fn strip(text: &str) -> String {
    let mut prose = Prose::default();
    prose.text.reserve(text.len());
    let mut fenced = false;
    for line in text.lines().map(str::trim) {
        if is_fence(line) {
            fenced = !fenced;
            prose.close_block();
            continue;
        }
        if line.is_empty() || is_ruler(line) {
            prose.close_block();
            continue;
        }
        let block = block(line);
        if block.starts || fenced {
            prose.close_block();
        }
        prose.open = true;
        inline::strip(block.text, &mut prose.text);
        if block.ends {
            prose.close_block();
        }
        prose.text.push(' ');
    }
    prose.text
}

/// What is written so far.
#[derive(Default)]
struct Prose {
    text: String,
    /// Something may have been written since a block was closed last.
    open: bool,
}

impl Prose {
    /// Ends a block with a full stop. What was looked at is not left to be looked at again: marks and spaces at the end
    /// may be many, and so may the lines after them.
    fn close_block(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let text = self.text.trim_end();
        let words = text.trim_end_matches(['"', ')', '\'']);
        let (length, stop) = match words.chars().next_back() {
            None => (0, ""),
            Some(c) if ".!?:;,…".contains(c) => (text.len(), " "),
            Some(_) => (text.len(), ". "),
        };
        self.text.truncate(length);
        self.text.push_str(stop);
    }
}

struct Block<'a> {
    text: &'a str,
    /// Whether the line does not go on with the one before.
    starts: bool,
    /// Whether the next line does not go on with this one.
    ends: bool,
}

fn block(line: &str) -> Block<'_> {
    let line = line.trim_start_matches(['>', ' ']);
    if let Some(text) = heading(line) {
        return Block {
            text,
            starts: true,
            ends: true,
        };
    }
    if line.starts_with('|') {
        return Block {
            text: line.trim_matches(['|', ' ']),
            starts: true,
            ends: true,
        };
    }
    match item(line) {
        Some(text) => Block {
            text,
            starts: true,
            ends: false,
        },
        None => Block {
            text: line,
            starts: is_numbered(line),
            ends: false,
        },
    }
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim_matches(['#', ' ']))
}

fn item(line: &str) -> Option<&str> {
    let text = line.strip_prefix(['-', '*', '+', '•', '–'])?;
    let text = text
        .strip_prefix(' ')
        .or_else(|| line.strip_prefix('•'))?
        .trim_start();
    let task = ["[ ] ", "[x] ", "[X] "]
        .iter()
        .find_map(|tick| text.strip_prefix(tick));
    Some(task.unwrap_or(text))
}

/// "1. Daftar": the number is worth hearing, so it stays.
fn is_numbered(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    (1..=3).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") "))
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// A thematic break, an underline of a heading or of a table's head.
fn is_ruler(line: &str) -> bool {
    line.len() >= 2
        && line.bytes().all(|byte| b"-=*_|: ".contains(&byte))
        && !line.starts_with(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_words_stay() {
        let table = [
            (
                "# Judul\nIsi **tebal** dan *miring*.",
                "Judul. Isi tebal dan miring.",
            ),
            ("- satu\n- dua\n\n* tiga", "satu. dua. tiga"),
            ("1. Daftar\n2. Bayar", "1. Daftar. 2. Bayar"),
            ("baris satu\nbaris dua", "baris satu baris dua"),
            (
                "Lihat [situs ITB](https://itb.ac.id/a_(b)) ya",
                "Lihat situs ITB ya",
            ),
            ("![logo](x.png) teks", "logo teks"),
            ("```rust\nkode()\n```\nakhir", "kode(). akhir"),
            ("| A | B |\n|---|---|\n| 1 | 2 |", "A , B. 1 , 2."),
            ("> kutipan\n---\nlanjut", "kutipan. lanjut"),
            (
                "Biaya naik [1][2], lihat [3, 4] dan [^5].",
                "Biaya naik, lihat dan.",
            ),
            ("teks【1】 akhir", "teks akhir"),
            (
                "a<br>b <b>c</b> <https://itb.ac.id>",
                "a b c https://itb.ac.id",
            ),
            ("snake_case _miring_ __tebal__", "snake_case miring tebal"),
            ("2 * 3 dan 2*3 \\*bintang\\*", "2 × 3 dan 2×3 bintang"),
            ("x < 5 dan y > 3", "x < 5 dan y > 3"),
            ("[catatan] dan [belum tutup", "catatan dan belum tutup"),
        ];
        for (text, prose) in table {
            let stripped = strip(text);
            let folded: Vec<&str> = stripped.split_whitespace().collect();
            assert_eq!(folded.join(" "), prose, "{text:?}");
        }
    }
}
