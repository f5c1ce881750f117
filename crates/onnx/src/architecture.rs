//! What a model is made of; the graph follows from it.

use serde::{Deserialize, Serialize};
use wellformed_core::bundle::Precision;

use crate::error::Error;

/// The activation between the two feed-forward matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · 0.5 · (1 + erf(x / √2)).
    Gelu,
    /// The tanh approximation: 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))).
    GeluNew,
    /// max(x, 0).
    Relu,
}

/// How one vector is made of a sequence, and what follows the dense layer of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over the real tokens; then dense and GELU with the error function, whatever [`Activation`] is.
    Mean,
    /// The first token; then dense and tanh.
    Cls,
    /// The first token; then dense and GELU with the error function, whatever [`Activation`] is.
    ClsGelu,
}

/// What a model file says of itself, as JSON under [`Architecture::KEY`] in its metadata. Nodes, constants and the
/// shapes of all weights follow from it: [`crate::graph`], [`crate::initializers`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of the embeddings, where it is another than `hidden`: a product then leads from the one to the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads; they divide `hidden`.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub inner: usize,
    /// Longest sequence in tokens: the first has position 0, whatever row of its own table a base model began with.
    pub positions: usize,
    /// Added to the variance in layer norms.
    pub epsilon: f32,
    /// Of the feed-forward layer.
    pub activation: Activation,
    /// From token vectors to one vector.
    pub pooling: Pooling,
    /// Probabilities are softmax(logits / temperature).
    pub temperature: f64,
    /// The numbers that the matrices are in.
    pub precision: Precision,
}

impl Architecture {
    /// The key in the file's metadata.
    pub const KEY: &'static str = "wellformed.architecture";

    /// Width of the embeddings.
    pub fn embedding_width(&self) -> usize {
        self.embedding.unwrap_or(self.hidden)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden / self.heads
    }

    /// Checks that such a model can be: far larger ones than any BERT pass, numbers without sense do not.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] names the field.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Architecture { problem });
        for (name, value, most) in [
            ("vocabulary", self.vocabulary, 1 << 24),
            ("hidden", self.hidden, 1 << 16),
            ("embedding", self.embedding_width(), 1 << 16),
            ("layers", self.layers, 1 << 10),
            ("heads", self.heads, 1 << 16),
            ("inner", self.inner, 1 << 18),
            ("positions", self.positions, 1 << 20),
        ] {
            if value == 0 || value > most {
                return refuse(format!("{name} is {value}, but must be from 1 to {most}"));
            }
        }
        // One way to say each thing, so that two files of one model are the same bytes.
        if self.embedding == Some(self.hidden) {
            return refuse(format!("embedding is {0}, as hidden is, but must then be left out", self.hidden));
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return refuse(format!("hidden is {}, but must be a multiple of heads ({})", self.hidden, self.heads));
        }
        for (name, value) in [("epsilon", self.epsilon), ("temperature", self.temperature as f32)] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(format!("{name} is {value} as a 32-bit float, but must be a number above 0"));
            }
        }
        Ok(())
    }
}
