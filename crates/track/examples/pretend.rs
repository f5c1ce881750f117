//! A training that only pretends, tracked as the real one is:
//!
//! ```text
//! pretend FOLDER RUN [--steps 100] [--sleep-ms 0] [--first 1] [--end finish|panic|abort|wait] [--set SECTION.KEY=VALUE]...
//! ```
//!
//! Prints what tracking cost the training's thread for each step, in microseconds. Tests let it crash and upload.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wellformed_core::params::Params;
use wellformed_track::{Journal, Outcome};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().context("which folder?")?);
    let run = words.next().context("which run?")?;
    let (mut steps, mut sleep, mut first, mut end, mut sets) = (100, 0, 1, "finish".to_owned(), Vec::new());
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--steps" => steps = value.parse()?,
            "--sleep-ms" => sleep = value.parse()?,
            "--first" => first = value.parse()?,
            "--end" => end = value,
            "--set" => sets.push(value),
            _ => anyhow::bail!("{word} is unknown"),
        }
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml");
    let params = Params::load(&file, &sets)?;
    let journal = Journal::new(&folder, &folder, &params);

    let started = Instant::now();
    let tracker = journal.start("train", &run, (first > 1).then(|| first - 1));
    let start = started.elapsed();
    let (mut spent, mut worst) = (Duration::ZERO, Duration::ZERO);
    for step in first..first + steps {
        let loss = 1.0 / step as f64;
        let before = Instant::now();
        tracker.scalars(
            step,
            &[
                ("step", step as f64),
                ("train/loss", loss),
                ("train/lr", 1e-4),
                ("train/gradient_norm", 2.0 * loss),
                ("train/sentences_per_second", 400.0),
            ],
        );
        let cost = before.elapsed();
        spent += cost;
        worst = worst.max(cost);
        std::thread::sleep(Duration::from_millis(sleep));
    }
    println!("written");
    match end.as_str() {
        "panic" => panic!("as asked"),
        "abort" => std::process::abort(),
        "wait" => std::thread::sleep(Duration::from_hours(1)),
        _ => {}
    }
    let before = Instant::now();
    tracker.finish(Outcome::Finished);
    println!(
        "start {} us, a step {:.2} us on average and {} us at most, finish {} us",
        start.as_micros(),
        spent.as_secs_f64() * 1e6 / steps as f64,
        worst.as_micros(),
        before.elapsed().as_micros()
    );
    Ok(())
}
