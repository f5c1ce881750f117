//! A trained model in a program of one's own, with Burn and without an ONNX runtime.
//!
//! The stage `export` writes the model as Rust source and a file of weights. Both are built in here, so that a program
//! with this in it needs nothing beside it but a tokenizer.

use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};

/// The source that `export` wrote.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("WELLFORMED_NATIVE"), "/model.rs"));
}

/// The weights that `export` wrote.
static WEIGHTS: &[u8] = include_bytes!(concat!(env!("WELLFORMED_NATIVE"), "/model.bpk"));

/// A model on the CPU.
#[derive(Debug)]
pub struct Classifier {
    model: generated::Model,
    device: Device,
}

/// What the model says about one sentence; index 1 is *acceptable*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Unnormalised.
    pub logits: [f32; 2],
    /// Calibrated; they add up to 1.
    pub probabilities: [f32; 2],
}

impl Classifier {
    /// The built-in model on Burn's pure-Rust CPU device.
    #[expect(clippy::new_without_default, reason = "unpacking all weights is not a thing to do by default")]
    pub fn new() -> Self {
        let device = Device::flex();
        let model = generated::Model::from_bytes(Bytes::from_bytes_vec(WEIGHTS.to_vec()), &device);
        Self { model, device }
    }

    /// The scores of several sentences, given as token ids with `[CLS]` and `[SEP]`. Shorter ones are padded to the
    /// longest, with a mask that takes the padding out of the computation.
    ///
    /// # Panics
    ///
    /// When a sentence has no tokens, a token that is not in the vocabulary, or more tokens than the model has
    /// positions: the generated source does not check its input.
    pub fn scores(&self, sentences: &[Vec<u32>]) -> Vec<Scores> {
        let longest = sentences.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Vec::new();
        }
        let mut ids = Vec::with_capacity(sentences.len() * longest);
        let mut mask = Vec::with_capacity(sentences.len() * longest);
        for sentence in sentences {
            assert!(!sentence.is_empty(), "a sentence has at least one token");
            ids.extend(sentence.iter().map(|id| i64::from(*id)).chain([0].into_iter().cycle()).take(longest));
            mask.extend((0..longest).map(|at| i64::from(at < sentence.len())));
        }
        let tensor = |values: Vec<i64>| {
            Tensor::<2, Int>::from_data(TensorData::new(values, [sentences.len(), longest]), &self.device)
        };
        let (logits, probabilities) = self.model.forward(tensor(ids), tensor(mask));
        let rows = |tensor: Tensor<2>| -> Vec<[f32; 2]> {
            let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
            values.chunks_exact(2).map(|row| [row[0], row[1]]).collect()
        };
        let rows = rows(logits).into_iter().zip(rows(probabilities));
        rows.map(|(logits, probabilities)| Scores { logits, probabilities }).collect()
    }
}
