//! Which styles are headings.

use std::collections::{HashMap, HashSet};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::super::ReadError;

/// What a paragraph is by its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Title,
    /// From 1.
    Heading(u8),
}

#[derive(Default)]
pub struct Styles {
    roles: HashMap<String, Role>,
    lists: HashSet<String>,
    based_on: HashMap<String, String>,
}

impl Styles {
    /// Of `word/styles.xml`. The names of built-in styles are English in every language; their ids are not.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        let mut styles = Self::default();
        let mut reader = Reader::from_str(text);
        let mut id = String::new();
        loop {
            match reader.read_event().map_err(ReadError::broken)? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "style" => id = value(&tag, "w:styleId").unwrap_or_default(),
                    "name" => styles.set(&id, value(&tag, "w:val").and_then(|name| role(&name))),
                    "outlineLvl" => {
                        styles.set(&id, value(&tag, "w:val").and_then(|at| outline(&at)))
                    }
                    "numId" if value(&tag, "w:val").is_some_and(|list| list != "0") => {
                        styles.lists.insert(id.clone());
                    }
                    "basedOn" => {
                        if let Some(parent) = value(&tag, "w:val") {
                            styles.based_on.insert(id.clone(), parent);
                        }
                    }
                    _ => {}
                },
                Event::Eof => return Ok(styles),
                _ => {}
            }
        }
    }

    fn set(&mut self, id: &str, role: Option<Role>) {
        if let Some(role) = role {
            self.roles.entry(id.to_owned()).or_insert(role);
        }
    }

    pub fn role(&self, id: &str) -> Option<Role> {
        self.line(id).find_map(|id| self.roles.get(id)).copied()
    }

    /// Whether paragraphs of this style are items of a list.
    pub fn is_list(&self, id: &str) -> bool {
        self.line(id).any(|id| self.lists.contains(id))
    }

    /// A style and those that it is based on, which can be each other in a circle.
    fn line<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        const LONGEST: usize = 16;
        let next = |id: &&'a str| self.based_on.get(*id).map(String::as_str);
        std::iter::successors(Some(id), next).take(LONGEST)
    }
}

fn role(name: &str) -> Option<Role> {
    let name = name.to_lowercase();
    if name == "title" {
        return Some(Role::Title);
    }
    let level = name.strip_prefix("heading ")?.parse().ok()?;
    (1..=9).contains(&level).then_some(Role::Heading(level))
}

/// Counted from 0; 9 is body text.
pub fn outline(level: &str) -> Option<Role> {
    let level: u8 = level.parse().ok()?;
    (level < 9).then_some(Role::Heading(level + 1))
}

pub fn value(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}
