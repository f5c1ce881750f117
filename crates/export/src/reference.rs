//! What monitoring holds live sentences against: `signals.json`, of the training set, and `profile.json`, of validation.
//!
//! A small corpus says too little of what is usual. Its bundle goes without the file, and the stage says so.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use wellformed_core::bundle::{Manifest, Precision, TOKENIZER};
use wellformed_core::characters::Characters;
use wellformed_core::dataset::{Example, Split};
use wellformed_core::label::Label;
use wellformed_drift::profile::{LEAST_SENTENCES, Source};
use wellformed_drift::{Features, Profile};
use wellformed_infer::Prediction;
use wellformed_signals::{Reference, SignalError};

/// The order and frequency of tokens in the training set; `None` where it is too small. `vocabulary` is the text of each
/// token by its id.
///
/// # Errors
///
/// When a sentence has a token that the vocabulary does not have.
pub fn signals(training: &[Example], vocabulary: &[String]) -> Result<Option<Reference>> {
    let ids: Vec<Vec<u32>> = training.iter().map(token_ids).collect();
    match Reference::build(&ids, vocabulary) {
        Ok(reference) => Ok(Some(reference)),
        Err(SignalError::TooSmall(_)) => Ok(None),
        Err(error) => Err(error).context("the training set does not fit the tokenizer; run prepare again"),
    }
}

/// What the model that is served sees and says on validation; `None` where validation is too small. `predictions` are
/// its predictions of `examples`, in their order.
///
/// # Errors
///
/// When the numbers cannot be a profile, as with a model whose probabilities are not finite.
pub fn profile(
    manifest: &Manifest,
    precision: Precision,
    examples: &[Example],
    predictions: &[Prediction],
    reference: Option<&Reference>,
) -> Result<Option<Profile>> {
    if examples.len() < LEAST_SENTENCES {
        return Ok(None);
    }
    let files = [precision.file(), TOKENIZER];
    let files = files.into_iter().filter_map(|name| Some((name.to_owned(), manifest.files.get(name)?.sha256.clone())));
    let source = Source {
        split: Split::Validation.name().to_owned(),
        precision,
        max_length: manifest.max_length,
        threshold: manifest.calibration.threshold,
        files: files.collect::<BTreeMap<_, _>>(),
    };
    let rows = examples.iter().zip(predictions);
    let rows: Vec<Features> = rows.map(|(example, one)| features(example, one, precision, reference)).collect();
    let labels: Vec<Label> = examples.iter().map(|example| example.label).collect();
    Profile::build(source, &rows, Some(&labels)).map(Some).context("no profile can be made of the predictions")
}

/// A row of the profile.
fn features(example: &Example, one: &Prediction, precision: Precision, reference: Option<&Reference>) -> Features {
    let characters = Characters::of(&example.sentence);
    Features {
        tokens: one.tokens as u32,
        unknown_tokens: one.unknown_tokens as u32,
        truncated: one.truncated,
        characters: Some(characters.count),
        non_ascii_share: Some(characters.non_ascii_share),
        signals: reference.and_then(|reference| reference.signals(&token_ids(example))),
        p_acceptable: one.probabilities[1],
        label: one.label,
        precision: Some(precision),
        text_hash: None,
        latency_ms: None,
        cold_start: None,
    }
}

fn token_ids(example: &Example) -> Vec<u32> {
    example.input_ids.iter().map(|id| id.cast_unsigned()).collect()
}
