//! Reader of CTranslate2 model files (`model.bin`, binary version 6).
//!
//! Layout, little endian, as written by `ctranslate2/specs/model_spec.py`: u32 binary version, string
//! specification name, u32 specification revision, u32 number of variables; then each variable as string
//! name, u8 rank, one u32 per dimension, u8 element type, u32 byte length, the bytes. A string is a u16
//! length followed by that many bytes, the last of which is NUL. A table of aliases follows, which
//! nothing here needs.
//!
//! The file is untrusted: opening it reads the index alone, every length is checked against what the
//! file still holds before anything is allocated, and values are read one variable at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::errors::LoadError;

const BINARY_VERSION: u32 = 6;
const SPECIFICATION: &str = "WhisperSpec";
/// Whisper large-v3 has about 1,300 variables.
const MAX_VARIABLES: u32 = 16_384;
const MAX_RANK: u8 = 4;
const MAX_NAME_BYTES: u16 = 512;

/// Element types by their number in the file (`ctranslate2/types.h`); the others cannot be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    F32,
    I8,
    I16,
    I32,
    F16,
    Bf16,
}

impl Element {
    fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0 => Self::F32,
            1 => Self::I8,
            2 => Self::I16,
            3 => Self::I32,
            4 => Self::F16,
            5 => Self::Bf16,
            _ => return None,
        })
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::I8 => 1,
            Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
        }
    }
}

#[derive(Debug)]
struct Variable {
    dims: Vec<usize>,
    element: Element,
    offset: u64,
    bytes: u64,
}

/// An opened weights file: the index is in memory, the values are not.
#[derive(Debug)]
pub(super) struct WeightsFile<R = BufReader<File>> {
    source: R,
    variables: HashMap<String, Variable>,
}

impl WeightsFile {
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| LoadError::io(path, source))?;
        let length = file
            .metadata()
            .map_err(|source| LoadError::io(path, source))?
            .len();
        Self::read_index(BufReader::new(file), length)
    }
}

impl<R: Read + Seek> WeightsFile<R> {
    /// `length` is how many bytes `source` holds.
    fn read_index(source: R, length: u64) -> Result<Self, LoadError> {
        let mut cursor = Cursor {
            source,
            at: 0,
            length,
        };
        cursor.header()?;
        let count = cursor.u32()?;
        if count > MAX_VARIABLES {
            return Err(LoadError::NotAModel(format!("{count} variables")));
        }
        let mut variables = HashMap::new();
        for _ in 0..count {
            let (name, variable) = cursor.variable()?;
            variables.insert(name, variable);
        }
        Ok(Self {
            source: cursor.source,
            variables,
        })
    }

    pub(super) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.variables.get(name).map(|found| found.dims.as_slice())
    }

    /// A scalar of any integer type, such as the number of heads.
    pub(super) fn integer(&mut self, name: &str) -> Result<i64, LoadError> {
        let (element, bytes) = self.read(name, &[])?;
        Ok(match (element, bytes.as_slice()) {
            (Element::I8, &[a]) => i64::from(a.cast_signed()),
            (Element::I16, &[a, b]) => i64::from(i16::from_le_bytes([a, b])),
            (Element::I32, &[a, b, c, d]) => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => return Err(LoadError::Unsupported(format!("{name} is not an integer"))),
        })
    }

    /// The values of a variable that must have exactly these dimensions, widened to f32.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize]) -> Result<Vec<f32>, LoadError> {
        let (element, bytes) = self.read(name, dims)?;
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        Ok(match element {
            Element::F32 => bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect(),
            Element::F16 => pairs()
                .map(|pair| half::f16::from_le_bytes(pair).to_f32())
                .collect(),
            Element::Bf16 => pairs()
                .map(|pair| half::bf16::from_le_bytes(pair).to_f32())
                .collect(),
            Element::I8 | Element::I16 | Element::I32 => {
                return Err(LoadError::Unsupported(format!(
                    "{name} is quantised; a float16, bfloat16 or float32 conversion is needed"
                )));
            }
        })
    }

    fn read(&mut self, name: &str, dims: &[usize]) -> Result<(Element, Vec<u8>), LoadError> {
        let variable = self
            .variables
            .get(name)
            .ok_or_else(|| LoadError::Missing(name.to_owned()))?;
        if variable.dims != dims {
            return Err(LoadError::Shape {
                name: name.to_owned(),
                found: variable.dims.clone(),
                expected: dims.to_vec(),
            });
        }
        let length = usize::try_from(variable.bytes).map_err(|_| LoadError::Truncated)?;
        self.source
            .seek(SeekFrom::Start(variable.offset))
            .map_err(read_failure)?;
        let mut bytes = vec![0; length];
        self.source.read_exact(&mut bytes).map_err(read_failure)?;
        Ok((variable.element, bytes))
    }
}

