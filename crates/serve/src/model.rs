//! What the server needs of a predictor.

use wellformed_infer::{Error, Explanation, Manifest, Perturbation, Precision, Prediction, Predictor, Tokens};

/// What the server needs of a predictor, so that queue and HTTP are tested without one.
pub trait Model: Send + Sync + 'static {
    /// The bundle's manifest.
    fn manifest(&self) -> &Manifest;

    /// The bundle's digest, which is its name: SHA-256 in lower-case hexadecimal.
    fn digest(&self) -> &str;

    /// Which of the bundle's models predicts.
    fn precision(&self) -> Precision;

    /// From text to token ids.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    fn tokenize(&self, sentence: &str) -> Result<Tokens, Error>;

    /// Predictions for tokenised sentences, in their order. Called from several threads at once.
    fn run(&self, sentences: &[Tokens]) -> Vec<Prediction>;

    /// The verdict, and what each word contributes to it.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error>;
}

impl Model for Predictor {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn digest(&self) -> &str {
        self.digest()
    }

    fn precision(&self) -> Precision {
        self.precision()
    }

    fn tokenize(&self, sentence: &str) -> Result<Tokens, Error> {
        self.tokenize(sentence)
    }

    fn run(&self, sentences: &[Tokens]) -> Vec<Prediction> {
        self.run(sentences)
    }

    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error> {
        self.explain(sentence, perturbation)
    }
}
