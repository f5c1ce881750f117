//! What a release asks of the project that it is run in. [`crate::checkout`] answers from the working tree.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::record::{Judgement, Model, Record};

/// A sentence, and what the bundle says of it on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The sentence.
    pub sentence: String,
    /// `acceptable` or `unacceptable`.
    pub label: String,
    /// Calibrated probability of *acceptable*.
    pub p_acceptable: f64,
}

/// The project.
pub trait Project {
    /// The candidate: what is in the working tree. Cheap: reads the commit and the manifest.
    ///
    /// # Errors
    ///
    /// When there is no bundle, or the manifest is not sealed.
    fn candidate(&self) -> Result<Model>;

    /// Whether the candidate is what the commit says: nothing uncommitted, nothing that DVC would run again, every file
    /// of the bundle with its digest.
    ///
    /// # Errors
    ///
    /// When it is not; the message says what is not, and what to do.
    fn check_current(&self) -> Result<()>;

    /// Whether the candidate is better than a model in service.
    ///
    /// # Errors
    ///
    /// When they cannot be compared because a file is damaged. That the older model's predictions are out of reach is no
    /// error but a judgement.
    fn judge(&self, in_service: &Model) -> Result<Judgement>;

    /// Sentences with the candidate's answers.
    ///
    /// # Errors
    ///
    /// When the bundle cannot be opened.
    fn golden(&self, sentences: &[String]) -> Result<Vec<Golden>>;

    /// Tags the model in DVC's registry; the tags.
    ///
    /// # Errors
    ///
    /// When it cannot be tagged.
    fn announce(&self, record: &Record) -> Result<Vec<String>>;
}
