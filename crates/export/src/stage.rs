//! The stage from its inputs to its outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message;
use serde::{Deserialize, Serialize};
use wellformed_core::bundle::{
    Decision, FORMAT, FileEntry, Headline, MANIFEST, MODEL, MODEL_INT8, Manifest, Origin, PROFILE, Precision, SIGNALS,
    TOKENIZER,
};
use wellformed_core::dataset::{Example, Split, read_examples};
use wellformed_core::files::{read_json, sha256_file, write_json, write_whole};
use wellformed_core::label::Label;
use wellformed_core::params::ExportStage;
use wellformed_infer::{Options, Prediction, Predictor, Tokens, verify};
use wellformed_metrics::rounded;
use wellformed_model::checkpoint::Checkpoint;
use wellformed_model::device;
use wellformed_onnx::{Architecture, Weights, model, quantize};

use crate::parity::{Parity, Sentence};
use crate::places::Places;
use crate::reference;
use crate::report::Metrics;
use crate::{convert, git, native};

/// The least difference of MCC at which `metrics.json` of `eval` cannot be about this checkpoint.
const OTHER_CHECKPOINT: f64 = 0.005;

/// What `eval` chose: a part of `calibration.json`.
#[derive(Deserialize)]
struct Calibration {
    temperature: f64,
    threshold: f64,
}

/// A part of `metrics.json` of `eval`.
#[derive(Deserialize)]
struct Evaluation {
    validation: Validation,
}

#[derive(Deserialize)]
struct Validation {
    sentences: usize,
    mcc: f64,
    mcc_low: f64,
    mcc_high: f64,
    accuracy: f64,
    #[serde(default)]
    ece: Option<f64>,
}

