//! Audio features and the tokens so far to scores for the next token.

use candle_core::{Device, Result, Tensor};

use super::cache::{KeyValues, LayerCache};
use super::layers::{FeedForward, attend, join_heads, split_heads};
use super::linear::{LayerNorm, Linear};

#[derive(Debug)]
pub(super) struct SelfAttention {
    pub(super) norm: LayerNorm,
    /// Queries, keys and values stacked.
    pub(super) input: Linear,
    pub(super) output: Linear,
}

impl SelfAttention {
    fn forward(
        &self,
        x: &Tensor,
        heads: usize,
        mask: Option<&Tensor>,
        cache: &mut KeyValues,
    ) -> Result<Tensor> {
        let stacked = self.input.forward(&self.norm.forward(x)?)?.chunk(3, 2)?;
        let queries = split_heads(&stacked[0], heads)?;
        let (keys, values) = cache.append(
            &split_heads(&stacked[1], heads)?,
            &split_heads(&stacked[2], heads)?,
        )?;
        let attended = attend(&queries, &keys, &values, mask)?;
        x + self.output.forward(&join_heads(&attended)?)?
    }
}

#[derive(Debug)]
pub(super) struct CrossAttention {
    pub(super) norm: LayerNorm,
    pub(super) queries: Linear,
    /// Keys and values stacked.
    pub(super) audio: Linear,
    pub(super) output: Linear,
}

impl CrossAttention {
    fn keys_and_values(&self, audio: &Tensor, heads: usize) -> Result<(Tensor, Tensor)> {
        let stacked = self.audio.forward(audio)?.chunk(2, 2)?;
        Ok((
            split_heads(&stacked[0], heads)?,
            split_heads(&stacked[1], heads)?,
        ))
    }

    /// All hypotheses listen to the same audio, so their queries are stacked in time: one
    /// multiplication for all, and the keys and values are never copied.
    fn forward(
        &self,
        x: &Tensor,
        heads: usize,
        (keys, values): &(Tensor, Tensor),
    ) -> Result<Tensor> {
        let queries = self.queries.forward(&self.norm.forward(x)?)?;
        let (batch, time, width) = queries.dims3()?;
        let queries = split_heads(&queries.reshape((1, batch * time, width))?, heads)?;
        let attended = join_heads(&attend(&queries, keys, values, None)?)?;
        x + self
            .output
            .forward(&attended.reshape((batch, time, width))?)?
    }
}

#[derive(Debug)]
pub(super) struct DecoderLayer {
    pub(super) attention: SelfAttention,
    pub(super) listening: CrossAttention,
    pub(super) feed_forward: FeedForward,
}

#[derive(Debug)]
pub(super) struct Decoder {
    /// Embeds the tokens, and scores them at the end.
    pub(super) tokens: Linear,
    /// `[positions, width]`.
    pub(super) positions: Tensor,
    pub(super) heads: usize,
    pub(super) layers: Vec<DecoderLayer>,
    pub(super) norm: LayerNorm,
}

impl Decoder {
    /// What this decoder remembers of one piece of audio, before any token.
    pub(super) fn listen(&self, audio: &Tensor) -> Result<Vec<LayerCache>> {
        self.layers
            .iter()
            .map(|layer| {
                Ok(LayerCache {
                    past: KeyValues::default(),
                    audio: layer.listening.keys_and_values(audio, self.heads)?,
                })
            })
            .collect()
    }

    /// Feeds as many tokens to each hypothesis as the others get, after the `past` ones in the cache.
    /// The result is `[hypotheses, tokens, width]`.
    pub(super) fn forward(&self, tokens: &Tensor, cache: &mut [LayerCache]) -> Result<Tensor> {
        let (_, count) = tokens.dims2()?;
        let past = cache.first().map_or(0, |layer| layer.past.len());
        let positions = self.positions.narrow(0, past, count)?;
        let mask = (count > 1).then(|| causal_mask(past, count)).transpose()?;
        let mut x = self.tokens.rows(tokens)?.broadcast_add(&positions)?;
        for (layer, cache) in self.layers.iter().zip(cache) {
            x = layer
                .attention
                .forward(&x, self.heads, mask.as_ref(), &mut cache.past)?;
            x = layer.listening.forward(&x, self.heads, &cache.audio)?;
            x = layer.feed_forward.forward(&x)?;
        }
        Ok(x)
    }

    /// One score for each token of the vocabulary, from hidden states `[hypotheses, 1, width]`.
    pub(super) fn scores(&self, hidden: &Tensor) -> Result<Vec<Vec<f32>>> {
        self.tokens
            .forward(&self.norm.forward(hidden)?)?
            .squeeze(1)?
            .to_vec2()
    }
}

/// `[count, past + count]`: zero where a token may look, minus infinity at later tokens.
fn causal_mask(past: usize, count: usize) -> Result<Tensor> {
    let mask = (0..count)
        .flat_map(|row| {
            (0..past + count).map(move |column| {
                if column > past + row {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
        })
        .collect::<Vec<_>>();
    Tensor::from_vec(mask, (count, past + count), &Device::Cpu)
}
