//! How many records a second `monitor check` judges, beside the same with pandas and scipy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::child::finished;
use super::{Measured, Spread, bar, tell};
use crate::environment::{Environment, Recipe};
use crate::process::tool;
use crate::repro::needs;

/// pandas and scipy, what one would judge records with instead.
const PANDAS: Recipe = Recipe {
    folder: ".venv-pandas",
    requirements: "bench/requirements-pandas.txt",
    what: "pandas and scipy (about 450 MB)",
};

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub struct Speed {
    /// Records that both sides read; a million take about 600 MB of disk while it runs.
    #[arg(long, default_value_t = 1_000_000)]
    pub records: u64,
    /// How often each side reads them, in turn.
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
}

/// The largest difference of a test's statistic between the sides: both compute the same sum in another order.
const TOLERANCE: f64 = 1e-9;

/// Exit codes of `monitor check` that are verdicts.
const VERDICTS: [i32; 4] = [0, 10, 20, 30];

/// The sides, as the report has them: ours, pandas' own reader, pandas with `PyArrow`'s.
const SIDES: [&str; 3] = ["ours", "pandas", "pandas_pyarrow"];

/// Writes records, lets each side judge them in turn, requires that all find the same, and prints a table.
///
/// # Errors
///
/// When there is no bundle, a side fails, or their findings differ.
pub(super) fn speed(root: &Path, how: &Speed) -> Result<Measured> {
    needs(root, &[("models/bundle/profile.json", "export")])?;
    ensure!(how.records > 0, "--records is at least 1");
    let environment = Environment::ensure(root, PANDAS)?;
    let monitor = tool(root, "monitor")?;
    // On the disk of the project, since /tmp may be memory.
    let folder = root.join("target");
    fs::create_dir_all(&folder)?;
    let scratch = tempfile::tempdir_in(&folder).context("cannot make a temporary folder")?;
    let records = scratch.path().join("records.jsonl");
    let repeat = how.repeat.max(1);
    let progress = bar(SIDES.len() * repeat + 1);
    progress.set_message("writing records");
    let mut write = environment.python();
    write.arg("bench/monitor_records.py").current_dir(root).args(["--bundle", "models/bundle"]);
    finished(write.args(["--records", &how.records.to_string(), "--output"]).arg(&records), &[0])?;
    let bytes = fs::metadata(&records).context("no records were written")?.len();
    progress.inc(1);

    let command = |side: &str| -> Command {
        let mut command = if side == "ours" { Command::new(&monitor) } else { environment.python() };
        match side {
            "ours" => command.args(["check", "--json", "--bundle", "models/bundle"]),
            "pandas" => command.args(["bench/pandas_check.py", "--bundle", "models/bundle", "--reader", "pandas"]),
            _ => command.args(["bench/pandas_check.py", "--bundle", "models/bundle", "--reader", "pyarrow"]),
        };
        command.arg(&records).current_dir(root);
        command
    };
    let (mut seconds, mut peaks, mut versions) =
        (BTreeMap::<_, Vec<f64>>::new(), BTreeMap::<_, Vec<f64>>::new(), Value::Null);
    for turn in 0..repeat {
        let mut found = BTreeMap::new();
        // The side that goes first changes, so that a machine that slows down favours none.
        for index in 0..SIDES.len() {
            let side = SIDES[(index + turn) % SIDES.len()];
            progress.set_message(side);
            let finished = finished(&mut command(side), if side == "ours" { &VERDICTS } else { &[0] })?;
            let report: Value = serde_json::from_str(finished.stdout.trim())
                .with_context(|| format!("{side} printed no JSON object"))?;
            tell(&progress, &format!("{side}, run {} of {repeat}: {:.1} s", turn + 1, finished.seconds));
            progress.inc(1);
            seconds.entry(side).or_default().push(finished.seconds);
            peaks.entry(side).or_default().extend(finished.peak_memory_mb);
            found.insert(side, report);
        }
        for side in ["pandas", "pandas_pyarrow"] {
            agree(&found["ours"], &found[side]).with_context(|| format!("ours and {side} found different things"))?;
        }
        versions = found["pandas"]["versions"].clone();
    }
    progress.finish_and_clear();

    let mut report = json!({ "records": how.records, "bytes": bytes, "repeat": repeat, "versions": versions });
    let per_second = |side: &str| Spread::of(seconds[side].iter().map(|&one| how.records as f64 / one).collect());
    println!("{} records ({:.0} MB), median (lowest to highest) of {repeat}:", how.records, bytes as f64 / 1e6);
    for side in SIDES {
        let speed = per_second(side);
        let ratio = per_second("ours").median / speed.median;
        println!(
            "  {side:15} {:9.0} records/s ({:.0} to {:.0}), {:6.0} MB; ours / this: {ratio:.2}",
            speed.median,
            speed.low,
            speed.high,
            Spread::of(peaks[side].clone()).median
        );
        report[side] = json!({
            "records_per_second": speed.json(), "seconds": Spread::of(seconds[side].clone()).json(),
            "peak_memory_mb": Spread::of_any(peaks[side].clone()),
        });
    }
    Ok(Measured::new("monitor_speed", report))
}

