//! What a prediction says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wellformed_core::label::Label;
use wellformed_signals::Signals;

/// A tokenised sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, `[CLS]` and `[SEP]` included.
    pub ids: Vec<u32>,
    /// Whether the sentence had more tokens than the model takes, and was cut.
    pub truncated: bool,
    /// Tokens that the vocabulary does not have.
    pub unknown: usize,
    /// How long tokenising took.
    pub time: Duration,
}

/// How long the parts of a prediction took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// From text to token ids.
    pub tokenization: Duration,
    /// From token ids to logits; of a batch, the time of the whole batch.
    pub inference: Duration,
}

/// The model's verdict on a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The decision.
    pub label: Label,
    /// Calibrated probabilities of unacceptable and acceptable; they add up to 1.
    pub probabilities: [f64; 2],
    /// The model's raw outputs, unacceptable and acceptable.
    pub logits: [f32; 2],
    /// Tokens that the model saw, `[CLS]` and `[SEP]` included.
    pub tokens: usize,
    /// Whether the sentence was longer than the model takes: what came after was not seen.
    pub truncated: bool,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: usize,
    /// What the sentence looks like, for whoever watches the model; `None` for a sentence without words, or where the
    /// bundle has no `signals.json`.
    pub signals: Option<Signals>,
    /// How long it took.
    pub timing: Timing,
}

/// What is done to a word to see what it contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Perturbation {
    /// The word's tokens are left out.
    #[default]
    Omit,
    /// The word's tokens become `[MASK]`.
    Mask,
}

/// A word of an explained sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word as it stands in the sentence.
    pub text: String,
    /// Where it starts in the sentence, in bytes.
    pub start: usize,
    /// Where it ends in the sentence, in bytes.
    pub end: usize,
    /// The probability of *acceptable* with the word, minus the probability without it: above 0, the word speaks for
    /// the sentence; below 0, against it.
    pub weight: f64,
}

/// A prediction with what each word contributes to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The verdict on the whole sentence.
    pub prediction: Prediction,
    /// What was done to each word.
    pub perturbation: Perturbation,
    /// The words that the model saw, in their order.
    pub words: Vec<Word>,
}
