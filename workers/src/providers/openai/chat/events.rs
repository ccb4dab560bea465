//! Server-sent events (HTML Living Standard, section 9.2), as bytes come.

/// Bytes of one line, and of the lines of one event together: a piece of an
/// answer has hundreds, an answer in one piece tens of thousands.
const LONGEST: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The lines of one event's data, never empty.
    Message(String),
    /// Data of an event that is named `error`. Some servers of llama.cpp write
    /// a field `error:` instead, which the standard does not know.
    Error(String),
}

/// An event has more than a megabyte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overlong;

/// Finds events in bytes that may be cut anywhere.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// A line feed that follows belongs to the carriage return before it.
    after_return: bool,
    data: String,
    is_error: bool,
}

impl Events {
    /// The events that `bytes` complete, put at the end of `found`.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut Vec<Event>) -> Result<(), Overlong> {
        for &byte in bytes {
            let ends_return = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                _ if ends_return => {}
                b'\r' | b'\n' => self.end_line(found)?,
                _ if self.line.len() == LONGEST => return Err(Overlong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// The last event, which the standard would drop when no empty line ends
    /// it; some servers write none at the end.
    pub(super) fn finish(&mut self, found: &mut Vec<Event>) -> Result<(), Overlong> {
        if !self.line.is_empty() {
            self.end_line(found)?;
        }
        self.end_event(found);
        Ok(())
    }

    fn end_line(&mut self, found: &mut Vec<Event>) -> Result<(), Overlong> {
        let bytes = std::mem::take(&mut self.line);
        if bytes.is_empty() {
            self.end_event(found);
            return Ok(());
        }
        let line = String::from_utf8_lossy(&bytes);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add(value),
            "error" => {
                self.is_error = true;
                self.add(value)
            }
            "event" => {
                self.is_error = value == "error";
                Ok(())
            }
            // Comments (an empty field), `id`, `retry`.
            _ => Ok(()),
        }
    }

    fn add(&mut self, value: &str) -> Result<(), Overlong> {
        if self.data.len() + value.len() > LONGEST {
            return Err(Overlong);
        }
        if !self.data.is_empty() {
            self.data.push('\n');
        }
        self.data.push_str(value);
        Ok(())
    }

    fn end_event(&mut self, found: &mut Vec<Event>) {
        let is_error = std::mem::take(&mut self.is_error);
        let data = std::mem::take(&mut self.data);
        if data.trim().is_empty() {
            return;
        }
        found.push(match is_error {
            true => Event::Error(data),
            false => Event::Message(data),
        });
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for piece in pieces {
            events.feed(piece, &mut found).unwrap();
        }
        events.finish(&mut found).unwrap();
        found
    }

    fn messages(texts: &[&str]) -> Vec<Event> {
        let message = |text: &&str| Event::Message((*text).to_owned());
        texts.iter().map(message).collect()
    }

    #[test]
    fn events_are_found_however_lines_end_and_wherever_bytes_are_cut() {
        for (stream, expected) in [
            ("data: a\n\ndata:b\n\n", &["a", "b"][..]),
            ("data: é🙂\r\n\r\ndata:  b\r\n\r\n", &["é🙂", " b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            (": OPENROUTER PROCESSING\n\n:\ndata: a\n\n", &["a"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("id: 7\nevent: x\nretry: 1\ndata: a\n\n", &["a"]),
            ("data\n\ndata:\n\ndata: \n\nunknown\n\n", &[]),
            ("data: a\n\ndata: last", &["a", "last"]),
            ("data: a\n\ndata: last\r\n", &["a", "last"]),
            ("\n\n\r\n", &[]),
        ] {
            let bytes = stream.as_bytes();
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.split_at(cut);
                assert_eq!(
                    parse(&[first, second]),
                    messages(expected),
                    "{stream:?} {cut}"
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(parse(&single), messages(expected), "{stream:?}");
        }
    }

    #[test]
    fn an_error_is_told_by_the_name_of_its_event_or_its_field() {
        let expected = [
            Event::Error("{}".to_owned()),
            Event::Message("a".to_owned()),
        ];
        for stream in [
            "event: error\ndata: {}\n\ndata: a\n\n",
            "error: {}\n\ndata: a\n\n",
        ] {
            assert_eq!(parse(&[stream.as_bytes()]), expected);
        }
    }

    #[test]
    fn a_line_or_an_event_without_end_is_refused() {
        let line = vec![b'x'; LONGEST + 1];
        let mut found = Vec::new();
        assert_eq!(Events::default().feed(&line, &mut found), Err(Overlong));
        let lines = "data: 0123456789\n".repeat(LONGEST / 10 + 1);
        let fed = Events::default().feed(lines.as_bytes(), &mut found);
        assert_eq!((fed, found), (Err(Overlong), vec![]));
    }
}
