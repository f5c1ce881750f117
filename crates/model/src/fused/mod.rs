//! The encoder on Burn's `flex` device, fused.
//!
//! In plain Burn operations an encoder layer is some forty autodiff nodes, each with a freshly allocated tensor, and
//! batches are padded. Here a layer is *one* node with a hand-written backward pass, sentences are packed without
//! padding, activations are made in the buffer that the matrix product before them returned, and dropout masks are
//! computed rather than stored. Matrix products are Burn's own (`Flex::float_matmul`) or, in mixed precision, those of
//! [`wellformed_kernels::bf16`]; parameters, autodiff graph and optimiser stay Burn's.
//!
//! `tests/fused.rs` holds the outputs and every gradient in 32 bits against the tensor operations of
//! [`crate::composed`]; the stage `train` holds mixed precision against PyTorch.

mod attention;
mod embedding;
mod kernels;
mod layer;
mod products;

use std::sync::Arc;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_autodiff::ops::NodeGuard;
use burn_flex::FlexTensor;
use wellformed_core::params::Pooling;

use crate::batch::Batch;
use crate::classifier::{Classifier, Mode};
use products::Arithmetic;

/// What is the same for every layer of one forward pass.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    offsets: Arc<Vec<usize>>,
    /// `None` at inference.
    seed: Option<u64>,
    hidden_dropout: f64,
    attention_dropout: f64,
    epsilon: f32,
    /// Of the layers' matrix products.
    arithmetic: Arithmetic,
}

impl Pass {
    fn hidden_mask(&self, site: u32) -> Option<kernels::Mask> {
        kernels::Mask::new(self.seed?, site, self.hidden_dropout)
    }

    fn attention_mask(&self, site: u32) -> Option<kernels::Mask> {
        kernels::Mask::new(self.seed?, site, self.attention_dropout)
    }
}

/// The pooled vectors `[sentences, hidden]`.
pub(crate) fn pooled(classifier: &Classifier, batch: &Batch, mode: Mode) -> Tensor<2> {
    let architecture = &classifier.architecture;
    let (seed, arithmetic) = match mode {
        Mode::Inference => (None, Arithmetic::Single),
        Mode::Training { seed, precision } => (Some(seed), Arithmetic::of(precision)),
    };
    let pass = Pass {
        offsets: Arc::new(batch.offsets.clone()),
        seed,
        arithmetic,
        hidden_dropout: architecture.hidden_dropout,
        attention_dropout: architecture.attention_dropout,
        epsilon: architecture.encoder.layer_norm_eps as f32,
    };
    let embeddings = &classifier.weights.embeddings;
    let embedded = embedding::forward(embeddings, architecture.encoder.first_position(), batch, &pass);
    let mut hidden = match &embeddings.projection {
        Some(projection) => projection.forward(embedded),
        None => embedded,
    };
    for (index, layer) in classifier.weights.layers.iter().enumerate() {
        hidden = layer::forward(layer, index, hidden, &architecture.encoder, &pass);
    }
    pool(hidden, batch, architecture.pooling)
}

/// Pooling is a product with a matrix `[sentences, tokens]`: rows of 1/length, or a single 1 at `[CLS]`.
fn pool(hidden: Tensor<2>, batch: &Batch, pooling: Pooling) -> Tensor<2> {
    let tokens = batch.tokens();
    let mut weights = vec![0.0_f32; batch.len() * tokens];
    for (sentence, pair) in batch.offsets.windows(2).enumerate() {
        let row = &mut weights[sentence * tokens..][..tokens];
        match pooling {
            Pooling::Cls => row[pair[0]] = 1.0,
            Pooling::Mean => row[pair[0]..pair[1]].fill(1.0 / (pair[1] - pair[0]) as f32),
        }
    }
    let weights = TensorData::new(weights, [batch.len(), tokens]);
    Tensor::<2>::from_data(weights, &hidden.device()).matmul(hidden)
}

/// A tensor of this device, with its autodiff node when it has one.
struct Input {
    primitive: FlexTensor,
    node: Option<NodeGuard>,
}

impl Input {
    /// # Panics
    ///
    /// When the tensor is not on the `flex` device; [`Classifier::fused`] is set on no other.
    #[expect(clippy::expect_used, reason = "the caller has chosen this path because the device is flex")]
    fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        if tensor.is_autodiff() {
            let tensor = tensor.try_into_primitive::<Autodiff<Flex>>().expect("a tensor on the flex device");
            let (primitive, node) = tensor.into_parts();
            return Self { primitive: contiguous(primitive), node: Some(node) };
        }
        let primitive = tensor.try_into_primitive::<Flex>().expect("a tensor on the flex device");
        Self { primitive: contiguous(primitive), node: None }
    }
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 { tensor } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor.
///
/// # Panics
///
/// When the tensor is not contiguous or not of 32-bit floats; [`Input`] and this module's own tensors are.
#[expect(clippy::expect_used, reason = "an invariant of this module, not of the user's input")]
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a contiguous tensor of f32")
}

/// Wraps values without copying.
fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The values of a contiguous tensor, to be changed in place; copied first if the tensor has another owner.
///
/// The result of a matrix product is changed this way rather than turned into a vector, for which Burn would copy it:
/// it allocates it as bytes, and a vector of floats may not take over memory of another alignment.
fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut::<f32>()
}

/// A layer norm's input in units of its deviation, and 1 / deviation of each row, for the backward pass.
#[derive(Debug, Clone)]
struct Normalised {
    unit: FlexTensor,
    inverse: Vec<f32>,
}

impl Normalised {
    fn values(&self) -> (&[f32], &[f32]) {
        (values(&self.unit), &self.inverse)
    }
}
