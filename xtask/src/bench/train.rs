//! Training: an epoch of this project's `train` and the same in `PyTorch`, in turn, on models of three shapes, in 32 bits
//! and in mixed precision.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::child::finished;
use super::{Measured, Spread, bar, tell};
use crate::environment::{BENCH, Environment};
use crate::repro::{binary, build, needs};

/// The width to which the third side pads every batch, in tokens: `prepare.max_length`'s default.
const PADDED: usize = 128;

/// What both sides train: the same encoder on the same sentences, in batches of the same size.
#[derive(Debug, Clone, clap::Args)]
pub struct Training {
    /// Models to train, out of 2x128, 3x384 and 6x384 (layers × width).
    #[arg(long, value_delimiter = ',', value_name = "SHAPE,…", default_values_t = Shape::ALL.map(|shape| shape.name.to_owned()))]
    pub shapes: Vec<String>,
    /// Sentences per batch.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Batches of an epoch. Up to 50 are sorted by length as one, so that both sides have the same batches.
    #[arg(long, default_value_t = 40)]
    pub batches: usize,
    /// Batches of an epoch where all of them are padded to 128 tokens; 0 leaves that out.
    #[arg(long, default_value_t = 8)]
    pub padded_batches: usize,
    /// Epochs of each run; the first one warms caches and is not counted.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    pub epochs: u64,
    /// How often each side runs, in turn.
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
    /// Threads of both sides; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

/// A model.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    layers: usize,
    /// Of an architecture of its own, with random weights: width, heads, width of the feed-forward layer. Otherwise the
    /// base model's first layers.
    random: Option<[usize; 3]>,
}

impl Shape {
    const ALL: [Self; 3] = [
        Self { name: "2x128", layers: 2, random: Some([128, 2, 512]) },
        Self { name: "3x384", layers: 3, random: None },
        Self { name: "6x384", layers: 6, random: None },
    ];

    fn named(name: &str) -> Result<Self> {
        let known = Self::ALL.map(|shape| shape.name).join(", ");
        let found = Self::ALL.into_iter().find(|shape| shape.name == name);
        found.with_context(|| format!("--shapes: there is no shape `{name}`; there are {known}"))
    }
}

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    PyTorch,
    /// This project with `train.precision: bf16`.
    OursRounded,
    /// `PyTorch` with autocast to bfloat16.
    PyTorchRounded,
    /// `PyTorch` with every batch padded to [`PADDED`] tokens.
    Padded,
}

impl Side {
    const ALL: [Self; 5] = [Self::Ours, Self::PyTorch, Self::OursRounded, Self::PyTorchRounded, Self::Padded];

    fn key(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::PyTorch => "pytorch",
            Self::OursRounded => "ours_bf16",
            Self::PyTorchRounded => "pytorch_bf16",
            Self::Padded => "pytorch_padded",
        }
    }
}

/// One epoch of a training run, as both sides report it.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// From 0.
    pub epoch: u64,
    /// Wall-clock time of the training part, in seconds.
    pub seconds: f64,
    /// Sentences trained on in a second.
    pub sentences_per_second: f64,
    /// Mean loss of the epoch's batches.
    pub train_loss: f64,
}

impl Epoch {
    /// Reads a line of `bench/torch_train.py`, or of the file that `train --timings` writes.
    ///
    /// # Errors
    ///
    /// When the line is not a JSON object with the four fields.
    pub fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let number = |key: &str| value[key].as_f64().with_context(|| format!("no number `{key}` in {line}"));
        Ok(Self {
            epoch: value["epoch"].as_u64().with_context(|| format!("no whole number `epoch` in {line}"))?,
            seconds: number("seconds")?,
            sentences_per_second: number("sentences_per_second")?,
            train_loss: number("train_loss")?,
        })
    }
}

/// One run of a side.
struct Run {
    epochs: Vec<Epoch>,
    peak_memory_mb: Option<f64>,
    /// What the side says of itself: versions, threads.
    said: Value,
}

