//! Spreadsheets: one section for each sheet, one row of text for each row.

use std::io::Cursor;

use calamine::{Data, DataType as _, Reader as _, Xlsx, XlsxError, open_workbook_from_rs};
use workers::knowledge::markdown::Section;

use super::{
    Content, MAX_TEXT, Original, ReadError,
    archive::Archive,
    row::{MAX_COLUMNS, Rows},
};

const MAX_ROWS: usize = 1_000_000;

/// The newest format alone: the parsers of the older one (`.xls`) and of OpenDocument (`.ods`) lay out every cell that a
/// sheet claims to have, which a broken file makes more than any memory holds.
pub fn read(original: &Original) -> Result<Content, ReadError> {
    Archive::open(&original.bytes, "a spreadsheet")?;
    Ok(original.document(None, sections(original)?).into())
}

/// Cell by cell: a sheet with two cells can claim the 17 billion between them.
fn sections(original: &Original) -> Result<Vec<Section>, ReadError> {
    let bytes = Cursor::new(original.bytes.as_slice());
    let mut book: Xlsx<_> =
        open_workbook_from_rs(bytes).map_err(|error: XlsxError| match error {
            XlsxError::Password => ReadError::Encrypted,
            error => ReadError::broken(error),
        })?;
    let mut sections = Vec::new();
    let mut left = Left {
        rows: MAX_ROWS,
        text: MAX_TEXT,
    };
    for name in book.sheet_names() {
        // A sheet that holds a chart has no cells.
        let Ok(mut cells) = book.worksheet_cells_reader(&name) else {
            continue;
        };
        let mut rows = Rows::default();
        let mut row: (u32, Vec<String>) = (0, Vec::new());
        while let Some(cell) = cells.next_cell().map_err(ReadError::broken)? {
            let (at, column) = cell.get_position();
            if at != row.0 {
                rows.push(std::mem::take(&mut row.1).into_iter());
                row.0 = at;
                take(&mut left.rows, 1, "rows", MAX_ROWS)?;
            }
            let column = column as usize;
            if column < MAX_COLUMNS {
                let text = written(&Data::from(cell.get_value().clone()));
                take(&mut left.text, text.len(), "bytes of text", MAX_TEXT)?;
                row.1.resize((column + 1).max(row.1.len()), String::new());
                row.1[column] = text;
            }
        }
        rows.push(row.1.into_iter());
        sections.extend(rows.finish(Some(name)));
    }
    Ok(sections)
}

/// What a file may still hold. Cells can share one text, which a file of a megabyte makes more than any memory holds.
struct Left {
    rows: usize,
    text: usize,
}

fn take(left: &mut usize, count: usize, what: &'static str, limit: usize) -> Result<(), ReadError> {
    *left = left.checked_sub(count).ok_or(ReadError::TooMuch {
        what,
        limit: limit as u64,
    })?;
    Ok(())
}

/// A cell as one would read it: whole numbers without a fraction, days as days.
fn written(cell: &Data) -> String {
    match cell {
        Data::Float(number) => number.to_string(),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, ..) = time.to_ymd_hms_milli();
            match (hour, minute) {
                (0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ if time.as_f64() < 1.0 => format!("{hour:02}.{minute:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}.{minute:02}"),
            }
        }
        Data::Bool(true) => "ya".into(),
        Data::Bool(false) => "tidak".into(),
        Data::Error(_) | Data::Empty => String::new(),
        other => other.as_string().unwrap_or_default(),
    }
}
