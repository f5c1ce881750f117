//! The loop: epochs, steps, early stopping, and what is kept.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use wellformed_core::dataset::Example;
use wellformed_core::label::Label;
use wellformed_core::params::{ModelParams, SelectBy, TrainParams};
use wellformed_metrics::{Confusion, log_loss, rounded, softmax2};
use wellformed_model::checkpoint::{Checkpoint, Origin, predict};
use wellformed_model::classifier::Classifier;
use wellformed_model::device::Chosen;
use wellformed_model::weights::named;
use wellformed_track::{Journal, Outcome as End};

use crate::history::{Epoch, Step, Summary};
use crate::objective::{Objective, Target};
use crate::optimizer::AdamW;
use crate::parallel::{Devices, Sentences};
use crate::progress::Progress as Bar;
use crate::schedule::LearningRate;
use crate::state::{Progress, SaveCheckpoint, Saved, State};
use crate::tracking::Tracked;
use crate::{batches, derived_seed};

/// Losses are read from the device this many steps at a time, so that it need not wait for the host in between.
const READ_EVERY: usize = 8;

/// Everything that a run needs.
#[derive(Clone)]
pub struct Run<'a> {
    /// What its lines begin with, when it is not the only run.
    pub name: &'a str,
    /// `params.yaml`'s seed.
    pub seed: u64,
    /// `train` of `params.yaml`.
    pub train: &'a TrainParams,
    /// `model` of `params.yaml`.
    pub model: &'a ModelParams,
    /// The first device: where the optimiser works and *tune* is evaluated.
    pub chosen: &'a Chosen,
    /// What computes gradients.
    pub devices: &'a Devices,
    /// What is learned from.
    pub training: &'a [Example],
    /// A teacher's probability of *acceptable* of each of them, where there is a teacher.
    pub taught: Option<&'a [f32]>,
    /// What everything is chosen on.
    pub tune: &'a [Example],
    /// SHA-256 of the base model's weights; `None` for a random base.
    pub base_sha256: Option<String>,
    /// Longest sequence in the prepared data, in tokens.
    pub max_length: usize,
    /// The base model's tokenizer, for the checkpoint.
    pub tokenizer: &'a Path,
    /// Where the run is tracked.
    pub journal: &'a Journal,
    /// Digest of everything that the result depends on.
    pub fingerprint: String,
}

/// How fast an epoch was.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Timing {
    /// From 0.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Wall-clock time of the training part, without the evaluation on *tune*, in seconds.
    pub seconds: f64,
    /// Sentences trained on in a second.
    pub sentences_per_second: f64,
    /// Matthews correlation coefficient on *tune*.
    pub mcc: f64,
}

/// What a run came to. The checkpoint is in its [`State`].
pub struct Outcome {
    /// The headline.
    pub summary: Summary,
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// All steps.
    pub steps: Vec<Step>,
    /// Speed of the epochs that this process ran; those before an interruption are not among them.
    pub timings: Vec<Timing>,
    /// The run's id where it is tracked.
    pub run: String,
}

