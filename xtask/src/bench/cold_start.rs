//! From nothing to the first answer, at Lambda's smallest sensible size: this project's image, and Python with ONNX
//! Runtime around the same bundle.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Measured, Spread};
use crate::process::{cargo, describe, run};
use crate::repro::{binary, needs};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct ColdStarts {
    /// How often each image is started in a turn.
    #[arg(long, default_value_t = 5)]
    pub starts: usize,
    /// How often both sides have their turn.
    #[arg(long, default_value_t = 4)]
    pub turns: usize,
    /// Memory in MB.
    #[arg(long, default_value_t = 512)]
    pub memory: u64,
    /// Processors.
    #[arg(long, default_value_t = 0.5)]
    pub cpus: f64,
}

/// A sentence for both sides, to see that they do the same.
const SENTENCE: &str = "The baker opened the oven before the sun came up.";

/// The largest difference of the two sides' probabilities: 8-bit sums are exact in both, what is around them is not.
const TOLERANCE: f64 = 0.02;

/// One side.
struct Side {
    image: PathBuf,
    ready: Vec<f64>,
    first: Vec<f64>,
    warm: Vec<f64>,
    memory: f64,
    compressed: u64,
    enforced: Value,
}

/// Builds both images, starts each `turns` times `starts` times under the same limits, and prints a table with the ratio.
///
/// # Errors
///
/// When there is no bundle, an image cannot be built or run, or the two sides give different answers.
pub(super) fn cold_start(root: &Path, wanted: &ColdStarts) -> Result<Measured> {
    needs(root, &[("models/bundle/bundle.json", "export")])?;
    if std::env::var_os("WELLFORMED_BINARIES").is_none() {
        run(cargo().args(["build", "--release", "--locked", "--package", "wellformed-image"]))?;
    }
    let program = binary(root, "image");
    let mut ours = Side::build(root, &program, &["--tag", "bench"])?;
    let models = format!("MODELS={}", served(root)?);
    let file = ["--tag", "bench", "--file", "bench/Dockerfile.python", "--arg", &models];
    let mut theirs = Side::build(root, &program, &file)?;
    let (mine, yours) = (ours.answer(&program)?, theirs.answer(&program)?);
    let probability = |answer: &Value| answer["predictions"][0]["probabilities"]["acceptable"].as_f64();
    let (Some(p), Some(q)) = (probability(&mine), probability(&yours)) else {
        bail!("no probability in one of the answers: {mine}, {yours}");
    };
    let same = mine["bundle"] == yours["bundle"] && (p - q).abs() <= TOLERANCE;
    ensure!(same, "the two images answer differently: {mine}, {yours}");
    for turn in 1..=wanted.turns.max(1) {
        eprintln!("turn {turn} of {}", wanted.turns.max(1));
        // The side that goes first changes, so that a machine that slows down favours neither.
        let sides = if turn % 2 == 1 { [&mut ours, &mut theirs] } else { [&mut theirs, &mut ours] };
        for side in sides {
            side.measure(&program, wanted)?;
        }
    }
    let (ready, first) = (ours.first.len(), Spread::of(ours.first.clone()));
    println!(
        "Cold start at {} MB and {} processors, {ready} starts each, median (lowest to highest), in ms:",
        wanted.memory, wanted.cpus
    );
    for (name, side) in [("wellformed", &ours), ("Python, ONNX Runtime", &theirs)] {
        let spread = |figures: &[f64]| {
            let spread = Spread::of(figures.to_vec());
            format!("{:.1} ({:.1} to {:.1})", spread.median, spread.low, spread.high)
        };
        println!(
            "  {name:21} ready {}, first answer {}, later ones {}, memory {:.0} MB, image {:.1} MB",
            spread(&side.ready),
            spread(&side.first),
            spread(&side.warm),
            side.memory,
            side.compressed as f64 / 1e6
        );
    }
    let ratio = Spread::of(theirs.first.clone()).median / first.median;
    println!("  first answer {ratio:.1} times as fast");
    let report = json!({
        "memory_mb": wanted.memory, "cpus": wanted.cpus, "enforced": ours.enforced,
        "ours": ours.json(), "python_onnxruntime": theirs.json(), "ratio": ratio,
    });
    Ok(Measured::new("cold_start", report))
}

impl Side {
    fn build(root: &Path, program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("build").args(arguments).current_dir(root);
        let folder = printed(&mut command, None)?;
        let image = root.join(folder.trim());
        Ok(Self {
            compressed: compressed(&image)?,
            image,
            ready: Vec::new(),
            first: Vec::new(),
            warm: Vec::new(),
            memory: 0.0,
            enforced: Value::Null,
        })
    }

    /// What the image says of [`SENTENCE`].
    fn answer(&self, program: &Path) -> Result<Value> {
        let mut command = Command::new(program);
        let text = printed(command.arg("invoke").arg(&self.image), Some(&json!({ "sentence": SENTENCE }).to_string()))?;
        serde_json::from_str(&text).with_context(|| format!("an answer that is not JSON: {text}"))
    }

    fn measure(&mut self, program: &Path, wanted: &ColdStarts) -> Result<()> {
        let mut command = Command::new(program);
        command.arg("cold-start").arg(&self.image).args(["--json", "--starts", &wanted.starts.to_string()]);
        command.args(["--memory", &wanted.memory.to_string(), "--cpus", &wanted.cpus.to_string()]);
        let found: Value = serde_json::from_str(&printed(&mut command, None)?).context("`image cold-start --json`")?;
        for (key, figures) in
            [("init_ms", &mut self.ready), ("first_answer_ms", &mut self.first), ("warm_ms", &mut self.warm)]
        {
            figures.extend(found[key].as_array().into_iter().flatten().filter_map(Value::as_f64));
        }
        self.memory = self.memory.max(found["peak_memory_mb"].as_f64().unwrap_or(0.0));
        self.enforced = found["enforced"].clone();
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "ready_ms": Spread::of(self.ready.clone()).json(), "first_answer_ms": Spread::of(self.first.clone()).json(),
            "warm_ms": Spread::of(self.warm.clone()).json(), "peak_memory_mb": self.memory,
            "starts": self.first.len(), "image_bytes": self.compressed,
        })
    }
}

/// The bundle's model of its default precision, the only one that Python needs.
fn served(root: &Path) -> Result<&'static str> {
    let path = root.join("models/bundle/bundle.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(if manifest["default_precision"] == "fp32" { "model.onnx" } else { "model.int8.onnx" })
}

/// What has to be downloaded of an image: the blobs of its layout.
fn compressed(image: &Path) -> Result<u64> {
    let blobs = image.join("blobs/sha256");
    let entries = std::fs::read_dir(&blobs).with_context(|| format!("cannot read {}", blobs.display()))?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Runs a program that reads `input`, and gives what it prints.
fn printed(command: &mut Command, input: Option<&str>) -> Result<String> {
    eprintln!("$ {}", describe(command));
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).spawn().context("cannot start it")?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        use std::io::Write as _;
        writeln!(pipe, "{input}")?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "`{}` failed; its own message is above", describe(command));
    String::from_utf8(output.stdout).context("it printed what is not UTF-8")
}
