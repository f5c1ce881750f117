//! Every set of instructions against plain arithmetic in 64 bits.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(missing_docs, reason = "a test")]

mod support;

use support::numbers;
use wellformed_kernels::{Isa, f32 as float, i8 as byte, vector};

fn bytes(count: usize, seed: u64) -> Vec<i8> {
    numbers(count, seed).into_iter().map(|x| (x * 127.0).round() as i8).collect()
}

fn close(found: f32, expected: f64, tolerance: f64, what: &str) {
    assert!((f64::from(found) - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

/// Row counts around the sizes of tiles; widths that fill panels and that do not.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 384, 64),
    (2, 5, 33),
    (7, 30, 31),
    (11, 128, 384),
    (12, 64, 96),
    (13, 63, 2),
    (16, 64, 32),
    (25, 7, 100),
    (33, 130, 65),
    (40, 48, 32),
    (70, 96, 48),
];

#[test]
fn products_are_those_of_64_bit_arithmetic() {
    for isa in Isa::available() {
        for (rows, inputs, outputs) in SHAPES {
            let (input, weights) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2));
            let bias = numbers(outputs, 3);
            let matrix = float::Matrix::new(isa, &weights, inputs, outputs, &bias);
            let mut output = vec![f32::NAN; rows * outputs];
            matrix.multiply(rows, &input, &mut output);
            for row in 0..rows {
                for column in 0..outputs {
                    let exact: f64 = (0..inputs)
                        .map(|k| f64::from(input[row * inputs + k]) * f64::from(weights[k * outputs + column]))
                        .sum();
                    let what = format!("{} {rows}x{inputs}x{outputs} at {row},{column}", isa.name());
                    close(output[row * outputs + column], exact + f64::from(bias[column]), 1e-5, &what);
                }
            }
        }
    }
}