impl Run<'_> {
    /// Trains `classifier` to the end, from wherever `state` stands; afterwards the best checkpoint is in `state`.
    ///
    /// # Errors
    ///
    /// When there is nothing to train on, the loss is no number any more, or a file cannot be written.
    pub fn train(&self, classifier: Classifier, state: &State) -> Result<Outcome> {
        ensure!(!self.training.is_empty(), "the training set is empty; look at data/raw and the prepare stage");
        ensure!(!self.tune.is_empty(), "tune is empty, so no epoch can be chosen; raise prepare.tune_fraction");
        let per_epoch = batches::count(self.training.len(), self.train);
        let steps_per_epoch = per_epoch.div_ceil(self.train.accumulate);
        let schedule = LearningRate::new(self.train, steps_per_epoch * self.train.epochs);
        let objective = Objective::new(self.train, self.training.iter().map(|example| example.label));

        let mut notes = Vec::new();
        let resumed = state.resume(&self.fingerprint, &mut |note| notes.push(note.to_owned()))?;
        let mut optimizer = AdamW::new(self.train, &classifier, self.chosen.kind);
        let (classifier, progress) = match resumed {
            None => (classifier, Progress::start(self.fingerprint.clone())),
            Some(Saved { progress, weights, moments }) => {
                notes.push(format!("going on after epoch {}", progress.epochs.len()));
                optimizer.restore(moments, progress.optimizer_steps, &self.chosen.device)?;
                let place = Path::new("models/train-state");
                let architecture = classifier.architecture.clone();
                (Classifier::from_tensors(weights, place, architecture, self.chosen)?, progress)
            }
        };
        let done = progress.epochs.len();
        let resumed_after = (done > 0).then_some(progress.optimizer_steps as u64);
        let mut tracked = Tracked::new(self.journal.start("train", &progress.run, resumed_after));
        match self.train_on(classifier, optimizer, progress, (&schedule, &objective), &notes, &mut tracked, state) {
            Ok(outcome) => {
                tracked.summary(&outcome.summary);
                tracked.finish(End::Finished);
                Ok(outcome)
            }
            Err(error) => {
                tracked.finish(End::Failed);
                Err(error)
            }
        }
    }

    /// From wherever `progress` stands to the end.
    #[expect(clippy::too_many_arguments, reason = "one caller, which has made them all")]
    fn train_on(
        &self,
        classifier: Classifier,
        mut optimizer: AdamW,
        mut progress: Progress,
        (schedule, objective): (&LearningRate, &Objective),
        notes: &[String],
        tracked: &mut Tracked,
        state: &State,
    ) -> Result<Outcome> {
        let per_epoch = batches::count(self.training.len(), self.train);
        let lengths: Vec<usize> = self.training.iter().map(|example| example.input_ids.len()).collect();
        let mut classifier = classifier.train(self.model);
        let (trained_parameters, parameters) = classifier.parameter_counts();

        let done = progress.epochs.len();
        let mut bar = Bar::new(self.name, per_epoch * self.train.epochs, per_epoch * done, self.train.epochs);
        for note in notes {
            bar.line(note);
        }
        let mut timings = Vec::new();
        for epoch in done..self.train.epochs {
            if self.patience_is_out(&progress) {
                bar.line(&format!("no better for {} epochs: stopping here", self.train.patience));
                break;
            }
            bar.epoch(epoch + 1);
            let order = batches::of_epoch(&lengths, self.train, self.seed, epoch);
            let started = Instant::now();
            let steps;
            tracked.begin();
            let told = (&mut bar, &mut *tracked);
            (classifier, steps) = self.epoch(classifier, &mut optimizer, &order, (schedule, objective), told)?;
            let seconds = started.elapsed();
            tracked.settle();
            let is_best;
            (progress, is_best) = self.conclude(&classifier, &optimizer, steps, progress, state)?;
            let sentences: usize = order.iter().map(Vec::len).sum();
            let timing = Timing::new(&progress, epoch, seconds, sentences);
            if let Some(epoch) = progress.epochs.last() {
                tracked.epoch(epoch, timing.sentences_per_second);
                bar.epoch_is_over(epoch, timing.sentences_per_second, is_best);
            }
            timings.push(timing);
        }
        bar.finish();

        let best = progress.epochs.get(progress.best_epoch - 1).context("no epoch was run")?;
        let summary = Summary {
            best_epoch: progress.best_epoch,
            epochs: progress.epochs.len(),
            steps: progress.steps.len(),
            tune_loss: best.tune_loss,
            tune_accuracy: best.tune_accuracy,
            tune_mcc: best.tune_mcc,
            trained_parameters,
            parameters,
            sentences: self.training.len(),
            tokens: lengths.iter().sum(),
            pairs: None,
            teacher: None,
        };
        Ok(Outcome { summary, epochs: progress.epochs, steps: progress.steps, timings, run: progress.run })
    }

    /// One pass over the batches.
    fn epoch(
        &self,
        mut classifier: Classifier,
        optimizer: &mut AdamW,
        order: &[Vec<usize>],
        (schedule, objective): (&LearningRate, &Objective),
        (bar, tracked): (&mut Bar, &mut Tracked),
    ) -> Result<(Classifier, Vec<Step>)> {
        let mut steps = Vec::new();
        let mut unread = Unread::default();
        for group in order.chunks(self.train.accumulate) {
            let number = optimizer.steps();
            let lr = schedule.at(number);
            let batches: Vec<Sentences<'_>> = group
                .iter()
                .enumerate()
                .map(|(place, indices)| Sentences {
                    ids: indices.iter().map(|&index| &self.training[index].input_ids[..]).collect(),
                    targets: indices.iter().map(|&index| self.target(index)).collect(),
                    seed: derived_seed(self.seed, "dropout", (number * self.train.accumulate + place) as u64),
                })
                .collect();
            let mut heard = |sentences| {
                bar.batch();
                tracked.batch(sentences);
            };
            let (gradients, loss) = self.devices.gradients(&classifier, objective, &batches, &mut heard)?;
            let norm;
            (classifier, norm) = optimizer.step(classifier, gradients, lr)?;
            unread.0.push((number + 1, lr, loss, norm));
            if unread.0.len() >= READ_EVERY {
                unread.read(&mut steps, bar, tracked)?;
            }
        }
        unread.read(&mut steps, bar, tracked)?;
        Ok((classifier, steps))
    }

    /// Evaluates an epoch on *tune* and keeps it; says whether it is the best so far.
    fn conclude(
        &self,
        classifier: &Classifier,
        optimizer: &AdamW,
        steps: Vec<Step>,
        mut progress: Progress,
        state: &State,
    ) -> Result<(Progress, bool)> {
        let valid = classifier.valid();
        let sentences: Vec<&[i32]> = self.tune.iter().map(|example| &example.input_ids[..]).collect();
        let logits = predict(&valid, &sentences, self.train.batch_size, &mut |_| {})?;
        let labels: Vec<bool> = self.tune.iter().map(|example| example.label == Label::Acceptable).collect();
        let acceptable: Vec<f64> = logits.iter().map(|&logits| softmax2(logits)[1]).collect();
        let predictions: Vec<bool> = logits.iter().map(|[no, yes]| yes > no).collect();
        let confusion = Confusion::of(&labels, &predictions)?;
        let loss = log_loss(&labels, &acceptable)?;

        let number = progress.epochs.len() + 1;
        let mean = steps.iter().map(|step| step.loss).sum::<f64>() / steps.len().max(1) as f64;
        let epoch = Epoch {
            epoch: number,
            steps: optimizer.steps(),
            train_loss: rounded(mean),
            tune_loss: rounded(loss),
            tune_accuracy: rounded(confusion.accuracy()),
            tune_mcc: rounded(confusion.mcc()),
        };
        let score = match self.train.select_by {
            SelectBy::Mcc => confusion.mcc(),
            SelectBy::Accuracy => confusion.accuracy(),
            SelectBy::Loss => -loss,
        };
        // Of epochs alike, the earliest.
        let is_best = progress.best_epoch == 0 || score > progress.best_score;
        if is_best {
            progress.best_epoch = number;
            progress.best_score = score;
        }
        progress.optimizer_steps = optimizer.steps();
        progress.epochs.push(epoch);
        progress.steps.extend(steps);

        let weights = valid.tensors()?;
        let checkpoint = Checkpoint {
            classifier: valid,
            max_length: self.max_length,
            origin: Origin {
                epoch: number,
                selected_by: name_of(self.train.select_by).to_owned(),
                score: rounded(score.abs()),
                seed: self.seed,
                device: self.chosen.kind.name().to_owned(),
                base_sha256: self.base_sha256.clone(),
            },
        };
        let save = |folder: &Path| checkpoint.save(folder, self.tokenizer);
        let saved = Saved { progress, weights, moments: optimizer.tensors()? };
        state.keep(&saved, is_best.then_some(&save as &SaveCheckpoint<'_>))?;
        Ok((saved.progress, is_best))
    }

    fn target(&self, index: usize) -> Target {
        Target { label: self.training[index].label, taught: self.taught.map(|taught| taught[index]) }
    }

    fn patience_is_out(&self, progress: &Progress) -> bool {
        let patience = self.train.patience;
        patience > 0 && progress.best_epoch > 0 && progress.epochs.len() - progress.best_epoch >= patience
    }
}

fn name_of(select_by: SelectBy) -> &'static str {
    match select_by {
        SelectBy::Mcc => "mcc",
        SelectBy::Accuracy => "accuracy",
        SelectBy::Loss => "loss",
    }
}

