//! Pages as lines: without what stands on every page, in letters that can be searched.

use std::collections::HashMap;

use crate::ingest::outline::one_line;

/// Lines at the top and at the foot of a page that can be a running title or a number.
const MARGIN_LINES: usize = 2;

/// The lines of each page; empty ones end paragraphs.
pub fn of_pages(pages: &[String]) -> Vec<Vec<String>> {
    let mut pages: Vec<Vec<String>> = pages.iter().map(|page| lines(page)).collect();
    let repeated = repeated(&pages);
    for page in &mut pages {
        for at in margins(page) {
            if is_page_number(&page[at]) || repeated.contains(&shape(&page[at])) {
                page[at].clear();
            }
        }
    }
    pages.into_iter().map(close_up).collect()
}

fn lines(page: &str) -> Vec<String> {
    let lines = page.lines().map(|line| one_line(&folded(line)));
    lines.filter(|line| !is_of_contents(line)).collect()
}

/// A line of a table of contents, whose dots lead to a page number.
fn is_of_contents(line: &str) -> bool {
    let close = line.replace(' ', "");
    close.contains(".....") || close.contains("……")
}

/// Ligatures as the letters that they stand for. A soft hyphen at the end of a line parts a word.
fn folded(line: &str) -> String {
    let line = line.trim_end();
    let (line, hyphen) = match line.strip_suffix('\u{ad}') {
        Some(line) => (line, "-"),
        None => (line, ""),
    };
    let mut folded = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\u{fb00}' => folded.push_str("ff"),
            '\u{fb01}' => folded.push_str("fi"),
            '\u{fb02}' => folded.push_str("fl"),
            '\u{fb03}' => folded.push_str("ffi"),
            '\u{fb04}' => folded.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => folded.push_str("st"),
            '\u{2010}' | '\u{2011}' => folded.push('-'),
            other => folded.push(other),
        }
    }
    folded + hyphen
}

/// Places of the first and last lines that are not empty.
fn margins(page: &[String]) -> Vec<usize> {
    let filled: Vec<usize> = (0..page.len()).filter(|at| !page[*at].is_empty()).collect();
    let foot = filled
        .len()
        .saturating_sub(MARGIN_LINES)
        .max(MARGIN_LINES.min(filled.len()));
    let (top, rest) = filled.split_at(MARGIN_LINES.min(filled.len()));
    top.iter()
        .chain(&rest[foot - top.len()..])
        .copied()
        .collect()
}

/// A line whatever its numbers are.
fn shape(line: &str) -> String {
    line.chars()
        .filter(|character| !character.is_ascii_digit())
        .collect()
}

/// What stands at the margin of more than half of the pages, and of three at least.
fn repeated(pages: &[Vec<String>]) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for page in pages {
        let mut shapes: Vec<String> = margins(page).iter().map(|at| shape(&page[*at])).collect();
        shapes.sort_unstable();
        shapes.dedup();
        for shape in shapes {
            *counts.entry(shape).or_default() += 1;
        }
    }
    let often = |count: usize| count >= 3 && count * 2 > pages.len();
    counts
        .into_iter()
        // `Pasal 3` on top of many pages is no running title.
        .filter(|(shape, count)| often(*count) && shape.chars().count() > 8)
        .map(|(shape, _)| shape)
        .collect()
}

/// `12`, `- 12 -`, `Halaman 3 dari 10`, `3/10`.
fn is_page_number(line: &str) -> bool {
    let words = line.to_lowercase();
    let mut numbers = 0;
    for word in
        words.split(|character: char| character.is_whitespace() || "-–/|".contains(character))
    {
        match word {
            "" | "halaman" | "hal" | "hal." | "page" | "dari" | "of" => {}
            number if number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                numbers += 1
            }
            _ => return false,
        }
    }
    (1..=2).contains(&numbers)
}

/// Where the lines stand far apart, an empty one after each does not end a paragraph.
fn close_up(page: Vec<String>) -> Vec<String> {
    let filled = page.iter().filter(|line| !line.is_empty()).count();
    let spaced = page
        .windows(2)
        .filter(|pair| !pair[0].is_empty() && pair[1].is_empty())
        .count();
    if filled < 4 || spaced * 4 < filled * 3 {
        return page;
    }
    let longest = page
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut closed = Vec::with_capacity(page.len());
    for line in page.into_iter().filter(|line| !line.is_empty()) {
        // A line that ends early with a full stop ends its paragraph.
        let ends =
            line.ends_with(['.', ':', ';', '?', '!']) && line.chars().count() * 10 < longest * 9;
        closed.push(line);
        if ends {
            closed.push(String::new());
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_titles_and_page_numbers_go() {
        let pages: Vec<String> = (1..=4)
            .map(|page| format!("Peraturan Akademik ITB\nPasal {page}\n\nIsi ﬁnal halaman {page}.\nLagi.\n- {page} -"))
            .collect();
        let found = of_pages(&pages);
        let filled: Vec<&str> = found[1]
            .iter()
            .map(String::as_str)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(filled, ["Pasal 2", "Isi final halaman 2.", "Lagi."]);
    }

    #[test]
    fn short_pages_lose_nothing_twice() {
        for page in ["", "a", "a\nb", "a\nb\nc", "a\nb\nc\nd"] {
            assert_eq!(margins(&lines(page)).len(), page.lines().count());
        }
    }

    #[test]
    fn lines_that_stand_far_apart_are_one_paragraph() {
        let page = "Mahasiswa yang mengambil cuti akademik\n\ntidak membayar biaya pendidikan pada semester\n\n\
                    itu.\n\nPengajuan dilakukan sebelum semester\n\ndimulai.\n\n";
        let found = of_pages(&[page.to_owned()]).remove(0);
        let ends: Vec<usize> = (0..found.len())
            .filter(|at| found[*at].is_empty())
            .collect();
        assert_eq!(ends, [3, 6]);
    }
}
