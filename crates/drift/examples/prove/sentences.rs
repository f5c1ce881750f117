//! From sentences to what a record says of them, through the bundle.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;
use wellformed_core::bundle::TOKENIZER;
use wellformed_core::characters::Characters;
use wellformed_core::dataset::Example;
use wellformed_core::files::read_json;
use wellformed_core::label::Label;
use wellformed_drift::profile::Source;
use wellformed_drift::{Features, Profile};
use wellformed_infer::{Options, Predictor, Tokens};
use wellformed_signals::Reference;

/// What knows everything about a sentence.
pub(crate) struct Oracle {
    predictor: Predictor,
    reference: Reference,
}

impl Oracle {
    /// Opens a bundle, and makes the signals' reference from the training set.
    pub(crate) fn open(bundle: &Path, train: &[Example]) -> Result<Self> {
        let predictor = Predictor::open(bundle, &Options { precision: None, threads: 2 })?;
        let ids: Vec<Vec<u32>> =
            train.iter().map(|example| example.input_ids.iter().map(|&id| id as u32).collect()).collect();
        let reference = Reference::build(&ids, &vocabulary(&bundle.join(TOKENIZER))?)?;
        Ok(Self { predictor, reference })
    }

    pub(crate) fn digest(&self) -> &str {
        &self.predictor.manifest().digest
    }

    pub(crate) fn precision(&self) -> &'static str {
        self.predictor.precision().name()
    }

    pub(crate) fn reference_bytes(&self) -> Result<usize> {
        Ok(serde_json::to_vec(&self.reference)?.len())
    }

    /// Token ids of sentences.
    pub(crate) fn tokenize(&self, sentence: &str) -> Result<Tokens> {
        self.predictor.tokenize(sentence).with_context(|| format!("cannot tokenise {sentence:?}"))
    }

    /// What records would say of sentences.
    pub(crate) fn judge<'a>(&self, sentences: impl Iterator<Item = &'a str>) -> Result<Vec<Features>> {
        let sentences: Vec<&str> = sentences.collect();
        let tokens: Vec<Tokens> = sentences.iter().map(|one| self.tokenize(one)).collect::<Result<_>>()?;
        Ok(self.judge_tokens(&sentences, &tokens))
    }

    /// The same, of token ids that may not be the sentences' own.
    pub(crate) fn judge_tokens(&self, sentences: &[&str], tokens: &[Tokens]) -> Vec<Features> {
        let predictions = self.predictor.run(tokens);
        let features = |((sentence, tokens), prediction): ((&&str, &Tokens), wellformed_infer::Prediction)| {
            let characters = Characters::of(sentence);
            Features {
                tokens: prediction.tokens as u32,
                unknown_tokens: prediction.unknown_tokens as u32,
                truncated: prediction.truncated,
                characters: Some(characters.count),
                non_ascii_share: Some(characters.non_ascii_share),
                signals: self.reference.signals(&tokens.ids),
                p_acceptable: prediction.probabilities[1],
                label: prediction.label,
                precision: Some(self.predictor.precision()),
                text_hash: None,
                latency_ms: None,
                cold_start: None,
            }
        };
        sentences.iter().zip(tokens).zip(predictions).map(features).collect()
    }

    /// A profile of sentences.
    pub(crate) fn profile(&self, features: &[Features], labels: Option<&[Label]>) -> Result<Profile> {
        let manifest = self.predictor.manifest();
        let source = Source {
            split: "validation".to_owned(),
            precision: self.predictor.precision(),
            max_length: manifest.max_length,
            threshold: manifest.calibration.threshold,
            files: manifest.files.iter().map(|(name, file)| (name.clone(), file.sha256.clone())).collect(),
        };
        Ok(Profile::build(source, features, labels)?)
    }

    /// What the signals cost, in nanoseconds for a sentence.
    pub(crate) fn signals_ns(&self, examples: &[Example]) -> Result<f64> {
        let tokens: Vec<Tokens> = examples.iter().map(|one| self.tokenize(&one.sentence)).collect::<Result<_>>()?;
        let began = Instant::now();
        let mut sum = 0.0;
        for _ in 0..100 {
            sum +=
                tokens.iter().filter_map(|one| self.reference.signals(&one.ids)).map(|one| one.surprise).sum::<f64>();
        }
        std::hint::black_box(sum);
        Ok(began.elapsed().as_secs_f64() * 1e9 / (100.0 * tokens.len() as f64))
    }
}

/// The text of each token by its id.
fn vocabulary(path: &Path) -> Result<Vec<String>> {
    let tokenizer: Value = read_json(path)?;
    let entries = tokenizer["model"]["vocab"].as_object().context("tokenizer.json has no model.vocab")?;
    let by_id: BTreeMap<u64, &String> =
        entries.iter().filter_map(|(token, id)| id.as_u64().map(|id| (id, token))).collect();
    Ok(by_id.into_values().cloned().collect())
}