/// A file that shrinks while it is read ends the same way as one that was cut before.
fn read_failure(source: io::Error) -> LoadError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => LoadError::Truncated,
        _ => LoadError::io(Path::new("model.bin"), source),
    }
}

/// Reads forward and knows how much is left.
struct Cursor<R> {
    source: R,
    at: u64,
    length: u64,
}

impl<R: Read + Seek> Cursor<R> {
    fn header(&mut self) -> Result<(), LoadError> {
        let version = self.u32()?;
        if version != BINARY_VERSION {
            return Err(LoadError::NotAModel(format!("binary version {version}")));
        }
        let specification = self.string()?;
        if specification != SPECIFICATION {
            return Err(LoadError::NotAModel(format!(
                "specification {specification:?}"
            )));
        }
        self.u32().map(|_revision| ())
    }

    fn variable(&mut self) -> Result<(String, Variable), LoadError> {
        let name = self.string()?;
        let [rank] = self.array()?;
        if rank > MAX_RANK {
            return Err(LoadError::NotAModel(format!(
                "{name} has {rank} dimensions"
            )));
        }
        let mut dims = Vec::with_capacity(usize::from(rank));
        let mut elements = 1_u64;
        for _ in 0..rank {
            let dim = self.u32()?;
            elements = elements.saturating_mul(u64::from(dim));
            dims.push(dim as usize);
        }
        let [tag] = self.array()?;
        let element = Element::from_tag(tag)
            .ok_or_else(|| LoadError::Unsupported(format!("{name} has element type {tag}")))?;
        let bytes = u64::from(self.u32()?);
        if bytes != elements.saturating_mul(element.bytes()) {
            return Err(LoadError::NotAModel(format!(
                "{name} has {bytes} bytes for {dims:?}"
            )));
        }
        let offset = self.at;
        self.skip(bytes)?;
        Ok((
            name,
            Variable {
                dims,
                element,
                offset,
                bytes,
            },
        ))
    }

    fn string(&mut self) -> Result<String, LoadError> {
        let length = u16::from_le_bytes(self.array()?);
        if length == 0 || length > MAX_NAME_BYTES {
            return Err(LoadError::NotAModel(format!("a name of {length} bytes")));
        }
        self.claim(u64::from(length))?;
        let mut bytes = vec![0; usize::from(length)];
        self.source.read_exact(&mut bytes).map_err(read_failure)?;
        match bytes.pop() {
            Some(0) => String::from_utf8(bytes)
                .map_err(|_| LoadError::NotAModel("a name that is not UTF-8".to_owned())),
            _ => Err(LoadError::NotAModel("a name without its end".to_owned())),
        }
    }

    fn u32(&mut self) -> Result<u32, LoadError> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        self.claim(N as u64)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(read_failure)?;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), LoadError> {
        self.claim(bytes)?;
        let offset = i64::try_from(bytes).map_err(|_| LoadError::Truncated)?;
        self.source.seek_relative(offset).map_err(read_failure)
    }

    fn claim(&mut self, bytes: u64) -> Result<(), LoadError> {
        let end = self.at.checked_add(bytes).ok_or(LoadError::Truncated)?;
        if end > self.length {
            return Err(LoadError::Truncated);
        }
        self.at = end;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