#[test]
fn quantised_products_are_the_written_formula_exactly() {
    for isa in Isa::available() {
        for (rows, inputs, outputs) in SHAPES {
            let (input, weights) = (numbers(rows * inputs, 4), bytes(inputs * outputs, 5));
            let (scale, bias) = (numbers(outputs, 6), numbers(outputs, 7));
            let matrix = byte::Matrix::new(isa, &weights, inputs, outputs, &scale, &bias);
            let mut quantised = byte::Rows::default();
            quantised.quantize(isa, &input, rows, inputs);
            let mut output = vec![f32::NAN; rows * outputs];
            matrix.multiply(&quantised, &mut output);
            for (row, values) in input.chunks_exact(inputs).enumerate() {
                let most = values.iter().fold(1e-10f32, |most, x| most.max(x.abs()));
                let factor = 127.0 / most;
                let q: Vec<i32> = values.iter().map(|x| (x * factor).round_ties_even() as i32).collect();
                for column in 0..outputs {
                    let sum: i32 =
                        q.iter().enumerate().map(|(k, q)| q * i32::from(weights[k * outputs + column])).sum();
                    let expected = sum as f32 * (most / 127.0) * scale[column] + bias[column];
                    let what = format!("{} {rows}x{inputs}x{outputs} at {row},{column}", isa.name());
                    assert_eq!(output[row * outputs + column], expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn extreme_weights_and_inputs_do_not_saturate() {
    for isa in Isa::available() {
        let (inputs, outputs) = (1536, 32);
        for sign in [-1.0f32, 1.0] {
            let input = vec![sign; inputs];
            let matrix = byte::Matrix::new(isa, &vec![127; inputs * outputs], inputs, outputs, &[1.0; 32], &[0.0; 32]);
            let mut rows = byte::Rows::default();
            rows.quantize(isa, &input, 1, inputs);
            let mut output = vec![0.0; outputs];
            matrix.multiply(&rows, &mut output);
            let expected = (1536 * 127 * 127) as f32 * (1.0 / 127.0) * sign;
            assert!(output.iter().all(|&x| x == expected), "{}: {} instead of {expected}", isa.name(), output[0]);
        }
    }
}

#[test]
fn a_row_of_zeros_stays_zero() {
    for isa in Isa::available() {
        let matrix = byte::Matrix::new(isa, &bytes(64 * 32, 8), 64, 32, &[1.0; 32], &[0.25; 32]);
        let mut rows = byte::Rows::default();
        rows.quantize(isa, &[0.0; 64], 1, 64);
        let mut output = vec![f32::NAN; 32];
        matrix.multiply(&rows, &mut output);
        assert_eq!(output, [0.25; 32], "{}", isa.name());
    }
}

#[test]
fn a_row_is_the_same_to_the_last_bit_whatever_rows_are_beside_it() {
    let (inputs, outputs) = (96, 160);
    let (input, weights, bias) = (numbers(37 * inputs, 9), numbers(inputs * outputs, 10), numbers(outputs, 11));
    for isa in Isa::available() {
        let matrix = float::Matrix::new(isa, &weights, inputs, outputs, &bias);
        let mut all = vec![0.0; 37 * outputs];
        matrix.multiply(37, &input, &mut all);
        for row in 0..37 {
            let mut alone = vec![0.0; outputs];
            matrix.multiply(1, &input[row * inputs..][..inputs], &mut alone);
            assert_eq!(alone, all[row * outputs..][..outputs], "{} row {row}", isa.name());
        }
    }
}

/// The error function by its series, in 64 bits.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (sum * 2.0 / std::f64::consts::PI.sqrt()).clamp(-1.0, 1.0)
}

#[test]
fn activations_are_their_definitions() {
    let x: Vec<f32> = (-500..=500).map(|x| x as f32 / 100.0).collect();
    for isa in Isa::available() {
        let (mut gelu, mut tanh, mut relu) = (x.clone(), x.clone(), x.clone());
        vector::gelu(isa, &mut gelu);
        vector::gelu_tanh(isa, &mut tanh);
        vector::relu(isa, &mut relu);
        for (at, &x) in x.iter().enumerate() {
            let wide = f64::from(x);
            let what = format!("{} of {x}", isa.name());
            close(gelu[at], wide * 0.5 * (1.0 + erf(wide / 2f64.sqrt())), 2e-6, &what);
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            close(tanh[at], wide * 0.5 * (1.0 + inner.tanh()), 2e-6, &what);
            assert_eq!(relu[at], x.max(0.0));
        }
        for huge in [-1e30f32, -200.0, 200.0, 1e30] {
            let mut values = [huge];
            vector::gelu(isa, &mut values);
            assert_eq!(values[0], huge.max(0.0), "{} gelu of {huge}", isa.name());
        }
    }
}

#[test]
fn layer_norm_has_mean_bias_and_variance_one() {
    for isa in Isa::available() {
        for width in [16, 30, 384] {
            let (input, added) = (numbers(3 * width, 12), numbers(3 * width, 13));
            let (weight, bias) = (numbers(width, 14), numbers(width, 15));
            let mut output = input.clone();
            vector::add_layer_norm(isa, &mut output, &added, &weight, &bias, 1e-12);
            for row in 0..3 {
                let x: Vec<f64> = (0..width)
                    .map(|at| f64::from(input[row * width + at]) + f64::from(added[row * width + at]))
                    .collect();
                let mean = x.iter().sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                for (at, x) in x.iter().enumerate() {
                    let expected = (x - mean) / variance.sqrt() * f64::from(weight[at]) + f64::from(bias[at]);
                    close(output[row * width + at], expected, 1e-5, &format!("{} width {width}", isa.name()));
                }
            }
        }
    }
}

#[test]
fn attention_is_softmax_of_scores_times_values() {
    for isa in Isa::available() {
        for (length, heads, size) in [(1, 2, 8), (11, 3, 32), (16, 1, 5), (17, 2, 16), (70, 2, 32)] {
            let width = heads * size;
            let qkv: Vec<f32> = numbers(length * 3 * width, 16).into_iter().map(|x| x * 2.0).collect();
            let mut output = vec![f32::NAN; length * width];
            let mut scratch = vec![f32::NAN; 3];
            vector::attention(isa, &qkv, length, heads, size, &mut output, &mut scratch);
            let at = |row: usize, part: usize, head: usize, d: usize| {
                f64::from(qkv[row * 3 * width + part * width + head * size + d])
            };
            for head in 0..heads {
                for row in 0..length {
                    let scores: Vec<f64> = (0..length)
                        .map(|other| (0..size).map(|d| at(row, 0, head, d) * at(other, 1, head, d)).sum::<f64>().exp())
                        .collect();
                    let whole: f64 = scores.iter().sum();
                    for d in 0..size {
                        let expected: f64 =
                            scores.iter().enumerate().map(|(other, s)| s / whole * at(other, 2, head, d)).sum();
                        close(output[row * width + head * size + d], expected, 1e-5, isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_mapped_file_is_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, b"some bytes").unwrap();
    assert_eq!(&wellformed_kernels::mapped::map(&path).unwrap()[..], b"some bytes");
    std::fs::write(folder.path().join("empty"), b"").unwrap();
    assert!(wellformed_kernels::mapped::map(&folder.path().join("empty")).unwrap().is_empty());
    assert!(wellformed_kernels::mapped::map(&folder.path().join("missing")).is_err());
}
