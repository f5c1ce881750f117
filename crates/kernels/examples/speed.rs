//! What the instructions gain: one product of a small encoder, in every set that this processor has.
//!
//!     cargo run --release -p wellformed-kernels --example speed

use std::time::Instant;

use wellformed_kernels::{Isa, f32 as float, i8 as byte, vector};

/// Tokens of a sentence, and a feed-forward matrix of `MiniLM`.
const ROWS: usize = 12;
const INPUTS: usize = 384;
const OUTPUTS: usize = 1536;

fn main() {
    println!("{ROWS} tokens, {INPUTS} x {OUTPUTS} weights, microseconds (the fastest of 200):");
    println!("{:12} {:>8} {:>8} {:>8} {:>10}", "", "fp32", "int8", "gelu", "attention");
    for isa in Isa::available() {
        let weights: Vec<f32> = (0..INPUTS * OUTPUTS).map(|at| (at % 13) as f32 / 13.0 - 0.5).collect();
        let bytes: Vec<i8> = (0..INPUTS * OUTPUTS).map(|at| (at % 251) as i8).collect();
        let (scale, bias) = (vec![0.01; OUTPUTS], vec![0.0; OUTPUTS]);
        let input: Vec<f32> = (0..ROWS * INPUTS).map(|at| (at % 7) as f32 / 7.0 - 0.4).collect();
        let wide = float::Matrix::new(isa, &weights, INPUTS, OUTPUTS, &bias);
        let narrow = byte::Matrix::new(isa, &bytes, INPUTS, OUTPUTS, &scale, &bias);
        let mut output = vec![0.0; ROWS * OUTPUTS];
        let mut rows = byte::Rows::default();
        let mut context = vec![0.0; ROWS * INPUTS];
        let mut scratch = Vec::new();
        let qkv: Vec<f32> = (0..ROWS * 3 * INPUTS).map(|at| (at % 11) as f32 / 11.0 - 0.5).collect();
        let fp32 = fastest(|| wide.multiply(ROWS, &input, &mut output));
        let int8 = fastest(|| {
            rows.quantize(isa, &input, ROWS, INPUTS);
            narrow.multiply(&rows, &mut output);
        });
        let gelu = fastest(|| vector::gelu(isa, &mut output));
        let attention = fastest(|| vector::attention(isa, &qkv, ROWS, 12, 32, &mut context, &mut scratch));
        println!("{:12} {fp32:8.1} {int8:8.1} {gelu:8.1} {attention:10.1}", isa.name());
    }
}

/// Microseconds of the fastest of many runs.
fn fastest(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let began = Instant::now();
        work();
        best = best.min(began.elapsed().as_secs_f64() * 1e6);
    }
    best
}