/// Makes the bundle and the Rust source, and writes the stage's numbers; gives the lines that sum them up.
///
/// # Errors
///
/// When an input is missing or does not fit the others, when a bound of `export` in params.yaml is broken, or when a
/// file cannot be written. The old bundle is then still there.
pub fn export(stage: &ExportStage, places: &Places) -> Result<Vec<String>> {
    let examples = read_examples(&places.split(Split::Validation))?;
    ensure!(!examples.is_empty(), "validation has no sentences; run the prepare stage again");
    let again = "run the eval stage first";
    let calibration: Calibration = read_json(&places.evaluation.join("calibration.json")).context(again)?;
    let evaluation: Evaluation = read_json(&places.evaluation.join("metrics.json")).context(again)?;
    let Calibration { temperature, threshold } = calibration;
    let decision = Decision { temperature, threshold };

    let chosen = device::choose(&stage.compute)?;
    let checkpoint = Checkpoint::load(&places.checkpoint, &chosen)?;
    let logits = checkpoint_logits(&checkpoint, &examples, stage, places, chosen.kind.name())?;

    let architecture =
        convert::architecture(&checkpoint.classifier.architecture, stage.prepare.max_length, temperature)?;
    let first_position = checkpoint.classifier.architecture.encoder.first_position();
    let weights = convert::weights(&checkpoint.classifier.tensors()?, &architecture, first_position)?;

    let parent = places.bundle.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
    let writing = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent);
    let writing = writing.with_context(|| format!("cannot write to {}", parent.display()))?;
    let new = writing.path().join("bundle");
    fs::create_dir(&new)?;
    write_models(&new, &architecture, weights)?;
    let tokenizer = places.checkpoint.join(TOKENIZER);
    fs::copy(&tokenizer, new.join(TOKENIZER)).with_context(|| format!("cannot copy {}", tokenizer.display()))?;

    // The engine opens whole bundles only, so the manifest comes first with what is known, and again with what the
    // engine has found.
    let mut manifest = Manifest {
        format: FORMAT,
        digest: String::new(),
        labels: Label::ALL,
        max_length: architecture.positions,
        vocabulary: architecture.vocabulary,
        calibration: decision,
        default_precision: stage.export.precision,
        files: entries(&new, &[MODEL, MODEL_INT8, TOKENIZER])?,
        origin: origin(stage, &checkpoint, places)?,
        metrics: Headline {
            sentences: examples.len(),
            mcc: evaluation.validation.mcc,
            mcc_low: evaluation.validation.mcc_low,
            mcc_high: evaluation.validation.mcc_high,
            accuracy: evaluation.validation.accuracy,
            int8_mcc: 0.0,
            ece: evaluation.validation.ece,
        },
    }
    .seal();
    write_json(&new.join(MANIFEST), &manifest)?;
    let open = |precision| {
        let options = Options { precision: Some(precision), threads: stage.compute.threads };
        Predictor::open(&new, &options).context("the engine does not open what was exported")
    };
    let predictor = open(Precision::Fp32)?;
    let fp32 = predictions(&predictor, &examples)?;
    let vocabulary = predictor.vocabulary();
    let int8 = predictions(&open(Precision::Int8)?, &examples)?;

    let models = logits.into_iter().zip(&fp32).zip(&int8);
    let sentence = |(example, ((checkpoint, fp32), int8)): (&Example, (([f32; 2], &Prediction), &Prediction))| {
        Sentence { id: example.id.clone(), label: example.label, checkpoint, fp32: fp32.logits, int8: int8.logits }
    };
    let sentences: Vec<Sentence> = examples.iter().zip(models).map(sentence).collect();
    let parity = Parity::of(&sentences, &decision)?;
    let Validation { sentences: count, mcc, .. } = evaluation.validation;
    if count != examples.len() || (parity.checkpoint_mcc - mcc).abs() > OTHER_CHECKPOINT {
        bail!(
            "{} is of another checkpoint or other data: it says {count} sentences of validation and an MCC of {mcc}, \
             but there are {} with {}; run the eval stage again",
            places.evaluation.join("metrics.json").display(),
            examples.len(),
            rounded(parity.checkpoint_mcc)
        );
    }
    parity.check(&sentences, &stage.export)?;

    let served = if stage.export.precision == Precision::Int8 { &int8 } else { &fp32 };
    let watched = write_reference(&new, &manifest, &vocabulary, served, &examples, places)?;
    manifest.files = entries(&new, &[&[MODEL, MODEL_INT8, TOKENIZER], watched.as_slice()].concat())?;
    manifest.metrics.int8_mcc = rounded(parity.int8_mcc);
    let manifest = manifest.seal();
    write_json(&new.join(MANIFEST), &manifest)?;
    verify(&new).context("the finished bundle cannot be read again")?;
    let metrics = Metrics::new(&parity, manifest.files[MODEL].bytes, manifest.files[MODEL_INT8].bytes);

    native::write(&new.join(MODEL), &places.native)?;
    if places.bundle.exists() {
        let old = writing.path().join("old");
        fs::rename(&places.bundle, old).with_context(|| format!("cannot replace {}", places.bundle.display()))?;
    }
    fs::rename(&new, &places.bundle).with_context(|| format!("cannot write {}", places.bundle.display()))?;
    write_json(&places.reports.join("metrics.json"), &metrics)?;
    let mut summary = metrics.summary(&manifest);
    summary.extend(missing(&watched));
    Ok(summary)
}

/// Writes what monitoring needs into the bundle, as far as the corpus is large enough for it; gives the files' names.
fn write_reference(
    bundle: &Path,
    manifest: &Manifest,
    vocabulary: &[String],
    served: &[Prediction],
    examples: &[Example],
    places: &Places,
) -> Result<Vec<&'static str>> {
    let training = read_examples(&places.split(Split::Train))?;
    let precision = manifest.default_precision;
    let signals = reference::signals(&training, vocabulary)?;
    let profile = reference::profile(manifest, precision, examples, served, signals.as_ref())?;
    let mut names = Vec::new();
    if let Some(profile) = profile {
        write_line(&bundle.join(PROFILE), &profile)?;
        names.push(PROFILE);
    }
    if let Some(signals) = signals {
        write_line(&bundle.join(SIGNALS), &signals)?;
        names.push(SIGNALS);
    }
    Ok(names)
}

/// What is said where the bundle goes without a file.
fn missing(watched: &[&str]) -> Option<String> {
    let missing: Vec<&str> = [PROFILE, SIGNALS].into_iter().filter(|name| !watched.contains(name)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "without {}: the corpus is too small to say what is usual, so drift cannot be watched",
            missing.join(", ")
        )
    })
}

/// A value as JSON on one line: long lists are not for reading.
fn write_line(path: &Path, value: &impl Serialize) -> Result<()> {
    write_whole(path, |writer| {
        serde_json::to_writer(&mut *writer, value)?;
        Ok(writer.write_all(b"\n")?)
    })
}

