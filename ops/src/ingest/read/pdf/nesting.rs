//! What in a PDF can lead in circles, where `pdf-extract` would follow it until the stack is used up.

use std::collections::HashMap;

use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};

use super::super::ReadError;

/// Forms within forms, and nodes of the page tree above a page.
const DEEPEST: usize = 64;

/// Takes out the pictures, which would be read as text, and refuses what has no end.
pub fn prepare(pdf: &mut Document) -> Result<(), ReadError> {
    for object in pdf.objects.values_mut() {
        if let Object::Stream(stream) = object
            && is_of_kind(stream, b"Image")
        {
            stream.dict.remove(b"Filter");
            stream.dict.remove(b"DecodeParms");
            stream.set_content(Vec::new());
        }
    }
    check_parents(pdf)?;
    let mut depths = HashMap::new();
    for id in pdf.objects.keys() {
        depth(pdf, *id, DEEPEST, &mut depths)?;
    }
    Ok(())
}

fn endless() -> ReadError {
    ReadError::Broken("its parts hold each other without end".into())
}

fn is_of_kind(stream: &Stream, kind: &[u8]) -> bool {
    let subtype = stream.dict.get(b"Subtype").and_then(Object::as_name);
    subtype.is_ok_and(|subtype| subtype == kind)
}

fn check_parents(pdf: &Document) -> Result<(), ReadError> {
    for page in pdf.page_iter() {
        let mut node = page;
        let mut above = 0;
        while let Some(parent) = parent(pdf, node) {
            node = parent;
            above += 1;
            if above > DEEPEST {
                return Err(endless());
            }
        }
    }
    Ok(())
}

fn parent(pdf: &Document, node: ObjectId) -> Option<ObjectId> {
    let node = pdf.get_dictionary(node).ok()?;
    node.get(b"Parent").ok()?.as_reference().ok()
}

/// How deep forms are nested in the form `id`, which is itself at most `left` deep in others.
fn depth(
    pdf: &Document,
    id: ObjectId,
    left: usize,
    known: &mut HashMap<ObjectId, usize>,
) -> Result<usize, ReadError> {
    if let Some(depth) = known.get(&id) {
        return if *depth > left {
            Err(endless())
        } else {
            Ok(*depth)
        };
    }
    let Some(form) = form(pdf, id) else {
        return Ok(0);
    };
    let left = left.checked_sub(1).ok_or_else(endless)?;
    let mut deepest = 0;
    for inner in inner_forms(pdf, form)? {
        deepest = deepest.max(1 + depth(pdf, inner, left, known)?);
    }
    known.insert(id, deepest);
    Ok(deepest)
}

fn form(pdf: &Document, id: ObjectId) -> Option<&Stream> {
    let stream = pdf.objects.get(&id)?.as_stream().ok()?;
    is_of_kind(stream, b"Form").then_some(stream)
}

fn inner_forms(pdf: &Document, form: &Stream) -> Result<Vec<ObjectId>, ReadError> {
    let Some(resources) = dictionary(pdf, &form.dict, b"Resources") else {
        // It uses those of the page, among which it can be itself.
        let content = form.get_plain_content().unwrap_or_default();
        let shows_others = content.windows(2).any(|operator| operator == b"Do");
        return if shows_others {
            Err(endless())
        } else {
            Ok(Vec::new())
        };
    };
    let Some(forms) = dictionary(pdf, resources, b"XObject") else {
        return Ok(Vec::new());
    };
    Ok(forms
        .iter()
        .filter_map(|(_, form)| form.as_reference().ok())
        .collect())
}

fn dictionary<'a>(pdf: &'a Document, within: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    let (_, object) = pdf.dereference(within.get(key).ok()?).ok()?;
    object.as_dict().ok()
}

#[cfg(test)]
mod tests {
    use pdf_extract::dictionary;

    use super::*;

    fn form(inner: Option<ObjectId>, content: &[u8]) -> Object {
        let mut dict = dictionary! { "Subtype" => "Form" };
        if let Some(inner) = inner {
            dict.set(
                "Resources",
                dictionary! { "XObject" => dictionary! { "F" => inner } },
            );
        }
        Object::Stream(Stream::new(dict, content.to_vec()))
    }

    #[test]
    fn forms_that_hold_each_other_are_refused() {
        for (name, forms, fine) in [
            (
                "a chain",
                vec![form(Some((2, 0)), b"/F Do"), form(None, b"BT ET")],
                true,
            ),
            ("itself", vec![form(Some((1, 0)), b"/F Do")], false),
            (
                "a circle",
                vec![form(Some((2, 0)), b""), form(Some((1, 0)), b"")],
                false,
            ),
            ("the page's", vec![form(None, b"/F Do")], false),
        ] {
            let mut pdf = Document::with_version("1.4");
            for (number, form) in (1..).zip(forms) {
                pdf.objects.insert((number, 0), form);
            }
            assert_eq!(prepare(&mut pdf).is_ok(), fine, "{name}");
        }
    }
}
