//! The words written so far, with single spaces and single stops.

#[derive(Debug, Default)]
pub(super) struct Spoken {
    text: String,
    /// The next word follows without a space.
    glued: bool,
    /// Brackets that wait for their end.
    open: usize,
}

impl Spoken {
    pub(super) fn word(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if !self.glued && !self.text.is_empty() && !self.text.ends_with('(') {
            self.text.push(' ');
        }
        self.glued = false;
        self.text.push_str(words);
    }

    /// A pause. Of several in a row the strongest stays.
    pub(super) fn pause(&mut self, mark: char) {
        self.glued = false;
        match self.text.chars().next_back() {
            None | Some('(') => {}
            Some(last) if is_pause(last) => {
                if strength(mark) > strength(last) {
                    self.text.pop();
                    self.text.push(mark);
                }
            }
            Some(_) => self.text.push(mark),
        }
    }

    pub(super) fn open(&mut self) {
        self.word("(");
        self.open += 1;
    }

    pub(super) fn close(&mut self) {
        self.glued = false;
        if self.text.ends_with('(') {
            self.text.pop();
            self.text.truncate(self.text.trim_end().len());
        } else if self.open > 0 {
            self.text.push(')');
        }
        self.open = self.open.saturating_sub(1);
    }

    /// Joins the halves of "mahasiswa-mahasiswi".
    pub(super) fn hyphen(&mut self) {
        self.text.push('-');
        self.glued = true;
    }

    pub(super) fn finish(mut self) -> String {
        let end = self.text.trim_end_matches(['-', '(', ' ']).len();
        self.text.truncate(end);
        self.text
    }
}

fn is_pause(c: char) -> bool {
    strength(c) > 0
}

fn strength(c: char) -> u8 {
    match c {
        ',' => 1,
        ';' => 2,
        ':' => 3,
        '.' => 4,
        '!' => 5,
        '?' => 6,
        _ => 0,
    }
}
