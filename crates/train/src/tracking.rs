//! What is told of a run while it goes on: each step, each epoch, the headline. None of it is read back.

use std::time::{Duration, Instant};

use wellformed_track::{Outcome, Tracker};

use crate::history::{Epoch, Step, Summary};

/// The longest that the end of an epoch waits for a sink; one that works needs a few milliseconds.
const SETTLE: Duration = Duration::from_secs(1);

/// A run's tracker, with what is needed for the speed of steps.
pub(crate) struct Tracked {
    tracker: Tracker,
    /// Since when sentences have been counted, and how many.
    since: Instant,
    sentences: usize,
}

impl Tracked {
    pub(crate) fn new(tracker: Tracker) -> Self {
        Self { tracker, since: Instant::now(), sentences: 0 }
    }

    /// An epoch begins: what has passed since the one before was no training.
    pub(crate) fn begin(&mut self) {
        (self.since, self.sentences) = (Instant::now(), 0);
    }

    /// Another batch has been through.
    pub(crate) fn batch(&mut self, sentences: usize) {
        self.sentences += sentences;
    }

    /// Steps whose losses have been read from the device, which happens some at a time: they share their speed.
    pub(crate) fn steps(&mut self, steps: &[Step]) {
        let seconds = self.since.elapsed().as_secs_f64();
        let speed = self.sentences as f64 / seconds.max(1e-9);
        for step in steps {
            self.tracker.scalars(
                step.step as u64,
                &[
                    ("step", step.step as f64),
                    ("train/loss", step.loss),
                    ("train/lr", step.lr),
                    ("train/gradient_norm", step.gradient_norm),
                    ("train/sentences_per_second", speed),
                ],
            );
        }
        self.begin();
    }

    /// An epoch's steps are about to be kept: a run that goes on from there does not tell them again.
    pub(crate) fn settle(&self) {
        self.tracker.settle(SETTLE);
    }

    /// An epoch, evaluated on *tune*.
    pub(crate) fn epoch(&self, epoch: &Epoch, sentences_per_second: f64) {
        self.tracker.scalars(
            epoch.steps as u64,
            &[
                ("step", epoch.steps as f64),
                ("epoch", epoch.epoch as f64),
                ("epochs/train_loss", epoch.train_loss),
                ("epochs/tune_loss", epoch.tune_loss),
                ("epochs/tune_accuracy", epoch.tune_accuracy),
                ("epochs/tune_mcc", epoch.tune_mcc),
                ("epochs/sentences_per_second", sentences_per_second),
            ],
        );
    }

    /// The headline.
    pub(crate) fn summary(&self, summary: &Summary) {
        self.tracker.summary(&[
            ("best/epoch", summary.best_epoch as f64),
            ("best/tune_loss", summary.tune_loss),
            ("best/tune_accuracy", summary.tune_accuracy),
            ("best/tune_mcc", summary.tune_mcc),
            ("model/parameters", summary.parameters as f64),
            ("model/trained_parameters", summary.trained_parameters as f64),
            ("data/sentences", summary.sentences as f64),
            ("data/tokens", summary.tokens as f64),
        ]);
    }

    pub(crate) fn finish(self, outcome: Outcome) {
        self.tracker.finish(outcome);
    }
}
