//! Reading, writing and joining PCM WAV files in memory.
//!
//! By hand and not with `hound`: the header is 44 bytes, what comes from a synthesiser's pipe has sizes that a strict
//! reader refuses, and the decoder needs the same chunk search anyway.

use super::clip::{Clip, RATE};
use super::riff::{self, Layout};

/// How the samples of a file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Samples per frame.
    pub channels: u16,
    /// Frames per second.
    pub rate: u32,
    /// Bits per sample.
    pub bits: u16,
}

impl Format {
    /// 16-bit mono, the format of every synthesiser here.
    pub const fn mono16(rate: u32) -> Self {
        Self {
            channels: 1,
            rate,
            bits: 16,
        }
    }

    /// Playing time of this many bytes of samples.
    pub fn duration_of(self, bytes: usize) -> std::time::Duration {
        let frame = usize::from(self.channels) * usize::from(self.bits.div_ceil(8));
        super::clip::duration_of((bytes / frame.max(1)) as u64, self.rate)
    }

    fn chunk(self) -> Vec<u8> {
        let frame = self.channels * self.bits.div_ceil(8);
        let mut chunk = Vec::with_capacity(16);
        chunk.extend(1u16.to_le_bytes());
        chunk.extend(self.channels.to_le_bytes());
        chunk.extend(self.rate.to_le_bytes());
        chunk.extend((self.rate * u32::from(frame)).to_le_bytes());
        chunk.extend(frame.to_le_bytes());
        chunk.extend(self.bits.to_le_bytes());
        chunk
    }
}

/// Why a WAV could not be read or joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Not a WAV file, or its header is incomplete.
    #[error("not a complete WAV file")]
    Unreadable,
    /// Compressed or floating-point samples.
    #[error("the WAV file is not plain PCM")]
    NotPcm,
    /// Files of different formats cannot be joined.
    #[error("the WAV files differ in format")]
    Mixed,
    /// Nothing to join.
    #[error("no WAV files to join")]
    Nothing,
}

/// A PCM file that was read, borrowing its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wav<'a> {
    /// How the samples are stored.
    pub format: Format,
    /// The samples, little endian, whole frames.
    pub data: &'a [u8],
}

impl<'a> Wav<'a> {
    /// Finds the samples. Sizes left open by a program that wrote to a pipe are taken as "up to the end".
    ///
    /// # Errors
    ///
    /// `Unreadable`, or `NotPcm` for formats other than integer PCM.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WavError> {
        let layout = Layout::find(bytes).map_err(|_| WavError::Unreadable)?;
        let chunk = &bytes[layout.format];
        let word = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let format = Format {
            channels: word(2),
            rate: u32::from(word(4)) | u32::from(word(6)) << 16,
            bits: word(14),
        };
        let frame = usize::from(format.channels) * usize::from(format.bits.div_ceil(8));
        if word(0) != 1 || frame == 0 || format.rate == 0 {
            return Err(WavError::NotPcm);
        }
        let data = &bytes[layout.data];
        Ok(Self {
            format,
            data: &data[..data.len() - data.len() % frame],
        })
    }

    /// Playing time.
    pub fn duration(&self) -> std::time::Duration {
        self.format.duration_of(self.data.len())
    }

    /// The file again, with a 44-byte header whose sizes are true.
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self.format, self.data)
    }
}

/// A WAV file of little-endian samples.
pub fn write(format: Format, data: &[u8]) -> Vec<u8> {
    riff::assemble(&format.chunk(), data)
}

/// A 16-bit mono WAV file at [`RATE`].
pub fn from_clip(clip: &Clip) -> Vec<u8> {
    let full_scale = f32::from(i16::MAX);
    let data: Vec<u8> = clip
        .samples
        .iter()
        .flat_map(|sample| ((sample.clamp(-1.0, 1.0) * full_scale).round() as i16).to_le_bytes())
        .collect();
    write(Format::mono16(RATE), &data)
}

/// Joins files of one format, in order.
///
/// # Errors
///
/// `Nothing` for no files, `Mixed` when formats differ, and those of [`Wav::read`].
pub fn concatenate<Bytes: AsRef<[u8]>>(files: &[Bytes]) -> Result<Vec<u8>, WavError> {
    let parts = files
        .iter()
        .map(|file| Wav::read(file.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let format = parts.first().ok_or(WavError::Nothing)?.format;
    if parts.iter().any(|part| part.format != format) {
        return Err(WavError::Mixed);
    }
    let data: Vec<&[u8]> = parts.iter().map(|part| part.data).collect();
    Ok(write(format, &data.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let file = write(Format::mono16(22_050), &[1, 0, 2, 0]);
        assert_eq!(file.len(), 48);
        let wav = Wav::read(&file).unwrap();
        assert_eq!(
            (wav.format, wav.data),
            (Format::mono16(22_050), [1, 0, 2, 0].as_slice())
        );
        assert_eq!(wav.to_bytes(), file);
    }

    #[test]
    fn a_clip_is_written_at_full_scale_and_without_wrapping() {
        let file = from_clip(&Clip {
            samples: vec![0.0, 1.0, -1.0, 2.0, f32::NAN],
        });
        let data: Vec<i16> = Wav::read(&file)
            .unwrap()
            .data
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(data, [0, 32_767, -32_767, 32_767, 0]);
    }

    #[test]
    fn files_are_joined_only_when_their_formats_agree() {
        let one = write(Format::mono16(8_000), &[1, 0]);
        let two = write(Format::mono16(8_000), &[2, 0]);
        let other = write(Format::mono16(16_000), &[3, 0]);
        let joined = concatenate(&[&one, &two, &one]).unwrap();
        assert_eq!(Wav::read(&joined).unwrap().data, [1, 0, 2, 0, 1, 0]);
        assert_eq!(concatenate(&[&one, &other]), Err(WavError::Mixed));
        assert_eq!(concatenate::<&[u8]>(&[]), Err(WavError::Nothing));
        assert_eq!(
            concatenate(&[one.as_slice(), b"RIFF"]),
            Err(WavError::Unreadable)
        );
    }

    #[test]
    fn a_half_sample_at_the_end_is_dropped_and_a_forged_format_refused() {
        let file = write(Format::mono16(8_000), &[1, 0, 9]);
        assert_eq!(Wav::read(&file).unwrap().data, [1, 0]);
        for format in [
            Format {
                channels: 0,
                rate: 8_000,
                bits: 16,
            },
            Format {
                channels: 1,
                rate: 0,
                bits: 16,
            },
            Format {
                channels: 1,
                rate: 8_000,
                bits: 0,
            },
        ] {
            assert_eq!(
                Wav::read(&write(format, &[1, 0])),
                Err(WavError::NotPcm),
                "{format:?}"
            );
        }
    }
}
