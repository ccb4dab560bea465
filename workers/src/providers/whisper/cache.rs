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

#[cfg(test)]
mod tests {
    use super::*;

    /// One head of width 1, so that a past is a list of numbers.
    fn column(hypotheses: &[&[f32]]) -> Tensor {
        let tokens = hypotheses[0].len();
        let values = hypotheses.concat();
        Tensor::from_vec(values, (hypotheses.len(), 1, tokens, 1), &Device::Cpu).unwrap()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        let (hypotheses, _, tokens, _) = tensor.dims4().unwrap();
        tensor
            .reshape((hypotheses, tokens))
            .unwrap()
            .to_vec2()
            .unwrap()
    }

    #[test]
    fn the_past_grows_beyond_its_first_room() {
        let mut past = KeyValues::default();
        let count = GROWTH * 2 + 3;
        for index in 0..count {
            let newest = column(&[&[index as f32]]);
            let (keys, values) = past.append(&newest, &newest).unwrap();
            assert_eq!(rows(&keys), rows(&values));
            assert_eq!(rows(&keys)[0].len(), index + 1);
        }
        let (keys, _) = past
            .append(&column(&[&[-1.0]]), &column(&[&[-1.0]]))
            .unwrap();
        let expected: Vec<f32> = (0..count).map(|index| index as f32).chain([-1.0]).collect();
        assert_eq!(rows(&keys), [expected]);
    }

    #[test]
    fn selected_hypotheses_go_on_apart() {
        let mut past = KeyValues::default();
        let first = column(&[&[1.0, 2.0], &[3.0, 4.0]]);
        past.append(&first, &first).unwrap();
        past.select(&Tensor::new(&[1_u32, 1, 0], &Device::Cpu).unwrap())
            .unwrap();
        let next = column(&[&[5.0], &[6.0], &[7.0]]);
        let (keys, _) = past.append(&next, &next).unwrap();
        assert_eq!(
            rows(&keys),
            [[3.0, 4.0, 5.0], [3.0, 4.0, 6.0], [1.0, 2.0, 7.0]]
        );
    }
}