/// Trains every shape with the project's `train` and with `PyTorch` in turn, and prints a table with the ratios.
///
/// # Errors
///
/// When data or base model are not there yet, a shape is unknown, or a side fails.
pub(super) fn train(root: &Path, training: &Training) -> Result<Measured> {
    let shapes = training.shapes.iter().map(|name| Shape::named(name)).collect::<Result<Vec<_>>>()?;
    ensure!(training.batch > 0 && training.batches > 0, "--batch and --batches are at least 1");
    needs(root, &[("data/prepared/train.parquet", "prepare"), ("models/base/tokenizer.json", "fetch")])?;
    let deepest = shapes.iter().filter(|shape| shape.random.is_none()).map(|shape| shape.layers).max().unwrap_or(0);
    let base = read_json(&root.join("models/base/config.json"))?;
    let (layers, hidden) = (base["num_hidden_layers"].as_u64(), base["hidden_size"].as_u64());
    ensure!(
        deepest == 0 || (layers >= Some(deepest as u64) && hidden == Some(384)),
        "models/base has {layers:?} layers of {hidden:?}, but the shapes asked for want the first {deepest} layers of \
         384: go back to presets/minilm.yaml, or name other --shapes"
    );
    let environment = Environment::ensure(root, BENCH)?;
    build(&[])?;
    let bench = Bench::prepare(root, environment, training)?;
    let sides: Vec<Side> =
        Side::ALL.into_iter().filter(|&side| side != Side::Padded || training.padded_batches > 0).collect();
    let repeat = training.repeat.max(1);
    let progress = bar(shapes.len() * sides.len() * repeat);
    let mut rows = Vec::new();
    for shape in &shapes {
        let base = bench.base(shape)?;
        let mut runs: Vec<(Side, Run)> = Vec::new();
        for turn in 0..repeat {
            // The side that goes first changes, so that a machine that slows down favours none.
            for index in 0..sides.len() {
                let side = sides[(index + turn) % sides.len()];
                progress.set_message(format!("{}, {}", shape.name, side.key()));
                let run = bench.run(shape, side, &base)?;
                let speed = run.epochs.last().map_or(0.0, |epoch| epoch.sentences_per_second);
                tell(
                    &progress,
                    &format!("{} {}, run {} of {repeat}: {speed:.1} sentences/s", shape.name, side.key(), turn + 1),
                );
                progress.inc(1);
                runs.push((side, run));
            }
        }
        rows.push(row(shape, &sides, &runs));
    }
    progress.finish_and_clear();
    print(&rows, training);
    Ok(Measured::new("train", bench.report(&rows)))
}

/// The figures of a shape.
fn row(shape: &Shape, sides: &[Side], runs: &[(Side, Run)]) -> Value {
    let mut row = json!({
        "shape": shape.name,
        "weights": if shape.random.is_some() { "random" } else { "base" },
    });
    for &side in sides {
        let of_side = || runs.iter().filter(|(of, _)| *of == side).map(|(_, run)| run);
        // The first epoch warms caches.
        let counted = || of_side().flat_map(|run| run.epochs.iter().skip(1));
        let memory: Vec<f64> = of_side().filter_map(|run| run.peak_memory_mb).collect();
        row[side.key()] = json!({
            "sentences_per_second":
                Spread::of(counted().map(|epoch| epoch.sentences_per_second).collect()).json(),
            "last_loss": Spread::of(of_side().filter_map(|run| run.epochs.last()).map(|epoch| epoch.train_loss).collect()).median,
            "peak_memory_mb": Spread::of_any(memory),
            "said": of_side().next().map(|run| run.said.clone()),
        });
    }
    let figures = row.clone();
    let median = |side: Side| figures[side.key()]["sentences_per_second"]["median"].as_f64();
    for (key, ours, theirs) in [
        ("ratio", Side::Ours, Side::PyTorch),
        ("ratio_bf16", Side::OursRounded, Side::PyTorchRounded),
        ("ratio_padded", Side::Ours, Side::Padded),
    ] {
        row[key] = json!(median(ours).zip(median(theirs)).map(|(ours, theirs)| ours / theirs));
    }
    row
}

