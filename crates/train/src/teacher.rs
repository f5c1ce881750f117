//! A teacher: a bigger model's checkpoint, whose probabilities a smaller one learns beside the labels (Hinton, Vinyals
//! and Dean 2015, <https://arxiv.org/abs/1503.02531>).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wellformed_core::dataset::Example;
use wellformed_core::files::sha256_file;
use wellformed_core::label::Label;
use wellformed_metrics::{Confusion, fit_temperature, probability, rounded};
use wellformed_model::checkpoint::Checkpoint;
use wellformed_model::device::Chosen;

use crate::history;
use crate::progress::sentences;

/// What a teacher says of the training data.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// The probability of *acceptable* of each training sentence, at the temperature that fits *tune* best: a model that
    /// was trained to the end is far too sure of itself, and sure is what labels are already.
    pub probabilities: Vec<f32>,
    /// For `reports/train`.
    pub told: history::Teacher,
}

impl Teacher {
    /// The weights' file in a teacher's folder.
    pub fn weights(folder: &Path) -> PathBuf {
        folder.join("model.safetensors")
    }

    /// Lets the checkpoint in `folder` judge the training sentences.
    ///
    /// # Errors
    ///
    /// When there is no checkpoint, or it was made with another tokenizer than `tokenizer`.
    pub fn ask(
        folder: &Path,
        tokenizer: &Path,
        chosen: &Chosen,
        (training, tune): (&[Example], &[Example]),
        batch_size: usize,
    ) -> Result<Self> {
        let what_to_do = || {
            format!(
                "train.teacher_weight is above 0, but {} holds no teacher: copy models/checkpoint of a bigger model \
                 there, or set train.teacher_weight to 0",
                folder.display()
            )
        };
        let checkpoint = Checkpoint::load(folder, chosen).with_context(what_to_do)?;
        let teachers = folder.join("tokenizer.json");
        ensure!(
            sha256_file(tokenizer)? == sha256_file(&teachers)?,
            "{} and {} differ, so the teacher would read other tokens: a teacher needs the tokenizer of the base model",
            tokenizer.display(),
            teachers.display()
        );
        let bar = sentences(training.len() + tune.len());
        let logits = |examples: &[Example]| {
            let sentences: Vec<&[i32]> = examples.iter().map(|example| &example.input_ids[..]).collect();
            checkpoint.logits(&sentences, batch_size, &mut |read| bar.inc(read as u64))
        };
        let on_tune = logits(tune)?;
        let labels: Vec<bool> = tune.iter().map(|example| example.label == Label::Acceptable).collect();
        let predictions: Vec<bool> = on_tune.iter().map(|[no, yes]| yes > no).collect();
        let temperature = fit_temperature(&labels, &on_tune)?.unwrap_or(1.0);
        let probabilities =
            logits(training)?.into_iter().map(|logits| probability(logits, temperature) as f32).collect();
        bar.finish_and_clear();
        let tune_mcc = rounded(Confusion::of(&labels, &predictions)?.mcc());
        Ok(Self { probabilities, told: history::Teacher { tune_mcc, temperature: rounded(temperature) } })
    }
}
