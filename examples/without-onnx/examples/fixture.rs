//! Makes the small model that is built in by default: `tests/fixtures/model.onnx`, with made-up weights that are the same
//! everywhere, and `native`, what the stage `export` writes for it. `tests/fixtures/make_logits.py` comes after it.

use std::path::Path;

use anyhow::Result;
use prost::Message;
use wellformed_core::bundle::Precision;
use wellformed_core::files::write_whole;
use wellformed_export::native;
use wellformed_onnx::{Activation, Architecture, Pooling, Weight, initializers, model};

fn main() -> Result<()> {
    let architecture = Architecture {
        vocabulary: 40,
        embedding: None,
        hidden: 16,
        layers: 2,
        heads: 4,
        inner: 24,
        positions: 12,
        epsilon: 1e-12,
        activation: Activation::Gelu,
        pooling: Pooling::Mean,
        temperature: 1.7,
        precision: Precision::Fp32,
    };
    let mut state = 1;
    let weights = initializers(&architecture).into_iter().map(|spec| {
        let middle = if spec.name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..spec.dims.iter().product()).map(|_| middle + noise(&mut state)).collect();
        (spec.name, Weight::from_f32(spec.dims, &values))
    });
    let bytes = model(&architecture, weights.collect())?.encode_to_vec();

    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let onnx = here.join("tests/fixtures/model.onnx");
    write_whole(&onnx, |file| Ok(file.write_all(&bytes)?))?;
    native::write(&onnx, &here.join("native"))
}

/// From −0.5 to 0.5: xorshift, in steps that a 32-bit float holds exactly.
fn noise(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 48) as f32 / 65_536.0 - 0.5
}
