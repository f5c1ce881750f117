//! Releases: how long one takes, and what callers get when the candidate is no good; beside a deployment script.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Measured, Spread};
use crate::environment::{AWS, DVC, Environment};
use crate::process::{cargo, run};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Releases {
    /// How often a release and a rollback are timed on each side.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
}

/// Has `crates/release/benches/releases.rs` release good and bad candidates, which both sides need the same servers for.
///
/// # Errors
///
/// When something that it needs is not there, or a release fails that should not.
pub(super) fn release(root: &Path, wanted: &Releases) -> Result<Measured> {
    for needed in [DVC, AWS] {
        Environment::ensure(root, needed)?;
    }
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let found = scratch.path().join("found.json");
    // All of the workspace is named, so that Cargo builds nothing anew with other features.
    let mut command = cargo();
    command.args(["bench", "--locked", "--workspace", "--bench", "releases", "--", "--output"]).arg(&found);
    run(command.args(["--repeat", &wanted.repeat.to_string()]))?;
    let text = std::fs::read_to_string(&found).with_context(|| format!("cannot read {}", found.display()))?;
    let mut report: Value = serde_json::from_str(&text).context("what was found is not JSON")?;
    for task in ["release", "rollback"] {
        let [ours, script] = ["ours", "script"].map(|side| Spread::of(seconds(&report[side][task])));
        println!(
            "{task}: {:.1} s, the script {:.1} s; ratio {:.2}",
            ours.median,
            script.median,
            script.median / ours.median
        );
        for (side, spread) in [("ours", ours), ("script", script)] {
            report[side][task] = spread.json();
        }
    }
    report["repeat"] = json!(wanted.repeat);
    Ok(Measured::new("release", report))
}

fn seconds(figures: &Value) -> Vec<f64> {
    figures.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}