fn print(rows: &[Value], training: &Training) {
    println!(
        "Training in sentences/s, batches of {}, median (lowest to highest) of the epochs counted; memory in MB:",
        training.batch
    );
    for row in rows {
        println!("  {}", row["shape"].as_str().unwrap_or(""));
        for side in Side::ALL {
            let speed = &row[side.key()]["sentences_per_second"];
            let figure = |key: &str| speed[key].as_f64().unwrap_or(f64::NAN);
            if speed.is_null() {
                continue;
            }
            let (name, ratio) = match side {
                Side::Ours => ("wellformed (flex)", None),
                Side::PyTorch => ("PyTorch", row["ratio"].as_f64()),
                Side::OursRounded => ("wellformed, bf16", None),
                Side::PyTorchRounded => ("PyTorch, autocast", row["ratio_bf16"].as_f64()),
                Side::Padded => ("PyTorch, padded to 128", row["ratio_padded"].as_f64()),
            };
            println!(
                "    {name:22} {:8.1} ({:.1} to {:.1}), {:5.0} MB{}",
                figure("median"),
                figure("low"),
                figure("high"),
                row[side.key()]["peak_memory_mb"]["median"].as_f64().unwrap_or(f64::NAN),
                ratio.map_or(String::new(), |ratio| format!("; ours / this: {ratio:.2}"))
            );
        }
    }
}

/// What all runs share.
struct Bench<'a> {
    root: &'a Path,
    environment: Environment,
    training: &'a Training,
    threads: usize,
    /// A temporary folder with `data/prepared`, the part of the data that is trained on.
    scratch: tempfile::TempDir,
    /// Sentences and tokens of that part.
    sample: Value,
}

