//! How well the monitor does, on real sentences through a real bundle: this is behind `cargo xtask bench monitor`.
//!
//!     prove --bundle models/bundle --prepared data/prepared [--foreign german=FILE …] [--trials 1000] --output FILE
//!
//! *False alarms*: windows in which nothing has changed. *Detection*: windows in which something has, made from the
//! same sentences by [`damage`]. Profile and window never share a sentence: each trial halves the validation set anew,
//! makes a profile of one half and windows of the other. A shipped profile is of the whole set, and so sees more.

mod damage;
mod figures;
mod sentences;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use wellformed_core::dataset::{Domain, read_examples};
use wellformed_core::files::write_json;
use wellformed_drift::Settings;

use crate::figures::{Bench, Windows};
use crate::sentences::Oracle;

#[derive(Parser)]
struct Arguments {
    /// The bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The folder with the prepared data.
    #[arg(long)]
    prepared: PathBuf,
    /// Sentences of another language, one a line: NAME=FILE. May be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    foreign: Vec<String>,
    /// Windows for each false-alarm figure.
    #[arg(long, default_value_t = 1000)]
    trials: u64,
    /// Windows for each detection figure.
    #[arg(long, default_value_t = 200)]
    detections: u64,
    /// Where the figures go, as JSON.
    #[arg(long)]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let read = |split: &str| read_examples(&arguments.prepared.join(format!("{split}.parquet")));
    let (train, validation) = (read("train")?, read("validation")?);
    let oracle = Oracle::open(&arguments.bundle, &train)?;
    let judged = oracle.judge(validation.iter().map(|one| one.sentence.as_str()))?;
    let judged_train = oracle.judge(train.iter().map(|one| one.sentence.as_str()))?;
    let cost = oracle.signals_ns(&validation)?;
    let bench = Bench::new(&oracle, Settings::default(), arguments.trials, arguments.detections);

    println!("False alarms, share of windows with a warning (level 0.05) and with an alert (level 0.01):");
    let mut alarms = Vec::new();
    for length in [100, 250, 500] {
        alarms.push(bench.false_alarms("halves of validation", &judged, judged.len() / 2, length, Windows::Fresh)?);
    }
    for length in [100, 250, 500, 1000, 2000] {
        alarms.push(bench.false_alarms("train", &judged_train, 1043, length, Windows::Fresh)?);
    }
    for length in [100, 250, 500, 1000, 2000] {
        alarms.push(bench.false_alarms("validation, drawn again", &judged, judged.len(), length, Windows::Again)?);
    }

    println!("Detection at 500 records, share of windows with an alert; and records until the first alert:");
    let mut detections = Vec::new();
    for damage in damage::all() {
        detections.push(bench.detection(&damage, &validation, &judged)?);
    }
    for foreign in &arguments.foreign {
        let (name, path) = foreign.split_once('=').context("--foreign is NAME=FILE")?;
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let sentences: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        ensure!(sentences.len() >= 600, "{path} has {} sentences, but 600 are needed", sentences.len());
        let others = oracle.judge(sentences.into_iter())?;
        detections.push(bench.other_sentences(name, 1.0, &judged, &others)?);
        detections.push(bench.other_sentences(&format!("{name} in a tenth"), 0.1, &judged, &others)?);
    }
    let side = |domain: Domain| -> Vec<_> {
        let of = validation.iter().zip(&judged).filter(|(example, _)| example.domain == domain);
        of.map(|(_, features)| features.clone()).collect()
    };
    detections.push(bench.out_of_domain(&side(Domain::In), &side(Domain::Out))?);

    let report = json!({
        "bundle": oracle.digest(), "precision": oracle.precision(), "settings": Settings::default(),
        "validation": validation.len(), "train": train.len(),
        "signals_ns_per_sentence": cost,
        "profile_bytes": bench.profile_bytes(&judged, &validation)?,
        "signals_bytes": oracle.reference_bytes()?,
        "false_alarms": alarms, "detections": detections,
    });
    write_json(&arguments.output, &report)
}
