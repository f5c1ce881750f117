//! Files in, files out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wellformed_core::dataset::{Example, read_examples};
use wellformed_core::files::{sha256_bytes, sha256_file};
use wellformed_core::params::TrainStage;
use wellformed_model::checkpoint::Checkpoint;
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::BertConfig;
use wellformed_model::device::{self, Chosen};
use wellformed_model::weights;
use wellformed_track::Journal;

use crate::derived_seed;
use crate::history::{self, Pairs};
use crate::parallel::Devices;
use crate::state::State;
use crate::teacher::Teacher;
use crate::training::{Outcome, Run, Timing};

/// Where the stage reads and writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// `data/prepared`
    pub prepared: PathBuf,
    /// `models/base`
    pub base: PathBuf,
    /// `models/teacher`
    pub teacher: PathBuf,
    /// `models/checkpoint`
    pub checkpoint: PathBuf,
    /// `models/train-state`
    pub state: PathBuf,
    /// `models/pairs-state`
    pub pairs_state: PathBuf,
    /// `reports/train`
    pub reports: PathBuf,
}

impl Places {
    /// The places of dvc.yaml, below the project's root.
    pub fn in_project(root: &Path) -> Self {
        Self {
            prepared: root.join("data/prepared"),
            base: root.join("models/base"),
            teacher: root.join("models/teacher"),
            checkpoint: root.join("models/checkpoint"),
            state: root.join("models/train-state"),
            pairs_state: root.join("models/pairs-state"),
            reports: root.join("reports/train"),
        }
    }
}

/// Trains, first on the minimal pairs and then on the training data, and writes `models/checkpoint` and `reports/train`;
/// returns the summary line and how fast the epochs on the training data were. The run is told to `journal` as it goes on, and nothing depends on that.
///
/// # Errors
///
/// When an input is missing or does not fit, the device is not to be had, training diverges, or an output cannot be
/// written. What was complete is kept, and the next run goes on from there.
pub fn run(stage: &TrainStage, journal: &Journal, places: &Places) -> Result<(String, Vec<Timing>)> {
    let chosen = device::choose(&stage.compute)?;
    // In a thread of the pool: from elsewhere, each of the thousand small loops of a step would have to wake one up,
    // and wait to be woken itself.
    rayon::scope(|_| run_on(&chosen, stage, journal, places))
}

