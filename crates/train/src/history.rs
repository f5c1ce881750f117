//! What is written about a run: `reports/train/`.
//!
//! No times and no machine's name are among it: the same run gives the same files. Speed is printed, and written where
//! `--timings` says.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use wellformed_core::files::{write_json, write_whole};

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Optimiser steps so far.
    pub steps: usize,
    /// Mean training loss over the epoch's batches, dropout, smoothing and class weights included.
    pub train_loss: f64,
    /// Mean log loss on *tune*.
    pub tune_loss: f64,
    /// Share of *tune* that is classified right.
    pub tune_accuracy: f64,
    /// Matthews correlation coefficient on *tune*.
    pub tune_mcc: f64,
}

/// What one optimiser step came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from 1.
    pub step: usize,
    /// Mean loss of the step's batches.
    pub loss: f64,
    /// Peak learning rate of the step, before layer-wise decay.
    pub lr: f64,
    /// Norm of the whole gradient before clipping.
    pub gradient_norm: f64,
}

/// The headline of a run: `reports/train/metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The epoch that became the checkpoint, counted from 1.
    pub best_epoch: usize,
    /// Epochs that were run; fewer than asked for after an early stop.
    pub epochs: usize,
    /// Optimiser steps that were run.
    pub steps: usize,
    /// Log loss of the checkpoint on *tune*.
    pub tune_loss: f64,
    /// Accuracy of the checkpoint on *tune*.
    pub tune_accuracy: f64,
    /// Matthews correlation coefficient of the checkpoint on *tune*.
    pub tune_mcc: f64,
    /// Parameters that were trained.
    pub trained_parameters: usize,
    /// All parameters.
    pub parameters: usize,
    /// Sentences of the training set.
    pub sentences: usize,
    /// Tokens of the training set, `[CLS]` and `[SEP]` included.
    pub tokens: usize,
    /// The minimal pairs that training began with, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Pairs>,
    /// The teacher, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
}

/// What training on the minimal pairs came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pairs {
    /// Sentences of the pairs.
    pub sentences: usize,
    /// Optimiser steps that were run.
    pub steps: usize,
    /// Mean training loss of the epoch that was kept.
    pub train_loss: f64,
    /// Matthews correlation coefficient on *tune* after it, before any labelled sentence of the corpus.
    pub tune_mcc: f64,
}

/// The model that was learned from beside the labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Teacher {
    /// Its Matthews correlation coefficient on *tune*.
    pub tune_mcc: f64,
    /// What its logits were divided by: what fits *tune* best.
    pub temperature: f64,
}

/// Writes `history.json`, `steps.csv` and `metrics.json`, each whole or not at all.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write(folder: &Path, summary: &Summary, epochs: &[Epoch], steps: &[Step]) -> Result<()> {
    write_json(&folder.join("history.json"), epochs)?;
    write_whole(&folder.join("steps.csv"), |writer| {
        writeln!(writer, "step,loss,lr,gradient_norm")?;
        for Step { step, loss, lr, gradient_norm } in steps {
            writeln!(writer, "{step},{loss:.6},{lr:.4e},{gradient_norm:.4}")?;
        }
        Ok(())
    })?;
    write_json(&folder.join("metrics.json"), summary)
}
