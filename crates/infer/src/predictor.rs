//! The way in: [`Predictor`].

use std::path::Path;

use wellformed_core::bundle::{Manifest, Precision};

use crate::error::Error;
use crate::prediction::{Explanation, Perturbation, Prediction, Tokens};

/// How a bundle is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which of the bundle's models; `None` takes the bundle's own default.
    pub precision: Option<Precision>,
    /// Threads that predict; 0 means one per core. One sentence by itself is always predicted by one thread.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { precision: None, threads: 1 }
    }
}

/// An opened bundle. Predictions take `&self` from any number of threads.
#[derive(Debug)]
pub struct Predictor {}

impl Predictor {
    /// Opens a bundle: checks the manifest, the digests of the files that it uses, and that model and tokenizer belong
    /// together.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged, or not the one that the manifest means; the message names it.
    pub fn open(_folder: &Path, _options: &Options) -> Result<Self, Error> {
        unimplemented!()
    }

    /// The bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        unimplemented!()
    }

    /// SHA-256 of the manifest, in lower-case hexadecimal: the bundle's name.
    pub fn digest(&self) -> &str {
        unimplemented!()
    }

    /// Which of the bundle's models predicts.
    pub fn precision(&self) -> Precision {
        unimplemented!()
    }

    /// Threads that predict.
    pub fn threads(&self) -> usize {
        unimplemented!()
    }

    /// From text to token ids. Reads no more of the text than the model takes.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    pub fn tokenize(&self, _sentence: &str) -> Result<Tokens, Error> {
        unimplemented!()
    }

    /// Predictions for tokenised sentences, in their order.
    pub fn run(&self, _sentences: &[Tokens]) -> Vec<Prediction> {
        unimplemented!()
    }

    /// The verdict on one sentence.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    pub fn predict(&self, _sentence: &str) -> Result<Prediction, Error> {
        unimplemented!()
    }

    /// The verdicts on many sentences, in their order. A sentence that cannot be predicted gives its own error and
    /// stops no other.
    pub fn predict_all<S: AsRef<str> + Sync>(&self, _sentences: &[S]) -> Vec<Result<Prediction, Error>> {
        unimplemented!()
    }

    /// The verdict, and what each word contributes to it.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    pub fn explain(&self, _sentence: &str, _perturbation: Perturbation) -> Result<Explanation, Error> {
        unimplemented!()
    }
}