fn run_on(chosen: &Chosen, stage: &TrainStage, journal: &Journal, places: &Places) -> Result<(String, Vec<Timing>)> {
    let devices = Devices::new(chosen, stage.train.devices, stage.train.precision)?;
    let config = BertConfig::load(&places.base.join("config.json"))?;
    let architecture = Architecture::new(&config, &stage.model)?;
    let of_pairs = stage.train.of_pairs();
    let (frozen, layers) = (stage.train.pairs_freeze_layers, architecture.encoder.num_hidden_layers);
    ensure!(
        of_pairs.is_none() || frozen <= layers,
        "train.pairs_freeze_layers is {frozen}, but only {layers} layers are kept (model.layers)"
    );
    let [training, tune] = ["train", "tune"].map(|split| places.prepared.join(format!("{split}.parquet")));
    let (training_path, tune_path) = (training, tune);
    let (training, tune) = (read_examples(&training_path)?, read_examples(&tune_path)?);
    for (path, examples) in [(&training_path, &training), (&tune_path, &tune)] {
        check(path, examples, &config)?;
    }
    let classifier = Classifier::from_base(&places.base, architecture, stage.seed, chosen)?;
    let weights_file = weights::find(&places.base);
    let tokenizer = places.base.join("tokenizer.json");
    let longest = training.iter().chain(&tune).map(|example| example.input_ids.len()).max().unwrap_or(0);

    let pairs_path = places.prepared.join("pairs.parquet");
    let is_taught = stage.train.teacher_weight > 0.0;
    let teacher_weights = Teacher::weights(&places.teacher);
    let mut inputs = vec![training_path.as_path(), &tune_path];
    inputs.extend(of_pairs.is_some().then_some(pairs_path.as_path()));
    inputs.extend(is_taught.then_some(teacher_weights.as_path()));
    let teacher = if is_taught {
        let (sentences, batch) = ((&training[..], &tune[..]), stage.train.batch_size);
        Some(Teacher::ask(&places.teacher, &tokenizer, chosen, sentences, batch)?)
    } else {
        None
    };
    let after_pairs = stage.model.after_pairs(&stage.train);
    let run = Run {
        name: "",
        seed: stage.seed,
        train: &stage.train,
        model: if of_pairs.is_some() { &after_pairs } else { &stage.model },
        chosen,
        devices: &devices,
        training: &training,
        taught: teacher.as_ref().map(|teacher| &teacher.probabilities[..]),
        tune: &tune,
        base_sha256: weights_file.as_deref().map(sha256_file).transpose()?,
        max_length: longest,
        tokenizer: &tokenizer,
        journal,
        fingerprint: fingerprint(stage, chosen.kind.name(), places, &inputs)?,
    };
    let pairs_state = State::new(&places.pairs_state);
    let (classifier, pairs) = match of_pairs {
        None => (classifier, None),
        Some(train) => {
            let pairs = read_examples(&pairs_path)?;
            check(&pairs_path, &pairs, &config)?;
            let stage = TrainStage { seed: derived_seed(stage.seed, "pairs", 0), train, ..stage.clone() };
            let fingerprint = fingerprint(&stage, chosen.kind.name(), places, &[&pairs_path, &tune_path])?;
            let (journal, seed, train) = (&Journal::off(), stage.seed, &stage.train);
            let run = Run {
                name: "pairs, ",
                seed,
                train,
                model: &stage.model,
                training: &pairs,
                taught: None,
                journal,
                fingerprint,
                ..run.clone()
            };
            begin(&run, classifier, &pairs_state)?
        }
    };
    let state = State::new(&places.state);
    let Outcome { mut summary, epochs, steps, timings, run } = run.train(classifier, &state)?;
    summary.pairs = pairs;
    summary.teacher = teacher.map(|teacher| teacher.told);
    state.publish(&places.checkpoint)?;
    journal.remember(&places.checkpoint.join("model.safetensors"), &run);
    history::write(&places.reports, &summary, &epochs, &steps)?;
    state.clear()?;
    pairs_state.clear()?;
    let line = format!(
        "{}: epoch {} of {}, MCC {:.3} and accuracy {:.3} on tune, trained on {}{} in {} ({} of {} parameters)",
        places.checkpoint.display(),
        summary.best_epoch,
        summary.epochs,
        summary.tune_mcc,
        summary.tune_accuracy,
        if stage.train.devices > 1 { format!("{} × ", stage.train.devices) } else { String::new() },
        chosen.kind.name(),
        devices.precision().name(),
        summary.trained_parameters,
        summary.parameters,
    );
    Ok((line, timings))
}

/// Trains on the minimal pairs: the classifier to go on with, and what is told of it. The state is kept, so that an
/// interrupted run on the training data need not do this again.
fn begin(run: &Run<'_>, classifier: Classifier, state: &State) -> Result<(Classifier, Option<Pairs>)> {
    let Outcome { summary, epochs, .. } = run.train(classifier, state)?;
    let best = epochs.get(summary.best_epoch - 1).context("no epoch was run")?;
    let told = Pairs {
        sentences: summary.sentences,
        steps: summary.steps,
        train_loss: best.train_loss,
        tune_mcc: best.tune_mcc,
    };
    Ok((Checkpoint::load(&state.best()?, run.chosen)?.classifier, Some(told)))
}

/// Prepared data and base model must belong together.
fn check(path: &Path, examples: &[Example], config: &BertConfig) -> Result<()> {
    for example in examples {
        config.check_sequence(&example.input_ids).with_context(|| {
            format!(
                "{}, sentence {}, does not fit the base model; lower prepare.max_length, or run the prepare stage again \
                 for this model",
                path.display(),
                example.id
            )
        })?;
    }
    Ok(())
}

/// A digest of everything that the result depends on: parameters, device, data, base model, and this program.
fn fingerprint(stage: &TrainStage, device: &str, places: &Places, data: &[&Path]) -> Result<String> {
    let mut parts = vec![serde_json::to_string(stage)?, device.to_owned()];
    let mut files: Vec<PathBuf> = data.iter().map(|path| (*path).to_owned()).collect();
    files.extend(["config.json", "tokenizer.json"].map(|name| places.base.join(name)));
    files.extend(weights::find(&places.base));
    files.push(std::env::current_exe().context("cannot find this program's own file")?);
    for file in files {
        parts.push(sha256_file(&file)?);
    }
    Ok(sha256_bytes(parts.join("\n").as_bytes()))
}

/// Writes what `--timings` asks for: an object a line, an epoch each.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_timings(path: &Path, timings: &[Timing]) -> Result<()> {
    let mut text = String::new();
    for timing in timings {
        text.push_str(&serde_json::to_string(timing)?);
        text.push('\n');
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
