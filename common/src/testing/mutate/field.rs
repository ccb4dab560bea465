//! Numbers in a file: where they stand and how they are written.

use std::ops::Range;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Big,
    Little,
    /// Seven bits in each byte, the highest first, as in tags of MP3 files.
    Sevens,
    /// The place of the first bit that is set tells the length, as in Matroska; the number is what follows that bit.
    Prefixed,
    /// So many bits, after some of the first byte; the lowest bit comes first, as in Vorbis.
    Bits {
        after: u8,
        count: u8,
    },
    /// Digits, perhaps after a sign. The length of the text follows the number.
    Decimal,
}

/// A number in a file, in at most eight bytes unless it is in digits.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub at: usize,
    pub width: usize,
    pub coding: Coding,
}

impl Field {
    pub const fn new(at: usize, width: usize, coding: Coding) -> Self {
        Self { at, width, coding }
    }

    pub fn range(&self) -> Range<usize> {
        self.at..self.at.saturating_add(self.width)
    }

    /// Bytes outside of the file count as zero: who walks through a broken file goes on with what is there.
    pub fn read(&self, file: &[u8]) -> i128 {
        let byte = |at: usize| i128::from(file.get(at).copied().unwrap_or(0));
        let big = |bits: u32| {
            let add = |number: i128, at| (number << bits) | (byte(at) & ((1 << bits) - 1));
            self.range().fold(0, add)
        };
        match self.coding {
            Coding::Big => big(8),
            Coding::Sevens => big(7),
            Coding::Prefixed => big(8) & ((1 << (7 * self.width)) - 1),
            Coding::Little => self.little(file),
            Coding::Bits { after, count } => self.little(file) >> after & ((1 << count) - 1),
            Coding::Decimal => {
                let text = file.get(self.range()).map(String::from_utf8_lossy);
                text.and_then(|text| text.parse().ok()).unwrap_or(0)
            }
        }
    }

    fn little(&self, file: &[u8]) -> i128 {
        let add = |number: i128, at| number << 8 | i128::from(file.get(at).copied().unwrap_or(0));
        self.range().rev().fold(0, add)
    }

    /// The bytes in which `value` is written here. What does not fit is cut off at the top.
    pub fn written(&self, file: &[u8], value: i128) -> Vec<u8> {
        let bytes = (0..self.width).rev();
        match self.coding {
            Coding::Big => bytes.map(|place| (value >> (8 * place)) as u8).collect(),
            Coding::Sevens => bytes
                .map(|place| (value >> (7 * place)) as u8 & 0x7f)
                .collect(),
            Coding::Prefixed => {
                let marked = value & ((1 << (7 * self.width)) - 1) | 1 << (7 * self.width);
                bytes.map(|place| (marked >> (8 * place)) as u8).collect()
            }
            Coding::Little => little(value, self.width),
            Coding::Bits { after, count } => {
                let mask = ((1 << count) - 1) << after;
                little(
                    self.little(file) & !mask | value << after & mask,
                    self.width,
                )
            }
            Coding::Decimal => value.to_string().into_bytes(),
        }
    }
}

fn little(value: i128, width: usize) -> Vec<u8> {
    (0..width)
        .map(|place| (value >> (8 * place)) as u8)
        .collect()
}

/// The number at a place, for lengths and counts.
pub fn number(file: &[u8], at: usize, width: usize, coding: Coding) -> usize {
    let number = Field::new(at, width, coding).read(file);
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let codings = [
            (4, Coding::Big),
            (4, Coding::Little),
            (4, Coding::Sevens),
            (4, Coding::Prefixed),
            (
                4,
                Coding::Bits {
                    after: 3,
                    count: 24,
                },
            ),
            (3, Coding::Decimal),
        ];
        for (width, coding) in codings {
            let mut file = [0xff; 6];
            let field = Field::new(1, width, coding);
            let written = field.written(&file, 321);
            file[1..=width].copy_from_slice(&written);
            assert_eq!(field.read(&file), 321, "{coding:?}");
            assert_eq!((file[0], file[5]), (0xff, 0xff), "{coding:?}");
        }
    }
}
