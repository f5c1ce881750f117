//! Small models with made-up weights, the same everywhere.

use prost::Message;
use wellformed_core::bundle::Precision;
use wellformed_onnx::proto::ModelProto;
use wellformed_onnx::{Activation, Architecture, Pooling, Weight, Weights, initializers, model, quantize};

pub(crate) fn small() -> Architecture {
    Architecture {
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
    }
}

/// Every activation with every pooling, and embeddings of every width with every head, in every precision, by name.
pub(crate) fn kinds() -> Vec<(String, Architecture)> {
    let mut kinds = Vec::new();
    for (activation, a) in [(Activation::Gelu, "gelu"), (Activation::GeluNew, "gelu_new"), (Activation::Relu, "relu")] {
        for (pooling, b) in [(Pooling::Mean, "mean"), (Pooling::Cls, "cls")] {
            for precision in Precision::ALL {
                let architecture = Architecture { activation, pooling, precision, ..small() };
                kinds.push((format!("{a}-{b}-{}", precision.name()), architecture));
            }
        }
    }
    for (embedding, a) in [(None, "equal"), (Some(10), "narrow"), (Some(24), "wide")] {
        for (pooling, b) in [(Pooling::Mean, "mean"), (Pooling::Cls, "cls"), (Pooling::ClsGelu, "cls_gelu")] {
            // Equal with these two is among the first.
            if embedding.is_none() && pooling != Pooling::ClsGelu {
                continue;
            }
            for precision in Precision::ALL {
                let architecture = Architecture { embedding, pooling, precision, ..small() };
                kinds.push((format!("{a}-{b}-{}", precision.name()), architecture));
            }
        }
    }
    kinds
}

/// Numbers from −1 to 1, in steps that a 32-bit float holds exactly, from `SplitMix64`.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f32> {
    let number = |index: u64| {
        let mut z = (seed << 32).wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z >> 48) as f32 - 32_768.0) / 32_768.0
    };
    (0..count as u64).map(number).collect()
}

/// Weights for the architecture's fp32 file.
pub(crate) fn fp32_weights(architecture: &Architecture) -> Weights {
    let fp32 = Architecture { precision: Precision::Fp32, ..architecture.clone() };
    let specs = initializers(&fp32).into_iter().enumerate();
    let weight = |(index, spec): (usize, wellformed_onnx::Spec)| {
        let mut values = noise(index as u64 + 1, spec.dims.iter().product());
        let is_norm = spec.name.ends_with("norm.weight");
        for value in &mut values {
            *value = if is_norm { 1.0 + *value / 4.0 } else { *value / 2.0 };
        }
        (spec.name, Weight::from_f32(spec.dims, &values))
    };
    specs.map(weight).collect()
}

pub(crate) fn weights(architecture: &Architecture) -> Weights {
    let weights = fp32_weights(architecture);
    match architecture.precision {
        Precision::Fp32 => weights,
        Precision::Int8 => quantize(architecture, &weights).unwrap(),
    }
}

pub(crate) fn built(architecture: &Architecture) -> ModelProto {
    model(architecture, weights(architecture)).unwrap()
}

pub(crate) fn file(architecture: &Architecture) -> Vec<u8> {
    built(architecture).encode_to_vec()
}
