//! Sentences whose answers are known before an image is asked: what the same bundle says outside of any image.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wellformed_infer::{Options, Precision, Predictor};

use crate::error::Error;

/// A sentence and what the bundle says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The sentence.
    pub sentence: String,
    /// `acceptable` or `unacceptable`.
    pub label: String,
    /// The calibrated probability of *acceptable*.
    pub p_acceptable: f64,
    /// Tokens that the model saw.
    pub tokens: usize,
}

/// Good and bad sentences of several lengths, with words in and out of the vocabulary, and what is no sentence at all.
pub const SENTENCES: [&str; 12] = [
    "The baker opened the oven.",
    "Oven the baker opened the.",
    "The children who lives next door is singing.",
    "What did the plumber repair before he left?",
    "Which did you believe the rumour that he bought?",
    "It rains.",
    "Rains.",
    "The ladder that my neighbour lent me yesterday was too short for the roof.",
    "Anna gave to the library her old atlas it.",
    "Der Bäcker öffnet den Ofen.",
    "qwrtz blorf!? 42",
    "\u{1f96f} naïve café",
];

/// What the bundle in a folder says of [`SENTENCES`], through the library that `predict` uses.
///
/// # Errors
///
/// When the bundle cannot be opened.
pub fn golden(bundle: &Path, precision: Option<Precision>) -> Result<Vec<Golden>, Error> {
    let failed = |source| Error::Bundle { path: bundle.to_owned(), source };
    let predictor = Predictor::open(bundle, &Options { precision, threads: 1 }).map_err(failed)?;
    let ask = |sentence: &&str| {
        let prediction = predictor.predict(sentence).map_err(failed)?;
        Ok(Golden {
            sentence: (*sentence).to_owned(),
            label: prediction.label.name().to_owned(),
            p_acceptable: prediction.probabilities[1],
            tokens: prediction.tokens,
        })
    };
    SENTENCES.iter().map(ask).collect()
}
