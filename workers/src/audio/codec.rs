//! Packets of one track into mono samples.

use std::time::Duration;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, CODEC_ID_NULL_AUDIO,
};
use symphonia::core::errors::Error as ReadError;
use symphonia::core::formats::{FormatReader, Track, TrackType};
use symphonia::core::packet::Packet;

use super::DecodeError;
use super::clip::duration_of;
use super::opus::OpusDecoder;

/// Mono samples at the rate of the file; finite, within -1.0..=1.0.
#[derive(Debug, Default)]
pub(super) struct Sound {
    pub(super) rate: u32,
    pub(super) samples: Vec<f32>,
}

impl Sound {
    /// Playing time.
    pub(super) fn duration(&self) -> Duration {
        duration_of(self.samples.len() as u64, self.rate)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Takes interleaved samples, as the average of their channels. Nothing is said of what comes out where two
    /// channels cancel each other: no microphone records that.
    pub(super) fn mix(&mut self, interleaved: &[f32], channels: usize) {
        self.samples.clear();
        if channels == 0 {
            return;
        }
        let share = 1.0 / channels as f32;
        self.samples.extend(
            interleaved
                .chunks_exact(channels)
                .map(|frame| frame.iter().copied().map(tame).sum::<f32>() * share),
        );
    }
}

/// Float files can carry anything, also what would poison every sum after it.
pub(super) fn tame(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// The decoder of one track.
pub(super) struct Decoder {
    track_id: u32,
    codec: Codec,
    interleaved: Vec<f32>,
    sound: Sound,
}

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusDecoder>),
}

impl Decoder {
    /// The decoder of the first track that is audio.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no audio track or its codec is not known, `Damaged` where its set-up is broken.
    pub(super) fn for_first_track(reader: &dyn FormatReader) -> Result<Self, DecodeError> {
        let track = reader
            .default_track(TrackType::Audio)
            .or_else(|| reader.first_track(TrackType::Audio))
            .ok_or_else(|| DecodeError::unsupported("a file without an audio track"))?;
        Ok(Self {
            track_id: track.id,
            codec: codec_of(track)?,
            interleaved: Vec::new(),
            sound: Sound::default(),
        })
    }

    pub(super) fn track_id(&self) -> u32 {
        self.track_id
    }

    /// The sound of a packet of this track; it can be none.
    pub(super) fn decode(&mut self, packet: &Packet) -> Result<&Sound, DecodeError> {
        match &mut self.codec {
            Codec::Opus(decoder) => decoder.decode(packet, &mut self.sound)?,
            Codec::Symphonia(decoder) => {
                let decoded = decoder
                    .decode(packet)
                    .map_err(|_| DecodeError::damaged("a packet is broken"))?;
                self.sound.rate = decoded.spec().rate();
                mix_buffer(&decoded, &mut self.interleaved, &mut self.sound);
            }
        }
        Ok(&self.sound)
    }
}

fn mix_buffer(decoded: &GenericAudioBufferRef<'_>, interleaved: &mut Vec<f32>, sound: &mut Sound) {
    decoded.copy_to_vec_interleaved(interleaved);
    sound.mix(interleaved, decoded.num_planes());
}

fn codec_of(track: &Track) -> Result<Codec, DecodeError> {
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(DecodeError::unsupported("the codec of its audio track"));
    };
    if parameters.codec == CODEC_ID_OPUS {
        return OpusDecoder::new(parameters.extra_data.as_deref())
            .map(|opus| Codec::Opus(Box::new(opus)));
    }
    if parameters.sample_rate == Some(0) {
        return Err(DecodeError::damaged("it claims a sampling rate of 0 Hz"));
    }
    symphonia_codec(parameters).map(Codec::Symphonia)
}

fn symphonia_codec(
    parameters: &AudioCodecParameters,
) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    if parameters.codec == CODEC_ID_NULL_AUDIO {
        return Err(DecodeError::unsupported("the codec of its audio track"));
    }
    symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| match error {
            ReadError::Unsupported(what) => {
                DecodeError::unsupported(format!("the codec of its audio track ({what})"))
            }
            other => {
                DecodeError::damaged(format!("its audio track is not set up properly ({other})"))
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged_and_what_is_no_number_is_silence() {
        let cases: [(&str, &[f32], usize, &[f32]); 6] = [
            ("mono", &[0.5, -0.5], 1, &[0.5, -0.5]),
            ("stereo", &[1.0, 0.0, 0.2, 0.4], 2, &[0.5, 0.3]),
            ("a half frame at the end", &[1.0, 1.0, 1.0], 2, &[1.0]),
            (
                "not a number",
                &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY],
                1,
                &[0.0, 0.0, 0.0],
            ),
            ("too loud", &[1e30, -7.0], 1, &[1.0, -1.0]),
            ("no channels", &[0.1, 0.2], 0, &[]),
        ];
        for (name, interleaved, channels, expected) in cases {
            let mut sound = Sound::default();
            sound.mix(interleaved, channels);
            assert_eq!(sound.samples.len(), expected.len(), "{name}");
            for (got, want) in sound.samples.iter().zip(expected) {
                assert!((got - want).abs() < 1e-6, "{name}: {got} instead of {want}");
            }
        }
    }
}
