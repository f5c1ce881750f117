//! The monitor: how often it cries wolf, what it finds, and how fast it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Measured;
use super::monitor_speed::{self, Speed};
use crate::process::{cargo, quietly, run};
use crate::repro::{VALIDATION, binary, needs};

/// Debian packages with sayings, and where their texts are.
const SAYINGS: [(&str, &str, &str); 3] = [
    ("German", "fortunes-de", "usr/share/games/fortunes/de"),
    ("Spanish", "fortunes-es", "usr/share/games/fortunes/es"),
    ("Italian", "fortunes-it", "usr/share/games/fortunes"),
];

/// How thoroughly.
#[derive(Debug, Clone, clap::Args)]
pub struct Monitoring {
    /// Unchanged windows for each false-alarm rate.
    #[arg(long, default_value_t = 1000)]
    pub trials: u64,
    /// Changed windows for each detection rate.
    #[arg(long, default_value_t = 400)]
    pub detections: u64,
    /// Sentences of another language, one a line, instead of those out of Debian's packages fortunes-de, -es and -it,
    /// which `apt-get download` brings. May be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    pub foreign: Vec<String>,
    /// How fast.
    #[command(flatten)]
    pub speed: Speed,
    /// Measure one of the two alone: how well the monitor judges, which takes most of the time, or how fast.
    #[arg(long, value_name = "PART")]
    pub only: Option<Part>,
}

/// A part of the measurement, with a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// False alarms and detection.
    Judging,
    /// Records a second, beside pandas and scipy.
    Speed,
}

/// Measures with the real bundle and the real validation set.
///
/// # Errors
///
/// When bundle or data are not there yet, or a program fails.
pub(super) fn monitor(root: &Path, how: &Monitoring) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    // The short part first, so that what is missing shows at once.
    if how.only != Some(Part::Judging) {
        measured.push(monitor_speed::speed(root, &how.speed)?);
    }
    if how.only != Some(Part::Speed) {
        measured.push(judging(root, how)?);
    }
    Ok(measured)
}

fn judging(root: &Path, how: &Monitoring) -> Result<Measured> {
    needs(
        root,
        &[("models/bundle/bundle.json", "export"), (VALIDATION, "prepare"), ("data/prepared/train.parquet", "prepare")],
    )?;
    if std::env::var_os("WELLFORMED_BINARIES").is_none() {
        run(cargo().args(["build", "--release", "--locked", "-p", "wellformed-drift", "--example", "prove"]))?;
    }
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let (foreign, texts) = match how.foreign.as_slice() {
        [] => sayings(root, scratch.path())?,
        given => (given.to_vec(), json!(given)),
    };
    let output = scratch.path().join("monitor.json");
    let mut prove = Command::new(binary(root, "examples").join("prove"));
    prove.current_dir(root).args(["--bundle", "models/bundle", "--prepared", "data/prepared"]);
    prove.args(["--trials", &how.trials.to_string(), "--detections", &how.detections.to_string()]);
    for foreign in &foreign {
        prove.args(["--foreign", foreign]);
    }
    run(prove.arg("--output").arg(&output))?;
    let text = fs::read_to_string(&output).context("prove wrote no figures")?;
    let mut report: Value = serde_json::from_str(&text).context("prove's figures are not JSON")?;
    report["foreign_texts"] = texts;
    Ok(Measured::new("monitor", report))
}

/// Sentences of other languages, as `NAME=FILE`, and where they are from. None where there is no `apt-get`.
fn sayings(root: &Path, scratch: &Path) -> Result<(Vec<String>, Value)> {
    let mut download = Command::new("apt-get");
    download.current_dir(scratch).args(["download", "--quiet"]).args(SAYINGS.map(|(_, package, _)| package));
    match quietly(&mut download) {
        Ok((true, _)) => {}
        Ok((false, said)) => return Ok(without(&format!("apt-get download failed: {said}"))),
        Err(error) => return Ok(without(&format!("{error:#}"))),
    }
    let mut foreign = Vec::new();
    let mut packages = Vec::new();
    for (language, package, folder) in SAYINGS {
        let archive = archive(scratch, package)?;
        let unpacked = scratch.join(package);
        run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;
        packages.push(archive.file_name().unwrap_or_default().to_string_lossy().into_owned());
        // German as it is written, and as it is typed where there are no umlauts.
        let plain: &[bool] = if language == "German" { &[false, true] } else { &[true] };
        for &ascii in plain {
            let name = if ascii { format!("{language}, ASCII letters") } else { language.to_owned() };
            let path = scratch.join(format!("{package}{}.txt", if ascii { "-ascii" } else { "" }));
            let mut extract = Command::new("python3");
            extract.arg(root.join("bench/foreign_sentences.py")).arg(unpacked.join(folder)).arg(&path);
            run(extract.args(ascii.then_some("--ascii")))?;
            foreign.push(format!("{name}={}", path.display()));
        }
    }
    Ok((foreign, json!(packages)))
}

fn without(why: &str) -> (Vec<String>, Value) {
    eprintln!("other languages are not measured: {why}\nname sentences of your own with --foreign NAME=FILE");
    (Vec::new(), json!("not measured"))
}

/// The file that was downloaded of a package.
fn archive(folder: &Path, package: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).context("cannot list the temporary folder")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&format!("{package}_")) {
            return Ok(path);
        }
    }
    bail!("apt-get brought no file of {package}")
}
