//! What the instructions gain in training: one product of numbers rounded to bfloat16, in every way that this processor
//! has, on one thread.
//!
//!     cargo run --release -p wellformed-kernels --features training --example products

use std::time::Instant;

use wellformed_kernels::bf16::{Engine, Panels, Rows};

/// Tokens of a batch, and a feed-forward matrix of `MiniLM`.
const ROWS: usize = 360;
const INPUTS: usize = 384;
const OUTPUTS: usize = 1536;

fn main() {
    println!("{ROWS} tokens, {INPUTS} x {OUTPUTS} weights, the fastest of 100:");
    println!("{:22} {:>9} {:>12} {:>12} {:>12}", "", "GFLOP/s", "product µs", "tokens µs", "weights µs");
    let numbers = |count: usize| (0..count).map(|at| (at % 13) as f32 / 13.0 - 0.5).collect::<Vec<_>>();
    let (input, weights) = (numbers(ROWS * INPUTS), numbers(INPUTS * OUTPUTS));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        for engine in Engine::available() {
            let (rows, panels) = (Rows::new(engine, &input, INPUTS), Panels::new(engine, &weights, OUTPUTS));
            let product = fastest(|| drop(rows.times(&panels)));
            let rounding = [
                fastest(|| drop(Rows::new(engine, &input, INPUTS))),
                fastest(|| drop(Panels::new(engine, &weights, OUTPUTS))),
            ];
            let operations = 2.0 * (ROWS * INPUTS * OUTPUTS) as f64;
            let chosen = if engine == Engine::detect() { " (chosen)" } else { "" };
            print!("{:22} {:9.0} {product:12.1}", engine.name(), operations / product / 1e3);
            println!(" {:12.1} {:12.1}{chosen}", rounding[0], rounding[1]);
        }
    });
}

/// Microseconds of the fastest of many runs.
fn fastest(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..100 {
        let began = Instant::now();
        work();
        best = best.min(began.elapsed().as_secs_f64() * 1e6);
    }
    best
}
