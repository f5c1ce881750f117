//! `profile.json`: what the model sees and says on the validation set, for monitoring to compare live sentences with.
//!
//! Numbers only, no sentences. The columns are of one length, and their rows, one a sentence, are in the order of the
//! prepared data.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use wellformed_core::files::write_whole;
use wellformed_infer::{Precision, Prediction};
use wellformed_metrics::rounded;

/// The profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of this form: 1.
    pub format: u32,
    /// The split that the sentences are of.
    pub split: String,
    /// The precision of the model that predicted.
    pub precision: Precision,
    /// How many there are.
    pub sentences: usize,
    /// Longest sequence in tokens.
    pub max_length: usize,
    /// Tokens that the model saw, `[CLS]` and `[SEP]` included.
    pub tokens: Vec<usize>,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: Vec<usize>,
    /// Whether the sentence was cut.
    pub truncated: Vec<bool>,
    /// The calibrated probability of *acceptable*.
    pub p_acceptable: Vec<f64>,
}

impl Profile {
    /// Of predictions on a split.
    pub fn new(split: &str, precision: Precision, max_length: usize, predictions: &[Prediction]) -> Self {
        Self {
            format: 1,
            split: split.to_owned(),
            precision,
            sentences: predictions.len(),
            max_length,
            tokens: predictions.iter().map(|one| one.tokens).collect(),
            unknown_tokens: predictions.iter().map(|one| one.unknown_tokens).collect(),
            truncated: predictions.iter().map(|one| one.truncated).collect(),
            p_acceptable: predictions.iter().map(|one| rounded(one.probabilities[1])).collect(),
        }
    }

    /// Writes it as JSON, on one line.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, |writer| {
            serde_json::to_writer(&mut *writer, self)?;
            writer.write_all(b"\n")?;
            Ok(())
        })
    }
}
