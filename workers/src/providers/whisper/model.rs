//! The network and how it is put together from a weights file.
//!
//! Sizes are read off the variables, so that every multilingual Whisper loads: base, small, medium,
//! large-v3 with its 128 mel bins, and distilled ones with fewer decoder layers.

use candle_core::{Device, Tensor};

use super::decoder::{CrossAttention, Decoder, DecoderLayer, SelfAttention};
use super::encoder::{Convolution, Encoder, EncoderLayer};
use super::errors::LoadError;
use super::layers::FeedForward;
use super::linear::{LayerNorm, Linear, Precision};
use super::weights::WeightsFile;

/// Bounds a hostile file: large has 32.
const MAX_LAYERS: usize = 64;
const KERNEL: usize = 3;

#[derive(Debug)]
pub(super) struct Model {
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    /// 80, or 128 from large-v3 on.
    pub(super) mel_bins: usize,
    /// Scores per token, which is how many entries the vocabulary must have.
    pub(super) vocabulary: usize,
    /// Audio features the encoder can place, one for each 20 ms.
    pub(super) audio_positions: usize,
    /// Tokens the decoder can place, the prompt included.
    pub(super) text_positions: usize,
}

impl Model {
    pub(super) fn load(file: WeightsFile) -> Result<Self, LoadError> {
        let [_, mel_bins, _] = dims(&file, "encoder/conv1/weight")?;
        let [audio_positions, width] = dims(&file, "encoder/position_encodings/encodings")?;
        let [text_positions, _] = dims(&file, "decoder/position_encodings/encodings")?;
        let [vocabulary, _] = dims(&file, "decoder/embeddings/weight")?;
        let mut builder = Builder { file, width };
        Ok(Self {
            encoder: builder.encoder(mel_bins, audio_positions)?,
            decoder: builder.decoder(vocabulary, text_positions)?,
            mel_bins,
            vocabulary,
            audio_positions,
            text_positions,
        })
    }
}

fn dims<const N: usize>(file: &WeightsFile, name: &str) -> Result<[usize; N], LoadError> {
    let found = file
        .dims(name)
        .ok_or_else(|| LoadError::Missing(name.to_owned()))?;
    let sizes = <[usize; N]>::try_from(found)
        .ok()
        .filter(|sizes| !sizes.contains(&0));
    sizes.ok_or_else(|| LoadError::NotAModel(format!("{name} is {found:?}")))
}

/// Where 8-bit multiplication of many rows at once has kernels that beat 32-bit floats. Without them the
/// encoder stays in floats; the decoder, which multiplies single rows and waits for memory, does not.
fn encoder_precision() -> Precision {
    #[cfg(target_arch = "x86_64")]
    let fast = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(target_arch = "aarch64")]
    let fast = std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let fast = false;
    if fast {
        Precision::Eight
    } else {
        Precision::Full
    }
}

struct Builder {
    file: WeightsFile,
    width: usize,
}

impl Builder {
    fn encoder(&mut self, mel_bins: usize, positions: usize) -> Result<Encoder, LoadError> {
        let heads = self.heads("encoder")?;
        let layers = (0..self.layers("encoder")?)
            .map(|index| self.encoder_layer(&format!("encoder/layer_{index}"), heads))
            .collect::<Result<_, _>>()?;
        Ok(Encoder {
            convolutions: [
                self.convolution("encoder/conv1", mel_bins, 1)?,
                self.convolution("encoder/conv2", self.width, 2)?,
            ],
            positions: self.tensor(
                "encoder/position_encodings/encodings",
                &[positions, self.width],
            )?,
            heads,
            layers,
            norm: self.norm("encoder/layer_norm")?,
        })
    }

    fn encoder_layer(&mut self, name: &str, heads: usize) -> Result<EncoderLayer, LoadError> {
        let precision = encoder_precision();
        let attention = format!("{name}/self_attention");
        Ok(EncoderLayer {
            norm: self.norm(&format!("{attention}/layer_norm"))?,
            input: self.attention_input(&format!("{attention}/linear_0"), 3, heads, precision)?,
            output: self.square(&format!("{attention}/linear_1"), precision)?,
            feed_forward: self.feed_forward(&format!("{name}/ffn"), precision)?,
        })
    }

