//! The manifest of what ships: `models/bundle/bundle.json`.
//!
//! A bundle is a folder that answers for itself. The manifest names every other file with its digest and size, says
//! how logits become a decision, and where the model came from. Whoever opens a bundle checks the files that it uses
//! against the manifest, which carries a digest of itself that is the bundle's name in logs and releases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::sha256_bytes;
use crate::label::Label;

pub use crate::precision::Precision;

/// The manifest's file name.
pub const MANIFEST: &str = "bundle.json";
/// The model with 32-bit weights.
pub const MODEL: &str = "model.onnx";
/// The model with 8-bit weights.
pub const MODEL_INT8: &str = "model.int8.onnx";
/// The tokenizer, as Hugging Face's `tokenizers` writes it.
pub const TOKENIZER: &str = "tokenizer.json";
/// What the model sees and says on the validation set, for monitoring to compare with. Only where validation is large
/// enough to say what is usual.
pub const PROFILE: &str = "profile.json";
/// The order and frequency of tokens in the training set, which sentences are measured against when they are
/// predicted. Only where the training set is large enough.
pub const SIGNALS: &str = "signals.json";

/// The version of the manifest's form that this code writes and reads.
pub const FORMAT: u32 = 1;

impl Precision {
    /// The model file of this precision.
    pub fn file(self) -> &'static str {
        match self {
            Self::Fp32 => MODEL,
            Self::Int8 => MODEL_INT8,
        }
    }
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The bundle's name in logs and releases: [`Manifest::seal`] writes it, [`Manifest::is_sealed`] checks it. Because
    /// the manifest names the digests of all files, it stands for the whole bundle.
    pub digest: String,
    /// The labels by class index.
    pub labels: [Label; 2],
    /// Longest sequence in tokens, `[CLS]` and `[SEP]` included; longer sentences are cut.
    pub max_length: usize,
    /// Entries of the tokenizer's vocabulary, which is also the number of rows of the model's embedding table.
    pub vocabulary: usize,
    /// How logits become a probability and a decision.
    pub calibration: Decision,
    /// The precision that is served when nobody asks for another.
    pub default_precision: Precision,
    /// Every other file of the bundle, by name.
    pub files: BTreeMap<String, FileEntry>,
    /// Where the model came from.
    pub origin: Origin,
    /// What is known about its quality.
    pub metrics: Headline,
}

impl Manifest {
    /// Fills in [`Manifest::digest`]; to be done last.
    #[must_use]
    pub fn seal(mut self) -> Self {
        self.digest = self.computed_digest();
        self
    }

    /// Whether nothing was changed since [`Manifest::seal`].
    pub fn is_sealed(&self) -> bool {
        self.digest == self.computed_digest()
    }

    /// SHA-256 of the manifest as JSON without white space, its digest left empty.
    fn computed_digest(&self) -> String {
        let open = Self { digest: String::new(), ..self.clone() };
        // Names and numbers always have a JSON form; should one not, no digest matches.
        serde_json::to_vec(&open).map(|json| sha256_bytes(&json)).unwrap_or_default()
    }
}

/// How logits become a probability and a decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Probabilities are softmax(logits / temperature).
    pub temperature: f64,
    /// A sentence is acceptable when the probability of *acceptable* is above this.
    pub threshold: f64,
}

impl Decision {
    /// The label that goes with a probability of *acceptable*.
    pub fn label(&self, p_acceptable: f64) -> Label {
        if p_acceptable > self.threshold { Label::Acceptable } else { Label::Unacceptable }
    }
}

/// What a file of the bundle must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Where a bundle's model came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// SHA-256 of the prepared data, by path in the project.
    pub data: BTreeMap<String, String>,
    /// The base model, as `base.source` of params.yaml names it.
    pub base_model: String,
    /// SHA-256 of the base model's weights; `None` for a random base.
    pub base_model_sha256: Option<String>,
    /// SHA-256 of the checkpoint's weights.
    pub checkpoint_sha256: String,
    /// The git commit that the project stood at; `None` outside a repository. Changes that were not committed show in
    /// [`Origin::uncommitted`].
    pub git_commit: Option<String>,
    /// Whether tracked code or parameters differed from that commit.
    pub uncommitted: bool,
    /// All of params.yaml.
    pub parameters: Value,
}

/// What is known about a bundle's quality, on the validation set that nothing was chosen on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// Sentences measured on.
    pub sentences: usize,
    /// Matthews correlation coefficient of the fp32 model.
    pub mcc: f64,
    /// Lower end of its bootstrap interval.
    pub mcc_low: f64,
    /// Upper end of its bootstrap interval.
    pub mcc_high: f64,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Matthews correlation coefficient of the int8 model.
    pub int8_mcc: f64,
    /// Expected calibration error; `None` where eval could not measure it.
    pub ece: Option<f64>,
}
