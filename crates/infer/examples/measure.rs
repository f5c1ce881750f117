//! How fast a bundle predicts: this project's side of `cargo xtask bench infer`.
//!
//!     measure --bundle models/bundle --sentences FILE [--precision fp32|int8] [--threads 1] [--repeat 3]
//!
//! Prints one JSON object: opening the bundle (ms), one sentence from text to probabilities (median and 99th
//! percentile, µs), all sentences at once (sentences a second), and the largest memory the process held (MB).

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use wellformed_infer::{Options, Precision, Predictor};

#[derive(Parser)]
struct Arguments {
    /// The bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// A sentence a line.
    #[arg(long)]
    sentences: PathBuf,
    /// Which of the bundle's models.
    #[arg(long, default_value = "int8")]
    precision: String,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How often all sentences are gone through.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let precision = Precision::ALL.into_iter().find(|one| one.name() == arguments.precision);
    let precision = precision.context("--precision is fp32 or int8")?;
    let text = fs::read_to_string(&arguments.sentences)?;
    let sentences: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(!sentences.is_empty(), "{} has no sentence", arguments.sentences.display());

    let began = Instant::now();
    let predictor =
        Predictor::open(&arguments.bundle, &Options { precision: Some(precision), threads: arguments.threads })?;
    predictor.predict(sentences[0])?;
    let start = began.elapsed();

    for sentence in sentences.iter().take(50) {
        predictor.predict(sentence)?;
    }
    let (mut single, mut batched) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeat.max(1) {
        for sentence in &sentences {
            let began = Instant::now();
            predictor.predict(sentence)?;
            single.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let began = Instant::now();
        let predictions = predictor.predict_all(&sentences);
        batched.push(predictions.len() as f64 / began.elapsed().as_secs_f64());
    }
    single.sort_by(f64::total_cmp);
    batched.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let report = json!({
        "start_ms": start.as_secs_f64() * 1e3,
        "single_p50_us": at(&single, 0.5),
        "single_p99_us": at(&single, 0.99),
        "batched_sentences_per_second": at(&batched, 0.5),
        "threads": predictor.threads(),
        "instructions": predictor.instructions(),
        "peak_memory_mb": peak_memory(),
    });
    println!("{report}");
    Ok(())
}

/// The largest resident memory so far, in MB, where the system says it.
fn peak_memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