impl<'a> Bench<'a> {
    fn prepare(root: &'a Path, environment: Environment, training: &'a Training) -> Result<Self> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut command = environment.python();
        command.arg("bench/training_sample.py").current_dir(root).args(["--prepared", "data/prepared"]);
        command.args(["--sentences", &(training.batch * training.batches).to_string()]);
        let sample = finished(command.arg("--output").arg(scratch.path().join("data/prepared")), &[0])?;
        let sample = serde_json::from_str(&sample.stdout).context("bench/training_sample.py printed no JSON")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if training.threads == 0 { cores } else { training.threads };
        Ok(Self { root, environment, training, threads, scratch, sample })
    }

    /// The folder of a shape's base model. One with random weights is the base model's tokenizer with a configuration of
    /// its own and without weights.
    fn base(&self, shape: &Shape) -> Result<PathBuf> {
        let base = self.root.join("models/base");
        let Some([hidden, heads, inner]) = shape.random else { return Ok(base) };
        let folder = self.scratch.path().join(shape.name);
        fs::create_dir_all(&folder)?;
        let mut config = read_json(&base.join("config.json"))?;
        for (key, number) in [
            ("num_hidden_layers", shape.layers),
            ("hidden_size", hidden),
            ("num_attention_heads", heads),
            ("intermediate_size", inner),
        ] {
            config[key] = json!(number);
        }
        fs::write(folder.join("config.json"), format!("{config:#}\n"))?;
        fs::copy(base.join("tokenizer.json"), folder.join("tokenizer.json"))?;
        Ok(folder)
    }

    fn run(&self, shape: &Shape, side: Side, base: &Path) -> Result<Run> {
        match side {
            Side::Ours => self.this_project(shape, base, "fp32"),
            Side::OursRounded => self.this_project(shape, base, "bf16"),
            Side::PyTorch | Side::PyTorchRounded | Side::Padded => self.pytorch(shape, base, side),
        }
    }

    /// The project's own stage, in a folder of its own, so that no output of the pipeline is touched.
    fn this_project(&self, shape: &Shape, base: &Path, precision: &str) -> Result<Run> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        for place in ["data", "models"] {
            fs::create_dir(folder.path().join(place))?;
        }
        std::os::unix::fs::symlink(self.scratch.path().join("data/prepared"), folder.path().join("data/prepared"))?;
        std::os::unix::fs::symlink(base, folder.path().join("models/base"))?;
        let mut command = Command::new(binary(self.root, "train"));
        command.current_dir(folder.path()).arg("--params").arg(self.root.join("params.yaml"));
        command.args(["--timings", "timings.jsonl"]);
        // Whatever params.yaml says, this is what the yardstick does; its own comment lists it.
        for set in [
            format!("model.layers={}", shape.layers),
            format!("train.batch_size={}", self.training.batch),
            format!("train.epochs={}", self.training.epochs),
            format!("train.precision={precision}"),
            format!("compute.threads={}", self.threads),
        ]
        .into_iter()
        .chain(SAME.map(str::to_owned))
        {
            command.args(["--set", &set]);
        }
        let finished = finished(&mut command, &[0])?;
        let timings = fs::read_to_string(folder.path().join("timings.jsonl")).context("train wrote no timings")?;
        let epochs = timings.lines().map(Epoch::parse).collect::<Result<Vec<_>>>()?;
        self.check(&epochs, "train")?;
        Ok(Run { epochs, peak_memory_mb: finished.peak_memory_mb, said: json!({ "burn": locked(self.root, "burn")? }) })
    }

    /// `bench/torch_train.py`, in the bench's environment.
    fn pytorch(&self, shape: &Shape, base: &Path, side: Side) -> Result<Run> {
        let mut command = self.environment.python();
        command.arg("bench/torch_train.py").current_dir(self.root);
        command.arg("--data").arg(self.scratch.path().join("data/prepared")).arg("--base").arg(base);
        let numbers = [
            ("--layers", shape.layers),
            ("--batch", self.training.batch),
            ("--epochs", self.training.epochs as usize),
            ("--threads", self.threads),
        ];
        let padding = [("--pad", PADDED), ("--max-steps", self.training.padded_batches)];
        for (name, value) in numbers.into_iter().chain(padding.into_iter().filter(|_| side == Side::Padded)) {
            command.arg(name).arg(value.to_string());
        }
        command.args(shape.random.map(|_| "--random-init"));
        command.args((side == Side::PyTorchRounded).then_some("--bf16"));
        let finished = finished(&mut command, &[0])?;
        let epochs = finished.stdout.lines().map(Epoch::parse).collect::<Result<Vec<_>>>()?;
        self.check(&epochs, "bench/torch_train.py")?;
        let last: Value = finished.stdout.lines().last().map_or(Ok(Value::Null), serde_json::from_str)?;
        let said = json!({ "torch": last["torch"], "transformers": last["transformers"], "threads": last["threads"] });
        Ok(Run { epochs, peak_memory_mb: finished.peak_memory_mb, said })
    }

    fn check(&self, epochs: &[Epoch], who: &str) -> Result<()> {
        let wanted = self.training.epochs;
        if epochs.len() as u64 != wanted {
            bail!("{who} reported {} epochs where {wanted} were asked for", epochs.len());
        }
        Ok(())
    }

    fn report(&self, rows: &[Value]) -> Value {
        let of = |side: Side| rows.first().map_or(Value::Null, |row| row[side.key()]["said"].clone());
        let mut shapes = rows.to_vec();
        for row in &mut shapes {
            for side in Side::ALL {
                if let Some(figures) = row[side.key()].as_object_mut() {
                    figures.remove("said");
                }
            }
        }
        let (ours, theirs) = (of(Side::Ours), of(Side::PyTorch));
        json!({
            "batch": self.training.batch,
            "epochs": self.training.epochs,
            "repeat": self.training.repeat.max(1),
            "threads": self.threads,
            "sentences": self.sample["sentences"],
            "tokens": self.sample["tokens"],
            "longest": self.sample["longest"],
            "padded_batches": self.training.padded_batches,
            "padded_to": PADDED,
            "versions": {
                "burn": ours["burn"], "torch": theirs["torch"], "transformers": theirs["transformers"],
            },
            "shapes": shapes,
        })
    }
}

