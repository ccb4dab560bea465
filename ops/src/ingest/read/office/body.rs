//! The text of a Word document, paragraph by paragraph.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use workers::knowledge::markdown::Section;

use super::super::ReadError;
use super::styles::{Role, Styles, outline, value};
use crate::ingest::{
    articles,
    outline::{Outline, one_line},
};

pub struct Body {
    styles: Styles,
    outline: Outline,
    /// What the properties of the document name it.
    named: Option<String>,
    title: Option<String>,
    paragraph: Paragraph,
    tables: Vec<Table>,
    /// Whether what goes by is text to be read.
    in_text: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    role: Option<Role>,
    /// Whether it is an item of a list; by its style when nothing else says so.
    listed: Option<bool>,
}

#[derive(Default)]
struct Table {
    columns: Option<Vec<String>>,
    /// Whether a row has been named after the columns.
    used: bool,
    cells: Vec<String>,
    cell: String,
}

impl Body {
    pub fn new(styles: Styles, named: Option<String>) -> Self {
        Self {
            styles,
            outline: Outline::default(),
            named,
            title: None,
            paragraph: Paragraph::default(),
            tables: Vec::new(),
            in_text: false,
        }
    }

    /// The title, and the sections.
    pub fn read(mut self, text: &str) -> Result<(Option<String>, Vec<Section>), ReadError> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(ReadError::broken)? {
                // The same once more, for programs that know less.
                Event::Start(tag) if tag.local_name().as_ref() == "Fallback" => {
                    let end = tag.to_end().into_owned();
                    reader.read_to_end(end.name()).map_err(ReadError::broken)?;
                }
                Event::Start(tag) => self.open(&tag),
                Event::Empty(tag) => self.mark(&tag),
                Event::End(tag) => self.close(tag.local_name().as_ref()),
                Event::Eof => break,
                event if self.in_text => push_text(&event, &mut self.paragraph.text),
                _ => {}
            }
        }
        Ok((self.named.or(self.title), self.outline.finish()))
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "p" => self.end_paragraph(),
            "t" => self.in_text = true,
            "tbl" => {
                self.end_paragraph();
                self.tables.push(Table::default());
            }
            _ => self.mark(tag),
        }
    }

    fn mark(&mut self, tag: &BytesStart<'_>) {
        let value = || value(tag, "w:val");
        match tag.local_name().as_ref() {
            "tab" | "br" | "cr" => self.paragraph.text.push(' '),
            "noBreakHyphen" => self.paragraph.text.push('-'),
            "pStyle" => {
                let style = value().unwrap_or_default();
                self.paragraph.role = self.styles.role(&style);
                self.paragraph.listed = Some(self.styles.is_list(&style));
            }
            "outlineLvl" => {
                let role = value().and_then(|level| outline(&level));
                self.paragraph.role = self.paragraph.role.or(role);
            }
            // The number 0 takes a paragraph out of the list of its style.
            "numId" => self.paragraph.listed = value().map(|list| list != "0"),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tc" => {
                self.end_paragraph();
                if let Some(table) = self.tables.last_mut() {
                    let cell = std::mem::take(&mut table.cell);
                    table.cells.push(one_line(&cell));
                }
            }
            "tr" => self.end_row(),
            "tbl" => self.end_table(),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let Paragraph { text, role, listed } = std::mem::take(&mut self.paragraph);
        let text = one_line(&text);
        if text.is_empty() {
            return;
        }
        if let Some(table) = self.tables.last_mut() {
            table.cell.push(' ');
            return table.cell.push_str(&text);
        }
        match role {
            Some(Role::Title) if self.title.is_none() && self.is_title(&text) => {
                self.outline.title();
                self.title = Some(text);
            }
            Some(Role::Title) => self.outline.heading(1, &text),
            Some(Role::Heading(level)) => self.outline.heading(level, &text),
            None if listed == Some(true) => self.outline.item(&format!("- {text}")),
            None => match articles::level(&text) {
                Some(level) => self.outline.heading(9 + level, &text),
                None => self.outline.paragraph(&text),
            },
        }
    }

    fn is_title(&self, text: &str) -> bool {
        let named = self.named.as_deref().map(str::to_lowercase);
        named.is_none_or(|named| named.contains(&text.to_lowercase()))
    }

    /// The columns of a table without another row are all that it says.
    fn end_table(&mut self) {
        if let Some(Table {
            columns: Some(columns),
            used: false,
            ..
        }) = self.tables.pop()
            && columns.iter().any(|column| !column.is_empty())
        {
            self.outline.row(&[], &columns);
        }
    }

    /// The first row names the columns, the first cell of another names its row.
    fn end_row(&mut self) {
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        let cells = std::mem::take(&mut table.cells);
        match &table.columns {
            None => {
                // A table of one column is a frame around text.
                if let [text] = cells.as_slice() {
                    return self.outline.paragraph(text);
                }
                table.columns = Some(cells);
            }
            Some(columns) if cells.iter().any(|cell| !cell.is_empty()) => {
                table.used = true;
                self.outline.row(columns, &cells);
            }
            Some(_) => {}
        }
    }
}

/// The text of an event, with the five entities that XML has by itself and characters by number.
pub fn push_text(event: &Event<'_>, text: &mut String) {
    match event {
        Event::Text(found) => text.push_str(&found.xml10_content()),
        Event::CData(found) => text.push_str(&found.xml10_content()),
        Event::GeneralRef(reference) => {
            let named = match reference.as_ref() {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => None,
            };
            text.extend(named.or_else(|| reference.resolve_char_ref().ok().flatten()));
        }
        _ => {}
    }
}