    fn decoder(&mut self, vocabulary: usize, positions: usize) -> Result<Decoder, LoadError> {
        let heads = self.heads("decoder")?;
        let layers = (0..self.layers("decoder")?)
            .map(|index| self.decoder_layer(&format!("decoder/layer_{index}"), heads))
            .collect::<Result<_, _>>()?;
        let shape = (vocabulary, self.width);
        let tokens = self
            .file
            .floats("decoder/embeddings/weight", &[shape.0, shape.1])?;
        Ok(Decoder {
            tokens: Linear::new(tokens, None, shape, Precision::Eight)?,
            positions: self.tensor(
                "decoder/position_encodings/encodings",
                &[positions, self.width],
            )?,
            heads,
            layers,
            norm: self.norm("decoder/layer_norm")?,
        })
    }

    fn decoder_layer(&mut self, name: &str, heads: usize) -> Result<DecoderLayer, LoadError> {
        let precision = Precision::Eight;
        let own = format!("{name}/self_attention");
        let cross = format!("{name}/attention");
        Ok(DecoderLayer {
            attention: SelfAttention {
                norm: self.norm(&format!("{own}/layer_norm"))?,
                input: self.attention_input(&format!("{own}/linear_0"), 3, heads, precision)?,
                output: self.square(&format!("{own}/linear_1"), precision)?,
            },
            listening: CrossAttention {
                norm: self.norm(&format!("{cross}/layer_norm"))?,
                queries: self.attention_input(&format!("{cross}/linear_0"), 1, heads, precision)?,
                audio: self.linear(
                    &format!("{cross}/linear_1"),
                    (2 * self.width, self.width),
                    precision,
                )?,
                output: self.square(&format!("{cross}/linear_2"), precision)?,
            },
            feed_forward: self.feed_forward(&format!("{name}/ffn"), precision)?,
        })
    }

    /// `stacked` matrices, the first of which makes the queries. Attention divides the product of queries
    /// and keys by the root of a head's width: done here once, to the weights, instead of at each step.
    fn attention_input(
        &mut self,
        name: &str,
        stacked: usize,
        heads: usize,
        precision: Precision,
    ) -> Result<Linear, LoadError> {
        let shape = (stacked * self.width, self.width);
        let (mut weight, mut bias) = self.weight_and_bias(name, shape)?;
        #[allow(clippy::cast_precision_loss, reason = "a head is 64 values wide")]
        let scale = ((self.width / heads) as f32).sqrt().recip();
        for value in &mut weight[..self.width * self.width] {
            *value *= scale;
        }
        for value in &mut bias[..self.width] {
            *value *= scale;
        }
        Ok(Linear::new(weight, Some(bias), shape, precision)?)
    }

    fn feed_forward(&mut self, name: &str, precision: Precision) -> Result<FeedForward, LoadError> {
        let [inner, _] = dims(&self.file, &format!("{name}/linear_0/weight"))?;
        Ok(FeedForward {
            norm: self.norm(&format!("{name}/layer_norm"))?,
            expand: self.linear(&format!("{name}/linear_0"), (inner, self.width), precision)?,
            contract: self.linear(&format!("{name}/linear_1"), (self.width, inner), precision)?,
        })
    }

    fn convolution(
        &mut self,
        name: &str,
        inputs: usize,
        stride: usize,
    ) -> Result<Convolution, LoadError> {
        let outputs = self.width;
        let bias = self.tensor(&format!("{name}/bias"), &[outputs])?;
        Ok(Convolution {
            weight: self.tensor(&format!("{name}/weight"), &[outputs, inputs, KERNEL])?,
            bias: bias.reshape((1, outputs, 1))?,
            stride,
        })
    }

    fn square(&mut self, name: &str, precision: Precision) -> Result<Linear, LoadError> {
        self.linear(name, (self.width, self.width), precision)
    }

