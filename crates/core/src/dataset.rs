//! The prepared corpus: labels, splits and the Arrow schema of `data/prepared/*.parquet`.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a linguist said of a sentence; the class index of the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Class 0.
    Unacceptable,
    /// Class 1.
    Acceptable,
}

impl Label {
    /// Both labels, in class order.
    pub const ALL: [Self; 2] = [Self::Unacceptable, Self::Acceptable];

    /// The class index: 0 or 1.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The label of a class index.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// The name in reports and in the bundle.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unacceptable => "unacceptable",
            Self::Acceptable => "acceptable",
        }
    }
}

/// A part of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the weights are fitted on.
    Train,
    /// Cut out of the training set; everything that is chosen is chosen here.
    Tune,
    /// GLUE's validation set (or the corpus's own): only ever reported.
    Validation,
    /// The starter corpus's validation part: a behavioural check list, reported per phenomenon.
    Phenomena,
}

impl Split {
    /// Every split that `prepare` writes.
    pub const ALL: [Self; 4] = [Self::Train, Self::Tune, Self::Validation, Self::Phenomena];

    /// The name, which is also the stem of the Parquet file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Tune => "tune",
            Self::Validation => "validation",
            Self::Phenomena => "phenomena",
        }
    }
}

/// Whether a sentence comes from a publication that the training set draws on as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// From the same publications as the training set.
    In,
    /// From other publications.
    Out,
}

/// One prepared sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Unique and stable: where the sentence stood in the corpus, for example `in_domain_dev-17`.
    pub id: String,
    /// The sentence as it was read.
    pub sentence: String,
    /// The linguist's judgement.
    pub label: Label,
    /// The publication, or the phenomenon in the starter corpus.
    pub source: String,
    /// In or out of the training set's domain.
    pub domain: Domain,
    /// Token ids with `[CLS]` and `[SEP]`, at most `prepare.max_length`.
    pub input_ids: Vec<i32>,
}

/// Reads a prepared split.
///
/// # Errors
///
/// When the file is missing, is not Parquet, or a column is missing or of another type; the message names both.
pub fn read_examples(path: &Path) -> Result<Vec<Example>> {
    let _ = path;
    anyhow::bail!("not written yet")
}
