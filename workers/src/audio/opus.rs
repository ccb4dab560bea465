//! Opus (RFC 6716), in whatever container it came.
//!
//! `opus-pure` and not a binding: no C toolchain or system library to build, safe Rust but for its vector kernels, and
//! over speech at 12–128 kbit/s its output differs from libopus's by less than 16-bit rounding.

use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder as StreamDecoder, OpusMSDecoder};
use symphonia::core::packet::Packet;

use super::DecodeError;
use super::codec::Sound;

/// Opus is always decoded at 48 kHz; the rate in its header is only what the recorder had.
const OPUS_RATE: u32 = 48_000;

/// What matters of the identification header, RFC 7845 section 5.1. WebM carries the same bytes as `CodecPrivate`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    channels: usize,
    /// Frames at 48 kHz that only warm the decoder up.
    pre_skip: usize,
    /// Output gain, a factor.
    gain: f32,
    /// Of more than two channels: how many streams carry them.
    streams: Option<usize>,
}

pub(super) struct OpusDecoder {
    streams: Streams,
    /// Channels that come out of `streams`.
    channels: usize,
    gain: f32,
    to_skip: usize,
    interleaved: Vec<f32>,
}

enum Streams {
    /// Mono or stereo. The decoder is asked for mono: it mixes before the synthesis, at half the work.
    One(Box<StreamDecoder>),
    Surround(Box<OpusMSDecoder>),
}

impl OpusDecoder {
    /// `head` is the `OpusHead` of the track. Without one there is no pre-skip: packets say themselves what they hold.
    pub(super) fn new(head: Option<&[u8]>) -> Result<Self, DecodeError> {
        let head = match head {
            Some(bytes) => Head::parse(bytes)?,
            None => Head {
                channels: 1,
                pre_skip: 0,
                gain: 1.0,
                streams: None,
            },
        };
        let streams = Streams::new(&head)?;
        let channels = if head.streams.is_some() {
            head.channels
        } else {
            1
        };
        Ok(Self {
            streams,
            channels,
            gain: head.gain,
            to_skip: head.pre_skip,
            interleaved: vec![0.0; MAX_PACKET_SAMPLES * channels],
        })
    }

    /// Decodes into `sound`, less the pre-skip and what the container says to drop at the end.
    pub(super) fn decode(&mut self, packet: &Packet, sound: &mut Sound) -> Result<(), DecodeError> {
        sound.rate = OPUS_RATE;
        sound.samples.clear();
        if packet.data.is_empty() {
            return Ok(());
        }
        let frames = self.streams.decode(&packet.data, &mut self.interleaved)?;
        let skipped = self.to_skip.min(frames);
        self.to_skip -= skipped;
        let surplus = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX);
        let end = frames.saturating_sub(surplus).max(skipped);
        let kept = &mut self.interleaved[skipped * self.channels..end * self.channels];
        if self.gain != 1.0 {
            kept.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        sound.mix(kept, self.channels);
        Ok(())
    }
}

impl Streams {
    fn new(head: &Head) -> Result<Self, DecodeError> {
        let rate = OPUS_RATE.cast_signed();
        let Some(streams) = head.streams else {
            let decoder = StreamDecoder::new(rate, 1).map_err(|_| contradiction())?;
            return Ok(Self::One(Box::new(decoder)));
        };
        let decoder = OpusMSDecoder::new(rate, head.channels, 1).map_err(|_| contradiction())?;
        // Which stream is which loudspeaker does not matter to a mix, how many there are does.
        if decoder.nb_streams() == streams {
            Ok(Self::Surround(Box::new(decoder)))
        } else {
            Err(contradiction())
        }
    }

    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> Result<usize, DecodeError> {
        match self {
            Self::One(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, into),
            Self::Surround(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, into),
        }
        .map_err(|_| DecodeError::damaged("an Opus packet is broken"))
    }
}

fn contradiction() -> DecodeError {
    DecodeError::damaged("its Opus header contradicts itself")
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let broken = || DecodeError::damaged("its Opus header is broken");
        let fields = bytes.strip_prefix(b"OpusHead").ok_or_else(broken)?;
        let &[
            version,
            channels,
            skip_a,
            skip_b,
            _,
            _,
            _,
            _,
            gain_a,
            gain_b,
            family,
            ref table @ ..,
        ] = fields
        else {
            return Err(broken());
        };
        // MP4 stores the same fields big endian, and says version 0 where all others say 1
        // (<https://opus-codec.org/docs/opus_in_isobmff.html>).
        let word = |a, b| {
            if version == 0 {
                u16::from_be_bytes([a, b])
            } else {
                u16::from_le_bytes([a, b])
            }
        };
        let channels = usize::from(channels);
        let streams = match (family, channels) {
            (0, 1 | 2) => None,
            (1, 1..=8) => Some(usize::from(*table.first().ok_or_else(broken)?)),
            (0 | 1, _) => return Err(broken()),
            _ => {
                return Err(DecodeError::unsupported(format!(
                    "Opus channel mapping {family}"
                )));
            }
        };
        let decibels = f32::from(word(gain_a, gain_b).cast_signed()) / 256.0;
        Ok(Self {
            channels,
            pre_skip: usize::from(word(skip_a, skip_b)),
            gain: 10f32.powf(decibels / 20.0),
            streams,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(channels: u8, family: u8, table: &[u8]) -> Vec<u8> {
        let mut bytes = b"OpusHead\x01".to_vec();
        bytes.extend([channels, 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, family]);
        bytes.extend(table);
        bytes
    }

    #[test]
    fn a_header_is_read_and_a_broken_one_refused() {
        let mono = Head::parse(&head(1, 0, &[])).unwrap();
        assert_eq!((mono.channels, mono.pre_skip, mono.gain), (1, 312, 1.0));
        let surround = Head::parse(&head(6, 1, &[4, 2, 0, 4, 1, 2, 3, 5])).unwrap();
        assert_eq!((surround.streams, surround.channels), (Some(4), 6));
        let mut in_mp4 = head(1, 0, &[]);
        in_mp4[8] = 0;
        in_mp4[10..12].reverse();
        assert_eq!(Head::parse(&in_mp4), Ok(mono));

        let broken: [(&str, Vec<u8>); 6] = [
            ("nothing", vec![]),
            ("no magic", vec![0; 19]),
            ("cut", head(1, 0, &[])[..15].to_vec()),
            ("no channels", head(0, 0, &[])),
            ("three channels without a table", head(3, 0, &[])),
            ("no table", head(6, 1, &[])),
        ];
        for (name, bytes) in broken {
            assert!(
                matches!(Head::parse(&bytes), Err(DecodeError::Damaged { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            Head::parse(&head(2, 255, &[])),
            Err(DecodeError::Unsupported { .. })
        ));
    }

    #[test]
    fn a_header_with_more_or_fewer_streams_than_its_channels_need_is_refused() {
        for (channels, streams, good) in [
            (6, 4, true),
            (6, 0, false),
            (6, 5, false),
            (1, 255, false),
            (8, 5, true),
        ] {
            let made = OpusDecoder::new(Some(&head(channels, 1, &[streams])));
            assert_eq!(
                made.is_ok(),
                good,
                "{channels} channels in {streams} streams"
            );
        }
    }
}