/// Steps whose loss and gradient norm are still on the device: number, learning rate, loss, norm.
#[derive(Default)]
struct Unread(Vec<(usize, f64, Tensor<1>, Tensor<1>)>);

impl Unread {
    fn read(&mut self, steps: &mut Vec<Step>, bar: &mut Bar, tracked: &mut Tracked) -> Result<()> {
        let entries = std::mem::take(&mut self.0);
        if entries.is_empty() {
            return Ok(());
        }
        let scalars: Vec<Tensor<1>> =
            entries.iter().flat_map(|(_, _, loss, norm)| [loss.clone(), norm.clone()]).collect();
        let values = named(Tensor::cat(scalars, 0).into_data())?.values;
        let read = steps.len();
        for ((step, lr, ..), pair) in entries.into_iter().zip(values.chunks_exact(2)) {
            let (loss, gradient_norm) = (f64::from(pair[0]), f64::from(pair[1]));
            ensure!(
                loss.is_finite() && gradient_norm.is_finite(),
                "step {step}: the loss is {loss} and the gradient's norm {gradient_norm}: training has diverged. Lower \
                 train.lr, lengthen train.warmup_ratio or switch on train.clip_norm."
            );
            bar.loss(loss);
            steps.push(Step { step, loss, lr, gradient_norm });
        }
        tracked.steps(&steps[read..]);
        Ok(())
    }
}

impl Timing {
    fn new(progress: &Progress, epoch: usize, seconds: Duration, sentences: usize) -> Self {
        let last = progress.epochs.last();
        let seconds = seconds.as_secs_f64();
        Self {
            epoch,
            train_loss: last.map_or(f64::NAN, |epoch| epoch.train_loss),
            seconds,
            sentences_per_second: sentences as f64 / seconds,
            mcc: last.map_or(f64::NAN, |epoch| epoch.tune_mcc),
        }
    }
}
