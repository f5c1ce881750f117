//! From 32-bit weights to 8-bit ones.

use wellformed_core::bundle::Precision;

use crate::architecture::Architecture;
use crate::bert::initializers;
use crate::error::Error;
use crate::weight::{Weight, Weights};

/// The weights of the int8 file, from those of the fp32 file. Symmetric: 127 stands for the largest magnitude of a
/// column (of a row, in the word embeddings), and w ≈ `int8` · `scale`. What is not quantised stays as it is.
///
/// # Errors
///
/// When a weight is missing, or of another type or shape than `architecture`, with fp32, needs.
pub fn quantize(architecture: &Architecture, weights: &Weights) -> Result<Weights, Error> {
    let of = |precision| Architecture { precision, ..architecture.clone() };
    let is_wanted = |name: &str, wanted: &[crate::Spec]| wanted.iter().any(|spec| spec.name == name);
    let wanted = initializers(&of(Precision::Int8));
    let mut quantized = Weights::new();
    for spec in initializers(&of(Precision::Fp32)) {
        let Some(weight) = weights.get(&spec.name) else { return Err(Error::Missing { name: spec.name }) };
        crate::model::check(&spec, weight)?;
        let name = spec.name;
        if is_wanted(&name, &wanted) {
            quantized.insert(name, weight.clone());
            continue;
        }
        let (integers, scale) = if name == "embeddings.word" { by_row(weight) } else { by_column(weight) };
        quantized.insert(format!("{name}.int8"), integers);
        quantized.insert(format!("{name}.scale"), scale);
    }
    Ok(quantized)
}

fn by_row(weight: &Weight) -> (Weight, Weight) {
    let (values, columns) = (weight.f32_values(), weight.dims[1]);
    let scales: Vec<f32> = values.chunks_exact(columns).map(|row| scale(row.iter().copied())).collect();
    let rows = values.chunks_exact(columns).zip(&scales);
    let integers: Vec<i8> = rows.flat_map(|(row, &scale)| row.iter().map(move |&value| round(value, scale))).collect();
    (Weight::from_i8(weight.dims.clone(), &integers), Weight::from_f32(vec![scales.len(), 1], &scales))
}

fn by_column(weight: &Weight) -> (Weight, Weight) {
    let (values, columns) = (weight.f32_values(), weight.dims[1]);
    let column = |index: usize| values.iter().copied().skip(index).step_by(columns);
    let scales: Vec<f32> = (0..columns).map(|index| scale(column(index))).collect();
    let integers: Vec<i8> = values.iter().enumerate().map(|(at, &value)| round(value, scales[at % columns])).collect();
    (Weight::from_i8(weight.dims.clone(), &integers), Weight::from_f32(vec![columns], &scales))
}

/// What one step is worth; 1 where all values are 0.
fn scale(values: impl Iterator<Item = f32>) -> f32 {
    let largest = values.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    if scale > 0.0 { scale } else { 1.0 }
}

fn round(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8
}
