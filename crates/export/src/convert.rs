//! From a checkpoint's tensors to the weights of an ONNX file.

use anyhow::{Context, Result, ensure};
use wellformed_core::bundle::Precision;
use wellformed_core::family::HeadActivation;
use wellformed_core::params::Pooling;
use wellformed_model::classifier;
use wellformed_model::config::Activation;
use wellformed_model::weights::{Named, Tensors};
use wellformed_onnx::{self as onnx, Architecture, Weight, Weights};

/// The fp32 file's architecture, for sequences of at most `max_length` tokens (fewer, if the model knows fewer
/// positions).
///
/// # Errors
///
/// When an ONNX file cannot hold such a model; the field is named.
pub fn architecture(
    checkpoint: &classifier::Architecture,
    max_length: usize,
    temperature: f64,
) -> Result<Architecture, onnx::Error> {
    let encoder = &checkpoint.encoder;
    let architecture = Architecture {
        vocabulary: encoder.vocab_size,
        embedding: encoder.has_projection().then(|| encoder.embedding_width()),
        hidden: encoder.hidden_size,
        layers: encoder.num_hidden_layers,
        heads: encoder.num_attention_heads,
        inner: encoder.intermediate_size,
        positions: max_length.min(encoder.positions()),
        epsilon: encoder.layer_norm_eps as f32,
        activation: match encoder.hidden_act {
            Activation::Gelu => onnx::Activation::Gelu,
            Activation::GeluNew => onnx::Activation::GeluNew,
            Activation::Relu => onnx::Activation::Relu,
        },
        pooling: match (checkpoint.pooling, checkpoint.head_activation()) {
            (Pooling::Mean, _) => onnx::Pooling::Mean,
            (Pooling::Cls, HeadActivation::Tanh) => onnx::Pooling::Cls,
            (Pooling::Cls, HeadActivation::Gelu) => onnx::Pooling::ClsGelu,
        },
        temperature,
        precision: Precision::Fp32,
    };
    architecture.validate()?;
    Ok(architecture)
}

/// The fp32 file's weights, from tensors as [`classifier::Classifier::tensors`] gives them, of which sentences begin at
/// `first_position`:
///
/// * the embedding of token type 0, which every token has, is added to the positions, of which the longest sequence's
///   are kept, from the first token's on;
/// * query, key and value become one matrix, and the queries are divided by √(head size), so that attention needs no
///   scale of its own;
/// * matrices are turned, so that a product is x·W.
///
/// # Errors
///
/// When a tensor is missing.
pub fn weights(tensors: &Tensors, architecture: &Architecture, first_position: usize) -> Result<Weights> {
    let mut from = Source { tensors, weights: Weights::new() };
    let hidden = architecture.hidden;
    let width = architecture.embedding_width();

    let word = from.tensor("embeddings.word_embeddings.weight")?;
    from.put("embeddings.word", word.clone());
    let types = from.tensor("embeddings.token_type_embeddings.weight")?;
    let first = types.values.get(..width).context("the token type embeddings have no row 0")?;
    let positions = from.tensor("embeddings.position_embeddings.weight")?;
    let rows = positions.values.chunks_exact(width).skip(first_position).take(architecture.positions);
    let values = rows.flat_map(|row| row.iter().zip(first).map(|(position, kind)| position + kind)).collect();
    from.put("embeddings.position", Named { shape: vec![architecture.positions, width], values });
    from.vectors("embeddings.norm", "embeddings.LayerNorm")?;
    if architecture.embedding.is_some() {
        from.product("embeddings.projection", "embeddings.projection")?;
    }

    let scale = 1.0 / (architecture.head_size() as f64).sqrt();
    for index in 0..architecture.layers {
        let to = |part: &str| format!("layers.{index}.{part}");
        let of = |part: &str| format!("encoder.layer.{index}.{part}");
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            let mut weight = from.tensor(&of(&format!("attention.self.{part}.weight")))?.clone();
            let mut bias = from.tensor(&of(&format!("attention.self.{part}.bias")))?.clone();
            if part == "query" {
                for value in weight.values.iter_mut().chain(&mut bias.values) {
                    *value = (f64::from(*value) * scale) as f32;
                }
            }
            weights.extend(weight.values);
            biases.extend(bias.values);
        }
        // Rows of outputs, one below the other, are columns side by side once they are turned.
        from.put(&to("qkv.weight"), Named { shape: vec![3 * hidden, hidden], values: weights }.transposed());
        from.put(&to("qkv.bias"), Named { shape: vec![3 * hidden], values: biases });
        from.product(&to("attention"), &of("attention.output.dense"))?;
        from.vectors(&to("attention_norm"), &of("attention.output.LayerNorm"))?;
        from.product(&to("inner"), &of("intermediate.dense"))?;
        from.product(&to("outer"), &of("output.dense"))?;
        from.vectors(&to("outer_norm"), &of("output.LayerNorm"))?;
    }
    from.product("head", if architecture.pooling == onnx::Pooling::Mean { "head.dense" } else { "pooler.dense" })?;
    from.product("classifier", "classifier")?;
    Ok(from.weights)
}

struct Source<'a> {
    tensors: &'a Tensors,
    weights: Weights,
}

impl<'a> Source<'a> {
    fn tensor(&self, name: &str) -> Result<&'a Named> {
        self.tensors.get(name).with_context(|| format!("the checkpoint has no tensor {name}"))
    }

    fn put(&mut self, name: &str, Named { shape, values }: Named) {
        self.weights.insert(name.to_owned(), Weight::from_f32(shape, &values));
    }

    /// A matrix and its bias.
    fn product(&mut self, to: &str, from: &str) -> Result<()> {
        let weight = self.tensor(&format!("{from}.weight"))?;
        ensure!(weight.shape.len() == 2, "tensor {from}.weight has shape {:?}, but must be a matrix", weight.shape);
        self.put(&format!("{to}.weight"), weight.transposed());
        self.put(&format!("{to}.bias"), self.tensor(&format!("{from}.bias"))?.clone());
        Ok(())
    }

    /// A layer norm.
    fn vectors(&mut self, to: &str, from: &str) -> Result<()> {
        for part in ["weight", "bias"] {
            self.put(&format!("{to}.{part}"), self.tensor(&format!("{from}.{part}"))?.clone());
        }
        Ok(())
    }
}
