//! Keys and values of what a decoder has seen, so that each token is computed once.

use candle_core::{Device, Result, Tensor};

/// Room is made for this many tokens at a time: a copy of the past each 64 tokens instead of each one.
const GROWTH: usize = 64;

/// Of one decoder layer, for all hypotheses of one decoding.
#[derive(Debug)]
pub(super) struct LayerCache {
    pub(super) past: KeyValues,
    /// Keys and values of the audio, which all hypotheses share.
    pub(super) audio: (Tensor, Tensor),
}

impl LayerCache {
    /// The same audio with no token seen.
    pub(super) fn fresh(&self) -> Self {
        Self {
            past: KeyValues::default(),
            audio: self.audio.clone(),
        }
    }
}

/// Past keys and values, `[hypotheses, heads, room, width of a head]`, of which the first `length` hold.
#[derive(Debug, Default)]
pub(super) struct KeyValues {
    buffers: Option<(Tensor, Tensor)>,
    length: usize,
}

impl KeyValues {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds the newest and gives back all.
    pub(super) fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let added = keys.dim(2)?;
        let (key_buffer, value_buffer) = self.with_room_for(added, keys)?;
        key_buffer.slice_set(keys, 2, self.length)?;
        value_buffer.slice_set(values, 2, self.length)?;
        self.length += added;
        let all = (
            key_buffer.narrow(2, 0, self.length)?,
            value_buffer.narrow(2, 0, self.length)?,
        );
        self.buffers = Some((key_buffer, value_buffer));
        Ok(all)
    }

    /// Keeps the pasts of the named hypotheses, in that order; one may be named more than once.
    pub(super) fn select(&mut self, hypotheses: &Tensor) -> Result<()> {
        if let Some((keys, values)) = &self.buffers {
            self.buffers = Some((
                keys.index_select(hypotheses, 0)?,
                values.index_select(hypotheses, 0)?,
            ));
        }
        Ok(())
    }

    fn with_room_for(&mut self, added: usize, like: &Tensor) -> Result<(Tensor, Tensor)> {
        let (hypotheses, heads, _, width) = like.dims4()?;
        let needed = self.length + added;
        let room = |tokens| {
            Tensor::zeros(
                (hypotheses, heads, tokens, width),
                like.dtype(),
                &Device::Cpu,
            )
        };
        match self.buffers.take() {
            None => {
                let tokens = needed.next_multiple_of(GROWTH);
                Ok((room(tokens)?, room(tokens)?))
            }
            Some((keys, values)) if keys.dim(2)? < needed => {
                let tokens = needed.next_multiple_of(GROWTH) - keys.dim(2)?;
                Ok((
                    Tensor::cat(&[&keys, &room(tokens)?], 2)?,
                    Tensor::cat(&[&values, &room(tokens)?], 2)?,
                ))
            }
            Some(buffers) => Ok(buffers),
        }
    }
}
