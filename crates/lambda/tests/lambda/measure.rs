//! How long it takes: printed, not asserted.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::runtime_api::{Bootstrap, bundle, program};

#[test]
#[ignore = "a measurement: cargo test --release -p wellformed-lambda -- --ignored --nocapture cold_start"]
fn cold_start_and_warm_latency() {
    let bundle = bundle();
    println!("{} with {}", program().display(), bundle.display());
    for precision in ["int8", "fp32"] {
        measure(&bundle, precision);
    }
}

fn measure(bundle: &Path, precision: &str) {
    let event = json!({"sentence": "The baker opened the oven before the sun came up."});
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    let mut peak = 0;
    for _ in 0..20 {
        let start = Instant::now();
        let mut process = Bootstrap::start(bundle, &[("WELLFORMED_PRECISION", precision)]);
        process.invoke(&event);
        cold.push(start.elapsed());
        for _ in 0..100 {
            let start = Instant::now();
            process.invoke(&event);
            warm.push(start.elapsed());
        }
        peak = peak.max(process.peak_kib().unwrap_or(0));
    }
    println!("{precision}: process start to first answer: {}", spread(&mut cold));
    println!("{precision}: warm, event to answer: {}", spread(&mut warm));
    println!("{precision}: peak memory: {:.1} MiB", peak as f64 / 1024.0);
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    format!("{:.2} ms median, {:.2} ms p90, {} times", at(50), at(90), times.len())
}
