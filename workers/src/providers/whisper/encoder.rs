//! Log-mel frames to audio features, one for each 20 ms.

use candle_core::{Result, Tensor};

use super::layers::{FeedForward, attend_head_by_head, join_heads, split_heads};
use super::linear::{LayerNorm, Linear};

/// A convolution over time with kernel 3, padding 1.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) weight: Tensor,
    /// `[1, channels, 1]`.
    pub(super) bias: Tensor,
    pub(super) stride: usize,
}

impl Convolution {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        const PADDING: usize = 1;
        x.conv1d(&self.weight, PADDING, self.stride, 1, 1)?
            .broadcast_add(&self.bias)?
            .gelu_erf()
    }
}

#[derive(Debug)]
pub(super) struct EncoderLayer {
    pub(super) norm: LayerNorm,
    /// Queries, keys and values stacked.
    pub(super) input: Linear,
    pub(super) output: Linear,
    pub(super) feed_forward: FeedForward,
}

impl EncoderLayer {
    fn forward(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let stacked = self.input.forward(&self.norm.forward(x)?)?.chunk(3, 2)?;
        let split = stacked
            .iter()
            .map(|part| split_heads(part, heads))
            .collect::<Result<Vec<_>>>()?;
        let attended = attend_head_by_head(&split[0], &split[1], &split[2])?;
        let x = (x + self.output.forward(&join_heads(&attended)?)?)?;
        self.feed_forward.forward(&x)
    }
}

#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) convolutions: [Convolution; 2],
    /// `[positions, width]`; shorter input uses the first ones.
    pub(super) positions: Tensor,
    pub(super) heads: usize,
    pub(super) layers: Vec<EncoderLayer>,
    pub(super) norm: LayerNorm,
}

impl Encoder {
    /// `mel` is `[1, bins, frames]`; the result is `[1, frames / 2, width]`.
    pub(super) fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.convolutions;
        let x = second.forward(&first.forward(mel)?)?.transpose(1, 2)?;
        let positions = self.positions.narrow(0, 0, x.dim(1)?)?;
        let mut x = x.broadcast_add(&positions)?;
        for layer in &self.layers {
            x = layer.forward(&x, self.heads)?;
        }
        self.norm.forward(&x)
    }
}
