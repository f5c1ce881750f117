//! From prepared sentences to logits.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use wellformed_core::dataset::{Domain, Example, Split, read_examples};
use wellformed_core::label::Label;
use wellformed_core::params::EvalStage;
use wellformed_model::checkpoint::Checkpoint;
use wellformed_model::device;

use crate::places::Places;

/// The splits that are evaluated, in the order of all reports.
pub const SPLITS: [Split; 3] = [Split::Tune, Split::Validation, Split::Phenomena];

/// A sentence and what the model made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Which part it belongs to.
    pub split: Split,
    /// As in the prepared data.
    pub id: String,
    /// The sentence itself; not for reports.
    pub sentence: String,
    /// The publication, or the phenomenon.
    pub source: String,
    /// In or out of the training set's domain.
    pub domain: Domain,
    /// The linguist's judgement.
    pub label: Label,
    /// Unacceptable, acceptable.
    pub logits: [f32; 2],
}

impl Predicted {
    /// A prepared sentence with its logits.
    pub fn new(split: Split, example: Example, logits: [f32; 2]) -> Self {
        let Example { id, sentence, label, source, domain, .. } = example;
        Self { split, id, sentence, source, domain, label, logits }
    }

    /// The class of the larger logit; *unacceptable* if they are equal.
    pub fn decision(&self) -> Label {
        if self.logits[1] > self.logits[0] { Label::Acceptable } else { Label::Unacceptable }
    }
}

/// A prediction with its probabilities.
#[derive(Debug, Clone)]
pub struct Scored<'a> {
    /// The sentence and its logits.
    pub predicted: &'a Predicted,
    /// The calibrated probability of *acceptable*.
    pub p_acceptable: f64,
    /// The same at temperature 1.
    pub p_uncalibrated: f64,
}

impl Scored<'_> {
    pub(crate) fn is_acceptable(&self) -> bool {
        self.predicted.label == Label::Acceptable
    }

    pub(crate) fn is_predicted_acceptable(&self) -> bool {
        self.predicted.decision() == Label::Acceptable
    }
}

/// Runs the checkpoint over every split in [`SPLITS`].
///
/// # Errors
///
/// When prepared data or checkpoint are missing or do not fit together, or the device is not to be had.
pub fn predict(stage: &EvalStage, places: &Places) -> Result<Vec<Predicted>> {
    let mut examples = Vec::new();
    for split in SPLITS {
        examples.extend(read_examples(&places.split(split))?.into_iter().map(|example| (split, example)));
    }
    let chosen = device::choose(&stage.compute)?;
    let checkpoint = Checkpoint::load(&places.checkpoint, &chosen)?;
    check_fit(&examples, &checkpoint, places)?;

    let bar = progress(examples.len(), chosen.kind.name());
    let sentences: Vec<&[i32]> = examples.iter().map(|(_, example)| example.input_ids.as_slice()).collect();
    let logits = checkpoint
        .logits(&sentences, stage.eval.batch_size, &mut |sentences| bar.inc(sentences as u64))
        .context("the model could not be run over the prepared data")?;
    bar.finish_and_clear();
    let predicted =
        examples.into_iter().zip(logits).map(|((split, example), logits)| Predicted::new(split, example, logits));
    Ok(predicted.collect())
}

/// Tokens of another base model would make nonsense, or an index that the tables of the model do not have.
fn check_fit(examples: &[(Split, Example)], checkpoint: &Checkpoint, places: &Places) -> Result<()> {
    let encoder = &checkpoint.classifier.architecture.encoder;
    for (split, example) in examples {
        let place = || {
            let (data, model) = (places.split(*split), places.checkpoint.join("config.json"));
            format!(
                "{}, sentence {}, does not fit {}; run prepare and train again",
                data.display(),
                example.id,
                model.display()
            )
        };
        encoder.check_sequence(&example.input_ids).with_context(place)?;
    }
    Ok(())
}

/// A bar on a terminal, one line elsewhere.
fn progress(sentences: usize, device: &str) -> ProgressBar {
    let bar = ProgressBar::new(sentences as u64);
    if bar.is_hidden() {
        eprintln!("evaluating {sentences} sentences on {device}");
    }
    // The template is a constant; should it be wrong, a plain bar will do.
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} sentences, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
        .with_message(format!("evaluating on {device}"))
}