    fn linear(
        &mut self,
        name: &str,
        shape: (usize, usize),
        precision: Precision,
    ) -> Result<Linear, LoadError> {
        let (weight, bias) = self.weight_and_bias(name, shape)?;
        Ok(Linear::new(weight, Some(bias), shape, precision)?)
    }

    fn weight_and_bias(
        &mut self,
        name: &str,
        (outputs, inputs): (usize, usize),
    ) -> Result<(Vec<f32>, Vec<f32>), LoadError> {
        Ok((
            self.file
                .floats(&format!("{name}/weight"), &[outputs, inputs])?,
            self.file.floats(&format!("{name}/bias"), &[outputs])?,
        ))
    }

    fn norm(&mut self, name: &str) -> Result<LayerNorm, LoadError> {
        Ok(LayerNorm::new(
            self.file.floats(&format!("{name}/gamma"), &[self.width])?,
            self.file.floats(&format!("{name}/beta"), &[self.width])?,
        )?)
    }

    fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<Tensor, LoadError> {
        let values = self.file.floats(name, dims)?;
        Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
    }

    fn heads(&mut self, part: &str) -> Result<usize, LoadError> {
        let name = format!("{part}/num_heads");
        let found = self.file.integer(&name)?;
        usize::try_from(found)
            .ok()
            .filter(|&heads| heads > 0 && self.width.is_multiple_of(heads))
            .ok_or_else(|| {
                LoadError::NotAModel(format!("{name} is {found} at width {}", self.width))
            })
    }

