//! Writes a bundle of any size with random weights, for `cargo xtask bench infer`: how fast a model is depends on its
//! shape, not on what it learned.
//!
//!     random_bundle FOLDER TOKENIZER LAYERS HIDDEN HEADS INNER

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use prost::Message;
use serde_json::Value;
use tokenizers::Tokenizer;
use wellformed_core::bundle::{
    Decision, FORMAT, FileEntry, Headline, MANIFEST, Manifest, Origin, Precision, TOKENIZER,
};
use wellformed_core::files::{sha256_bytes, write_json, write_whole};
use wellformed_core::label::Label;
use wellformed_onnx::{Activation, Architecture, Pooling, Weight, Weights, initializers, model, quantize};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, tokenizer, numbers @ ..] = arguments.as_slice() else {
        bail!("usage: random_bundle FOLDER TOKENIZER LAYERS HIDDEN HEADS INNER");
    };
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let [layers, hidden, heads, inner] = numbers[..] else { bail!("four numbers: LAYERS HIDDEN HEADS INNER") };
    let folder = PathBuf::from(folder);
    let tokenizer = std::fs::read(tokenizer).with_context(|| format!("cannot read {tokenizer}"))?;
    let read = Tokenizer::from_bytes(&tokenizer).map_err(|error| anyhow::anyhow!("{error}"))?;
    let vocabulary = read.get_vocab_size(true);

    let (positions, temperature) = (128, 1.0);
    let mut architecture = Architecture {
        vocabulary,
        embedding: None,
        hidden,
        layers,
        heads,
        inner,
        positions,
        epsilon: 1e-12,
        activation: Activation::Gelu,
        pooling: Pooling::Mean,
        temperature,
        precision: Precision::Fp32,
    };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut weights = Weights::new();
    for spec in initializers(&architecture) {
        let count = spec.dims.iter().product();
        let norm = spec.name.contains("norm.weight");
        let values: Vec<f32> = (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let uniform = (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
                if norm { 1.0 } else { uniform * 0.05 }
            })
            .collect();
        weights.insert(spec.name, Weight::from_f32(spec.dims, &values));
    }
    let quantized = quantize(&architecture, &weights)?;
    let float = model(&architecture, weights)?.encode_to_vec();
    architecture.precision = Precision::Int8;
    let byte = model(&architecture, quantized)?.encode_to_vec();

    let mut files = BTreeMap::new();
    for (name, bytes) in [(Precision::Fp32.file(), &float), (Precision::Int8.file(), &byte), (TOKENIZER, &tokenizer)] {
        write_whole(&folder.join(name), |writer| Ok(writer.write_all(bytes)?))?;
        files.insert(name.to_owned(), FileEntry { sha256: sha256_bytes(bytes), bytes: bytes.len() as u64 });
    }
    let manifest = Manifest {
        format: FORMAT,
        digest: String::new(),
        labels: Label::ALL,
        max_length: positions,
        vocabulary,
        calibration: Decision { temperature, threshold: 0.5 },
        default_precision: Precision::Int8,
        files,
        origin: Origin {
            data: BTreeMap::new(),
            base_model: "random".to_owned(),
            base_model_sha256: None,
            checkpoint_sha256: String::new(),
            git_commit: None,
            uncommitted: false,
            parameters: Value::Null,
        },
        metrics: Headline {
            sentences: 0,
            mcc: 0.0,
            mcc_low: 0.0,
            mcc_high: 0.0,
            accuracy: 0.0,
            int8_mcc: 0.0,
            ece: None,
        },
    };
    write_json(&folder.join(MANIFEST), &manifest.seal())
}
