//! Small files, good and bad, written byte by byte.

use std::io::Cursor as Bytes;

use super::*;

/// Writes the format, for tests.
pub(in super::super) struct Writer(Vec<u8>, u32);

impl Writer {
    pub(in super::super) fn new() -> Self {
        Self(Vec::new(), 0)
    }

    pub(in super::super) fn variable(
        mut self,
        name: &str,
        dims: &[usize],
        tag: u8,
        bytes: &[u8],
    ) -> Self {
        string(&mut self.0, name);
        self.0.push(u8::try_from(dims.len()).unwrap());
        for &dim in dims {
            self.0.extend(u32::try_from(dim).unwrap().to_le_bytes());
        }
        self.0.push(tag);
        self.0
            .extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        self.0.extend(bytes);
        self.1 += 1;
        self
    }

    pub(in super::super) fn floats(self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.variable(name, dims, 0, &bytes)
    }

    pub(in super::super) fn finish(self) -> Vec<u8> {
        let mut file = header(BINARY_VERSION, SPECIFICATION, self.1);
        file.extend(self.0);
        file.extend(0_u32.to_le_bytes());
        file
    }
}

fn string(file: &mut Vec<u8>, text: &str) {
    file.extend(u16::try_from(text.len() + 1).unwrap().to_le_bytes());
    file.extend(text.as_bytes());
    file.push(0);
}

fn header(version: u32, specification: &str, count: u32) -> Vec<u8> {
    let mut file = version.to_le_bytes().to_vec();
    string(&mut file, specification);
    file.extend(3_u32.to_le_bytes());
    file.extend(count.to_le_bytes());
    file
}

fn read(file: &[u8]) -> Result<WeightsFile<Bytes<&[u8]>>, LoadError> {
    WeightsFile::read_index(Bytes::new(file), file.len() as u64)
}

fn small() -> Vec<u8> {
    Writer::new()
        .floats("full", &[2, 2], &[1.0, -2.0, 0.5, 3.0])
        .variable("half", &[2], 4, &[0x00, 0x3C, 0x00, 0xC0])
        .variable("brain", &[1], 5, &[0x80, 0x3F])
        .variable("heads", &[], 2, &[8, 0])
        .variable("packed", &[2], 1, &[1, 2])
        .finish()
}

#[test]
fn values_of_every_float_type_are_read() {
    let file = small();
    let mut weights = read(&file).unwrap();
    assert_eq!(
        weights.floats("full", &[2, 2]).unwrap(),
        [1.0, -2.0, 0.5, 3.0]
    );
    assert_eq!(weights.floats("half", &[2]).unwrap(), [1.0, -2.0]);
    assert_eq!(weights.floats("brain", &[1]).unwrap(), [1.0]);
    assert_eq!(weights.integer("heads").unwrap(), 8);
    assert_eq!(weights.dims("full"), Some(&[2, 2][..]));
}

#[test]
fn wrong_use_of_a_variable_is_a_typed_error() {
    let file = small();
    let mut weights = read(&file).unwrap();
    assert!(matches!(
        weights.floats("none", &[1]),
        Err(LoadError::Missing(_))
    ));
    assert!(matches!(
        weights.floats("full", &[4]),
        Err(LoadError::Shape { .. })
    ));
    assert!(matches!(
        weights.floats("packed", &[2]),
        Err(LoadError::Unsupported(_))
    ));
    assert!(matches!(
        weights.integer("full"),
        Err(LoadError::Shape { .. })
    ));
}

#[test]
fn a_file_cut_anywhere_is_truncated_and_never_a_panic() {
    let file = small();
    let end_of_variables = file.len() - 4;
    for length in 0..end_of_variables {
        assert!(
            matches!(read(&file[..length]), Err(LoadError::Truncated)),
            "cut at {length}"
        );
    }
}

#[test]
fn hostile_headers_are_refused_before_anything_is_allocated() {
    let huge = Writer::new()
        .variable("x", &[u32::MAX as usize, u32::MAX as usize], 0, &[])
        .finish();
    let beyond = {
        let mut file = header(BINARY_VERSION, SPECIFICATION, 1);
        string(&mut file, "x");
        file.push(1);
        file.extend(0x3FFF_FFFF_u32.to_le_bytes());
        file.push(0);
        file.extend(0xFFFF_FFFC_u32.to_le_bytes());
        file
    };
    let ranks = Writer::new()
        .variable("x", &[1, 1, 1, 1, 1], 0, &[0; 4])
        .finish();
    let unknown = Writer::new().variable("x", &[1], 9, &[0]).finish();
    for (file, expected) in [
        (huge, "not Whisper weights"),
        (beyond, "cut short"),
        (ranks, "not Whisper weights"),
        (unknown, "unsupported"),
        (header(5, SPECIFICATION, 0), "not Whisper weights"),
        (
            header(BINARY_VERSION, "TransformerSpec", 0),
            "not Whisper weights",
        ),
        (
            header(BINARY_VERSION, SPECIFICATION, u32::MAX),
            "not Whisper weights",
        ),
        (
            b"PK\x03\x04 an archive instead".to_vec(),
            "not Whisper weights",
        ),
    ] {
        let message = read(&file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn any_byte_may_be_wrong_without_a_panic() {
    let file = small();
    for position in 0..file.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut file = file.clone();
            file[position] = value;
            if let Ok(mut weights) = read(&file) {
                let _ = weights.floats("full", &[2, 2]);
                let _ = weights.integer("heads");
            }
        }
    }
}