    fn layers(&self, part: &str) -> Result<usize, LoadError> {
        let count = (0..=MAX_LAYERS)
            .take_while(|index| {
                let name = format!("{part}/layer_{index}/ffn/linear_0/weight");
                self.file.dims(&name).is_some()
            })
            .count();
        match count {
            1..=MAX_LAYERS => Ok(count),
            _ => Err(LoadError::NotAModel(format!(
                "{part} has {count} layers or more"
            ))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::weights::tests::Writer;
    use super::*;

    const WIDTH: usize = 32;
    const BINS: usize = 80;
    pub(in super::super) const VOCABULARY: usize = 16;

    /// Small numbers that differ from each other, the same in each run.
    fn values(count: usize) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7_919 % 1_009) as f32 / 1_009.0 - 0.5) * 0.4)
            .collect()
    }

    fn write(writer: Writer, name: &str, dims: &[usize]) -> Writer {
        writer.floats(name, dims, &values(dims.iter().product()))
    }

    fn linear(writer: Writer, name: &str, outputs: usize, inputs: usize) -> Writer {
        let writer = write(writer, &format!("{name}/weight"), &[outputs, inputs]);
        write(writer, &format!("{name}/bias"), &[outputs])
    }

    fn norm(writer: Writer, name: &str) -> Writer {
        let writer = writer.floats(&format!("{name}/gamma"), &[WIDTH], &[1.0; WIDTH]);
        writer.floats(&format!("{name}/beta"), &[WIDTH], &[0.0; WIDTH])
    }

    fn block(mut writer: Writer, name: &str, outputs: &[usize]) -> Writer {
        for (index, &count) in outputs.iter().enumerate() {
            let inputs = if index == 1 && name.ends_with("ffn") {
                2 * WIDTH
            } else {
                WIDTH
            };
            writer = linear(writer, &format!("{name}/linear_{index}"), count, inputs);
        }
        norm(writer, &format!("{name}/layer_norm"))
    }

    fn side(mut writer: Writer, name: &str, positions: usize) -> Writer {
        let own = [3 * WIDTH, WIDTH];
        writer = block(writer, &format!("{name}/layer_0/self_attention"), &own);
        writer = block(writer, &format!("{name}/layer_0/ffn"), &[2 * WIDTH, WIDTH]);
        writer = writer.variable(&format!("{name}/num_heads"), &[], 2, &[2, 0]);
        writer = write(
            writer,
            &format!("{name}/position_encodings/encodings"),
            &[positions, WIDTH],
        );
        norm(writer, &format!("{name}/layer_norm"))
    }

    /// Weights of one encoder and one decoder layer that mean nothing.
    pub(in super::super) fn tiny() -> Vec<u8> {
        let mut writer = Writer::new();
        writer = write(writer, "encoder/conv1/weight", &[WIDTH, BINS, KERNEL]);
        writer = write(writer, "encoder/conv1/bias", &[WIDTH]);
        writer = write(writer, "encoder/conv2/weight", &[WIDTH, WIDTH, KERNEL]);
        writer = write(writer, "encoder/conv2/bias", &[WIDTH]);
        writer = side(writer, "encoder", 1_500);
        writer = side(writer, "decoder", 64);
        writer = block(
            writer,
            "decoder/layer_0/attention",
            &[WIDTH, 2 * WIDTH, WIDTH],
        );
        write(writer, "decoder/embeddings/weight", &[VOCABULARY, WIDTH]).finish()
    }

    pub(in super::super) fn load(file: &[u8]) -> Result<Model, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.bin");
        fs::write(&path, file).unwrap();
        Model::load(WeightsFile::open(&path)?)
    }

    #[test]
    fn sizes_are_read_off_the_weights() {
        let model = load(&tiny()).unwrap();
        let sizes = (
            model.mel_bins,
            model.vocabulary,
            model.audio_positions,
            model.text_positions,
        );
        assert_eq!(sizes, (BINS, VOCABULARY, 1_500, 64));
        assert_eq!((model.encoder.heads, model.decoder.layers.len()), (2, 1));
    }

    #[test]
    fn a_missing_file_is_an_io_error() {
        let opened = WeightsFile::open(Path::new("/nonexistent/model.bin"));
        assert!(matches!(opened, Err(LoadError::Io { .. })));
    }

    #[test]
    fn weights_without_a_part_or_with_wrong_sizes_are_refused() {
        let tiny = tiny();
        let renamed = |from: &str, to: &str| {
            let at = tiny
                .windows(from.len())
                .position(|bytes| bytes == from.as_bytes())
                .unwrap();
            let mut file = tiny.clone();
            file[at..at + to.len()].copy_from_slice(to.as_bytes());
            file
        };
        let missing = load(&renamed(
            "decoder/layer_0/attention/linear_1",
            "decoder/layer_0/attention/linear_9",
        ));
        assert!(matches!(missing, Err(LoadError::Missing(_))));
        let unlayered = load(&renamed(
            "encoder/layer_0/ffn/linear_0",
            "encoder/layer_1/ffn/linear_0",
        ));
        assert!(matches!(unlayered, Err(LoadError::NotAModel(_))));
    }

    #[test]
    fn tokens_one_by_one_score_as_all_at_once() {
        let model = load(&tiny()).unwrap();
        let mel = Tensor::from_vec(values(BINS * 50), (1, BINS, 50), &Device::Cpu).unwrap();
        let features = model.encoder.forward(&mel).unwrap();
        assert_eq!(features.dims(), [1, 25, WIDTH]);
        let audio = model.decoder.listen(&features).unwrap();
        let tokens: Vec<u32> = (0..40).map(|index| index % 16).collect();
        let feed = |parts: &[&[u32]]| {
            let mut cache: Vec<_> = audio
                .iter()
                .map(super::super::cache::LayerCache::fresh)
                .collect();
            let mut last = Vec::new();
            for part in parts {
                let part = Tensor::new(*part, &Device::Cpu)
                    .unwrap()
                    .unsqueeze(0)
                    .unwrap();
                let hidden = model.decoder.forward(&part, &mut cache).unwrap();
                let count = hidden.dim(1).unwrap();
                last = model
                    .decoder
                    .scores(&hidden.narrow(1, count - 1, 1).unwrap())
                    .unwrap();
            }
            last.remove(0)
        };
        let at_once = feed(&[&tokens]);
        let singly = feed(&tokens.chunks(1).collect::<Vec<_>>());
        assert_eq!(
            at_once.len(),
            VOCABULARY,
            "the padding of the matrix is cut off"
        );
        for (a, b) in at_once.iter().zip(&singly) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
}
