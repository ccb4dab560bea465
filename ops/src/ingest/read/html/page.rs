//! What is seen of a page while its tags go by.

use std::collections::BTreeMap;

use workers::knowledge::markdown::Section;

use crate::ingest::{
    articles,
    outline::{Outline, one_line},
};

/// What of a page is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What stands in `<main>`.
    Main,
    /// All but menus, asides and feet.
    Body,
    Everything,
}

const INVISIBLE: &[&str] = &[
    "script", "style", "noscript", "template", "svg", "iframe", "button", "select", "object",
    "canvas",
];
const AROUND: &[&str] = &["nav", "footer", "aside"];
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "input", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "time", "tt", "u", "var", "wbr", "html", "body", "head", "meta", "link",
];

/// Bytes of the title, which headings are compared with.
const LONGEST_TITLE: usize = 1_000;

/// Elements without an end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// Elements that the next one of their kind ends, or the end of what they stand in (HTML, section 13.1.2.4).
const OPEN_ENDED: &[&str] = &[
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option",
];

/// The element that hides what is in it.
struct Hiding {
    name: String,
    /// How often an element of its name is open.
    depth: usize,
    /// How many elements that need an end are open in it.
    inside: usize,
}

impl Hiding {
    /// Whether the element ends without an end of its own.
    fn is_ended_by(&self, opened: Option<&str>) -> bool {
        OPEN_ENDED.contains(&self.name.as_str())
            && self.inside == 0
            && opened.is_none_or(|opened| opened == self.name)
    }

    fn open(&mut self, name: &str) {
        self.depth += usize::from(self.name == name);
        let needs_end = !OPEN_ENDED.contains(&name) && !VOID.contains(&name);
        self.inside += usize::from(needs_end);
    }

    fn close(&mut self, name: &str) {
        self.depth -= usize::from(self.name == name);
        if !OPEN_ENDED.contains(&name) {
            self.inside = self.inside.saturating_sub(1);
        }
    }
}

pub struct Page {
    extent: Extent,
    outline: Outline,
    title: String,
    first_heading: Option<String>,
    url: Option<String>,
    in_title: bool,
    main: usize,
    hidden: Option<Hiding>,
    open: String,
    kind: Kind,
    lists: Vec<List>,
    tables: Vec<Table>,
    seen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Heading(u8),
    Item,
}

#[derive(Default)]
struct List {
    /// Of the next item, in a list that is counted.
    number: Option<u32>,
    mark: String,
}

#[derive(Default)]
struct Table {
    columns: Vec<String>,
    cells: Vec<String>,
    /// Whether the row so far is of headings alone.
    headings: bool,
    in_cell: bool,
    /// Whether a row has been named after the columns.
    used: bool,
}

impl Page {
    pub fn new(extent: Extent) -> Self {
        Self {
            extent,
            outline: Outline::default(),
            title: String::new(),
            first_heading: None,
            url: None,
            in_title: false,
            main: 0,
            hidden: None,
            open: String::new(),
            kind: Kind::Paragraph,
            lists: Vec::new(),
            tables: Vec::new(),
            seen: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.seen && self.open.trim().is_empty() && self.tables.is_empty()
    }

    pub fn open(&mut self, name: &str, attributes: &BTreeMap<String, String>, closed: bool) {
        if let Some(hiding) = &mut self.hidden {
            if !hiding.is_ended_by(Some(name)) {
                if !closed {
                    hiding.open(name);
                }
                return;
            }
            self.hidden = None;
        }
        if self.hides(name, attributes) {
            if !closed && !VOID.contains(&name) {
                if !INLINE.contains(&name) && !INVISIBLE.contains(&name) {
                    self.boundary();
                }
                self.hidden = Some(Hiding {
                    name: name.to_owned(),
                    depth: 1,
                    inside: 0,
                });
            }
            return;
        }
        match name {
            "title" => self.in_title = self.title.is_empty(),
            "link" | "meta" => self.address(attributes),
            "main" => {
                self.flush();
                self.main += 1;
            }
            "br" => self.open.push(' '),
            "li" => self.item(),
            "ul" | "menu" => self.list(None),
            "ol" => {
                let start = attributes.get("start").and_then(|start| start.parse().ok());
                self.list(Some(start.unwrap_or(1)));
            }
            "table" => {
                self.flush();
                self.tables.push(Table::default());
            }
            "tr" => self.end_row(),
            "td" | "th" => self.cell(name == "th"),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.boundary();
                if self.tables.last().is_none_or(|table| !table.in_cell) {
                    self.kind = Kind::Heading(name.as_bytes()[1] - b'0');
                }
            }
            _ if INLINE.contains(&name) => {}
            _ => self.boundary(),
        }
    }

    fn hides(&self, name: &str, attributes: &BTreeMap<String, String>) -> bool {
        INVISIBLE.contains(&name)
            || is_hidden(name, attributes)
            || (self.extent != Extent::Everything && AROUND.contains(&name))
    }