/// What the yardstick does, as parameters of `train`: `[CLS]` through the pooler, and the rest as its comment says.
pub const SAME: [&str; 28] = [
    "compute.device=flex",
    "model.pooling=cls",
    "model.freeze_embeddings=false",
    "model.freeze_layers=0",
    "model.hidden_dropout=0.1",
    "model.attention_dropout=0.1",
    "model.classifier_dropout=0.1",
    "train.accumulate=1",
    "train.lr=5.0e-5",
    "train.layer_lr_decay=1.0",
    "train.schedule=linear",
    "train.warmup_ratio=0.06",
    "train.weight_decay=0.01",
    "train.beta1=0.9",
    "train.beta2=0.999",
    "train.epsilon=1.0e-8",
    "train.clip_norm=1.0",
    "train.label_smoothing=0.0",
    "train.teacher_weight=0.0",
    "train.class_weights=none",
    "train.select_by=mcc",
    "train.patience=0",
    "train.limit_train_batches=0",
    "train.overfit_batches=0",
    "train.pairs_epochs=0",
    "train.devices=1",
    "seed=1",
    // Nothing is written elsewhere while it trains.
    "track.sinks=[]",
];

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// The version of a package in Cargo.lock.
fn locked(root: &Path, package: &str) -> Result<String> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut lines = text.lines().skip_while(|line| *line != format!("name = \"{package}\"")).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.map(|version| version.trim_matches('"').to_owned()).with_context(|| format!("no {package} in Cargo.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_from_the_yardsticks_line() {
        let line = r#"{"epoch": 1, "train_loss": 0.5, "seconds": 12.5, "sentences_per_second": 684.1, "mcc": 0.25}"#;
        let expected = Epoch { epoch: 1, seconds: 12.5, sentences_per_second: 684.1, train_loss: 0.5 };
        assert_eq!(Epoch::parse(line).unwrap(), expected);
    }

    #[test]
    fn a_line_without_a_figure_is_refused_by_name() {
        let error = Epoch::parse(r#"{"epoch": 1, "seconds": 2.0, "train_loss": 0.1}"#).unwrap_err().to_string();
        assert!(error.contains("sentences_per_second"), "{error}");
    }

    #[test]
    fn a_shape_that_does_not_exist_is_refused_with_those_that_do() {
        let error = Shape::named("12x768").unwrap_err().to_string();
        assert!(error.contains("12x768") && error.contains("6x384"), "{error}");
    }

    #[test]
    fn first_epochs_do_not_count_and_ratios_are_of_medians() {
        let run = |speeds: [f64; 2]| Run {
            epochs: speeds
                .iter()
                .zip(0..)
                .map(|(&speed, epoch)| Epoch { epoch, seconds: 1.0, sentences_per_second: speed, train_loss: 0.5 })
                .collect(),
            peak_memory_mb: Some(10.0),
            said: Value::Null,
        };
        let runs = vec![
            (Side::Ours, run([1.0, 200.0])),
            (Side::PyTorch, run([900.0, 400.0])),
            (Side::Ours, run([1.0, 100.0])),
            (Side::PyTorch, run([900.0, 200.0])),
        ];
        let row = row(&Shape::ALL[1], &[Side::Ours, Side::PyTorch], &runs);
        assert_eq!(row["ours"]["sentences_per_second"], json!({ "low": 100.0, "median": 150.0, "high": 200.0 }));
        assert_eq!(row["ratio"], json!(0.5));
        assert_eq!(row["ratio_padded"], Value::Null);
    }

    #[test]
    fn the_version_of_a_package_is_that_of_the_lock_file() {
        let version = locked(&crate::process::root(), "burn").unwrap();
        assert!(version.starts_with("0."), "{version}");
    }
}