/// The checkpoint's logits on the prepared token ids.
fn checkpoint_logits(
    checkpoint: &Checkpoint,
    examples: &[Example],
    stage: &ExportStage,
    places: &Places,
    device: &str,
) -> Result<Vec<[f32; 2]>> {
    let encoder = &checkpoint.classifier.architecture.encoder;
    for example in examples {
        encoder.check_sequence(&example.input_ids).with_context(|| {
            let data = places.split(Split::Validation);
            format!(
                "{}, sentence {}, does not fit {}; run prepare and train again",
                data.display(),
                example.id,
                places.checkpoint.display()
            )
        })?;
    }
    let bar = progress(examples.len(), device);
    let ids: Vec<&[i32]> = examples.iter().map(|example| example.input_ids.as_slice()).collect();
    let logits = checkpoint
        .logits(&ids, stage.eval.batch_size, &mut |sentences| bar.inc(sentences as u64))
        .context("the checkpoint could not be run over the prepared data")?;
    bar.finish_and_clear();
    Ok(logits)
}

fn write_models(folder: &Path, architecture: &Architecture, weights: Weights) -> Result<()> {
    let int8 = Architecture { precision: Precision::Int8, ..architecture.clone() };
    let quantized = quantize(architecture, &weights)?;
    for (architecture, weights) in [(architecture, weights), (&int8, quantized)] {
        let file = model(architecture, weights)?.encode_to_vec();
        write_whole(&folder.join(architecture.precision.file()), |writer| Ok(writer.write_all(&file)?))?;
    }
    Ok(())
}

fn entries(folder: &Path, names: &[&str]) -> Result<BTreeMap<String, FileEntry>> {
    let entry = |name: &&str| -> Result<(String, FileEntry)> {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        Ok(((*name).to_owned(), FileEntry { sha256: sha256_file(&path)?, bytes }))
    };
    names.iter().map(entry).collect()
}

fn origin(stage: &ExportStage, checkpoint: &Checkpoint, places: &Places) -> Result<Origin> {
    let digest = |split: Split| -> Result<(String, String)> {
        let name = format!("data/prepared/{}.parquet", split.name());
        Ok((name, sha256_file(&places.split(split))?))
    };
    let commit = git::commit(&places.root);
    Ok(Origin {
        data: Split::ALL.into_iter().map(digest).collect::<Result<_>>()?,
        base_model: stage.base.source.clone(),
        base_model_sha256: checkpoint.origin.base_sha256.clone(),
        checkpoint_sha256: sha256_file(&places.checkpoint.join("model.safetensors"))?,
        uncommitted: commit.as_ref().is_some_and(|commit| commit.uncommitted),
        git_commit: commit.map(|commit| commit.name),
        parameters: serde_json::to_value(stage).context("the parameters have no JSON form")?,
    })
}

/// What the engine that ships makes of the sentences' text.
fn predictions(predictor: &Predictor, examples: &[Example]) -> Result<Vec<Prediction>> {
    let tokenize = |example: &Example| -> Result<Tokens> {
        let place = || format!("sentence {} of validation", example.id);
        let tokens = predictor.tokenize(&example.sentence).with_context(place)?;
        let prepared: Vec<u32> = example.input_ids.iter().map(|id| id.cast_unsigned()).collect();
        ensure!(
            tokens.ids == prepared,
            "{}: the engine makes {} tokens of it, {:?}, but prepare {}, {prepared:?}; run prepare, train and eval again",
            place(),
            tokens.ids.len(),
            tokens.ids,
            prepared.len()
        );
        Ok(tokens)
    };
    let tokens: Vec<Tokens> = examples.iter().map(tokenize).collect::<Result<_>>()?;
    Ok(predictor.run(&tokens))
}

/// A bar on a terminal, one line elsewhere.
fn progress(sentences: usize, device: &str) -> ProgressBar {
    let bar = ProgressBar::new(sentences as u64);
    if bar.is_hidden() {
        eprintln!("comparing with the checkpoint: {sentences} sentences on {device}");
    }
    // The template is a constant; should it be wrong, a plain bar will do.
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} sentences, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
        .with_message(format!("the checkpoint on {device}"))
}