/// Both sides must have done the same work: the same counts, shares and statistics, and a 95th percentile of the latency
/// within two ranks of a hundred, since ours is an estimate.
fn agree(ours: &Value, theirs: &Value) -> Result<()> {
    for key in ["records", "predictions"] {
        let same = ours[key].is_u64() && ours[key] == theirs[key];
        ensure!(same, "{key}: {} and {}", ours[key], theirs[key]);
    }
    let close = |name: &str, one: &Value, other: &Value| -> Result<()> {
        let near = matches!((one.as_f64(), other.as_f64()), (Some(a), Some(b)) if (a - b).abs() <= TOLERANCE);
        ensure!(near, "{name}: {one} and {other}");
        Ok(())
    };
    for key in ["defect_share", "refused_share", "cold_start_share"] {
        close(key, &ours["service"][key], &theirs[key])?;
    }
    let signals = ours["signals"].as_array().context("`monitor check` names no signals")?;
    let compared = theirs["signals"].as_object().context("bench/pandas_check.py names no signals")?;
    ensure!(signals.len() == compared.len(), "{} signals and {}", signals.len(), compared.len());
    for signal in signals {
        let name = signal["signal"].as_str().context("a signal without a name")?;
        close(name, &signal["statistic"], &theirs["signals"][name]["statistic"])?;
    }
    let (p95, bounds) = (&ours["service"]["latency_ms"][1], &theirs["latency_p93_to_p97_ms"]);
    let within = matches!(
        (p95.as_f64(), bounds[0].as_f64(), bounds[1].as_f64()),
        (Some(p95), Some(low), Some(high)) if (low..=high).contains(&p95)
    );
    ensure!(within, "the 95th percentile of the latency is {p95}, which is not within {bounds}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Value {
        json!({
            "records": 10, "predictions": 9, "signals": [{ "signal": "tokens", "statistic": 0.25 }],
            "service": {
                "defect_share": 0.0, "refused_share": 0.1, "cold_start_share": 0.0, "latency_ms": [1.0, 2.0, 3.0],
            },
        })
    }

    fn theirs() -> Value {
        json!({
            "records": 10, "predictions": 9, "signals": { "tokens": { "statistic": 0.25 } }, "defect_share": 0.0,
            "refused_share": 0.1, "cold_start_share": 0.0, "latency_p93_to_p97_ms": [1.9, 2.1],
        })
    }

    #[test]
    fn sides_that_found_the_same_agree() {
        agree(&ours(), &theirs()).unwrap();
    }

    #[test]
    fn another_count_statistic_share_or_latency_is_named() {
        for (change, name) in [
            (json!({ "predictions": 8 }), "predictions"),
            (json!({ "signals": { "tokens": { "statistic": 0.2501 } } }), "tokens"),
            (json!({ "signals": {} }), "signals"),
            (json!({ "refused_share": null }), "refused_share"),
            (json!({ "latency_p93_to_p97_ms": [2.1, 2.2] }), "95th percentile"),
        ] {
            let mut theirs = theirs();
            for (key, value) in change.as_object().unwrap() {
                theirs[key] = value.clone();
            }
            let error = agree(&ours(), &theirs).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