    pub fn close(&mut self, name: &str) {
        if let Some(hiding) = &mut self.hidden {
            if hiding.name == name || !hiding.is_ended_by(None) {
                hiding.close(name);
                if hiding.depth == 0 {
                    self.hidden = None;
                }
                return;
            }
            self.hidden = None;
        }
        match name {
            "title" => self.in_title = false,
            "main" => {
                self.flush();
                self.main = self.main.saturating_sub(1);
            }
            "ul" | "ol" | "menu" => {
                self.flush();
                self.lists.pop();
            }
            "td" | "th" => self.end_cell(),
            "tr" => self.end_row(),
            "table" => {
                self.end_row();
                self.end_columns();
                self.tables.pop();
            }
            _ if INLINE.contains(&name) => {}
            _ => self.boundary(),
        }
    }

    pub fn text(&mut self, text: &str) {
        if self.in_title {
            let left = LONGEST_TITLE.saturating_sub(self.title.len());
            self.title.push_str(&text[..text.floor_char_boundary(left)]);
        } else if self.hidden.is_none() && (self.extent != Extent::Main || self.main > 0) {
            self.open.push_str(text);
        }
    }

    fn address(&mut self, attributes: &BTreeMap<String, String>) {
        let of = |name: &str| attributes.get(name).map(String::as_str);
        let canonical = of("rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"));
        let found = if canonical { of("href") } else { of("content") };
        let shared = of("property") == Some("og:url");
        let Some(url) = found.filter(|url| url.starts_with("http")) else {
            return;
        };
        // What the page itself calls its address comes first.
        if canonical || (shared && self.url.is_none()) {
            self.url = Some(url.trim().to_owned());
        }
    }

    fn list(&mut self, number: Option<u32>) {
        self.flush();
        self.lists.push(List {
            number,
            mark: String::new(),
        });
    }

    fn item(&mut self) {
        self.flush();
        if let Some(list) = self.lists.last_mut() {
            list.mark = match &mut list.number {
                Some(number) => {
                    *number = number.saturating_add(1);
                    format!("{}.", *number - 1)
                }
                None => "-".into(),
            };
        }
        self.kind = Kind::Item;
    }

    fn cell(&mut self, heading: bool) {
        self.end_cell();
        if let Some(table) = self.tables.last_mut() {
            table.headings = heading && (table.headings || table.cells.is_empty());
            table.in_cell = true;
        }
    }

    fn end_cell(&mut self) {
        match self.tables.last_mut() {
            Some(table) if table.in_cell => {
                table.in_cell = false;
                table.cells.push(one_line(&std::mem::take(&mut self.open)));
            }
            // A caption, or text that is astray between cells.
            _ => self.flush(),
        }
    }

    fn end_row(&mut self) {
        self.end_cell();
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        let cells = std::mem::take(&mut table.cells);
        if std::mem::take(&mut table.headings) {
            self.end_columns();
            if let Some(table) = self.tables.last_mut() {
                table.columns = cells;
                table.used = false;
            }
        } else if cells.iter().any(|cell| !cell.is_empty()) {
            table.used = true;
            self.seen = true;
            self.outline.row(&table.columns, &cells);
        }
    }

    /// Headings without a row under them are all that the table, or its part, says.
    fn end_columns(&mut self) {
        let Some(table) = self.tables.last_mut().filter(|table| !table.used) else {
            return;
        };
        let columns = std::mem::take(&mut table.columns);
        if columns.iter().any(|column| !column.is_empty()) {
            self.seen = true;
            self.outline.row(&[], &columns);
        }
    }

    /// The end of a block, which inside of a cell is no more than a space.
    fn boundary(&mut self) {
        if self.tables.last().is_some_and(|table| table.in_cell) {
            self.open.push(' ');
        } else {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let text = one_line(&std::mem::take(&mut self.open));
        if text.is_empty() {
            return;
        }
        self.seen = true;
        match std::mem::replace(&mut self.kind, Kind::Paragraph) {
            Kind::Heading(1) if self.first_heading.is_none() && self.is_title(&text) => {
                self.outline.title();
                self.first_heading = Some(text);
            }
            Kind::Heading(level) => self.outline.heading(level, &text),
            Kind::Item => {
                let mark = self.lists.last().map_or("-", |list| list.mark.as_str());
                self.outline.item(&format!("{mark} {text}"));
            }
            Kind::Paragraph => match articles::level(&text) {
                Some(level) => self.outline.heading(6 + level, &text),
                None => self.outline.paragraph(&text),
            },
        }
    }

    fn is_title(&self, text: &str) -> bool {
        let title = one_line(&self.title).to_lowercase();
        title.is_empty() || title.contains(&text.to_lowercase())
    }

    /// The title, the address and the sections.
    pub fn finish(mut self) -> (Option<String>, Option<String>, Vec<Section>) {
        self.end_row();
        self.end_columns();
        self.flush();
        let title = one_line(&self.title);
        // A site puts its own name around the title of the page.
        let title = match self.first_heading {
            Some(heading) => heading,
            _ => title,
        };
        let sections = self.outline.finish();
        ((!title.is_empty()).then_some(title), self.url, sections)
    }
}

/// Whether an element is not shown. The page as a whole can be hidden until a script has run.
fn is_hidden(name: &str, attributes: &BTreeMap<String, String>) -> bool {
    let of = |name: &str| attributes.get(name).map(|value| value.to_ascii_lowercase());
    let style: String = of("style").unwrap_or_default();
    let style: String = style.split_whitespace().collect();
    !matches!(name, "html" | "body")
        && (of("hidden").is_some_and(|value| value != "until-found")
            || of("aria-hidden").is_some_and(|value| value == "true")
            || style.contains("display:none"))
}
