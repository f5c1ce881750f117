//! What answers.

use std::path::Path;

use anyhow::{Result, bail};
use wellformed_infer::{Error, Options, Perturbation, Prediction, Predictor, Word};

/// The answer to a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What the model says.
    pub prediction: Prediction,
    /// What each word contributes; empty if nobody asked.
    pub words: Vec<Word>,
}

/// Answers to sentences, in their order.
pub type Verdicts = Box<dyn Fn(&[&str]) -> Vec<Result<Verdict, Error>> + Send>;

/// A bundle as something that answers; `explain` asks for the words that weigh, too.
///
/// # Errors
///
/// When the bundle is missing or damaged.
pub fn open(bundle: &Path, options: &Options, explain: Option<Perturbation>) -> Result<Verdicts> {
    if !bundle.is_dir() {
        bail!(
            "there is no bundle at {}: `cargo xtask repro` makes models/bundle; --bundle or WELLFORMED_BUNDLE says where \
             one lies",
            bundle.display()
        );
    }
    let predictor = Predictor::open(bundle, options)?;
    Ok(match explain {
        None => Box::new(move |sentences| {
            let verdict = |prediction| Verdict { prediction, words: Vec::new() };
            predictor.predict_all(sentences).into_iter().map(|one| one.map(verdict)).collect()
        }),
        Some(perturbation) => Box::new(move |sentences| {
            let explained = sentences.iter().map(|sentence| predictor.explain(sentence, perturbation));
            explained.map(|one| one.map(|one| Verdict { prediction: one.prediction, words: one.words })).collect()
        }),
    })
}
