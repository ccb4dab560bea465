//! The two building blocks with learned values: matrices and layer norms.

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Result, Tensor};

/// Epsilon of every layer norm in Whisper (PyTorch's default, which the models were trained with).
const LAYER_NORM_EPSILON: f32 = 1e-5;
/// Values that share one scale in ggml's Q8_0.
const Q8_BLOCK: usize = 32;
/// Rows are padded to this multiple, which the fast kernels for wide vector units ask for.
const ROW_TILE: usize = 16;

/// How a matrix is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Full,
    /// 8-bit integers with a scale for each 32 (ggml's Q8_0), multiplied with 8-bit activations.
    Eight,
}

/// `y = x·Wᵀ + b`, the matrix with one row for each output.
#[derive(Debug)]
pub(super) struct Linear {
    weight: QMatMul,
    bias: Option<Tensor>,
    outputs: usize,
}

impl Linear {
    /// `weight` holds `outputs × inputs` values, row by row.
    pub(super) fn new(
        mut weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        (outputs, inputs): (usize, usize),
        precision: Precision,
    ) -> Result<Self> {
        let weight = match precision {
            Precision::Eight if inputs.is_multiple_of(Q8_BLOCK) => {
                let rows = outputs.next_multiple_of(ROW_TILE);
                weight.resize(rows * inputs, 0.0);
                let full = Tensor::from_vec(weight, (rows, inputs), &Device::Cpu)?;
                QMatMul::from_qtensor(QTensor::quantize(&full, GgmlDType::Q8_0)?)?
            }
            _ => QMatMul::Tensor(Tensor::from_vec(weight, (outputs, inputs), &Device::Cpu)?),
        };
        let bias = bias
            .map(|bias| Tensor::from_vec(bias, outputs, &Device::Cpu))
            .transpose()?;
        Ok(Self {
            weight,
            bias,
            outputs,
        })
    }

    /// The last dimension of `x` is the inputs'.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.weight.forward(&x.contiguous()?)?;
        let last = y.rank() - 1;
        let y = match y.dim(last)? {
            rows if rows > self.outputs => y.narrow(last, 0, self.outputs)?,
            _ => y,
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Rows of the matrix, for a matrix that serves as an embedding too.
    pub(super) fn rows(&self, indexes: &Tensor) -> Result<Tensor> {
        self.weight.embedding(indexes)
    }
}

#[derive(Debug)]
pub(super) struct LayerNorm {
    gamma: Tensor,
    beta: Tensor,
}

impl LayerNorm {
    pub(super) fn new(gamma: Vec<f32>, beta: Vec<f32>) -> Result<Self> {
        Ok(Self {
            gamma: Tensor::new(gamma, &Device::Cpu)?,
            beta: Tensor::new(beta, &Device::Cpu)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(
            &x.contiguous()?,
            &self.gamma,
            &self.beta,
            LAYER_NORM_EPSILON,
        )
    }
}
