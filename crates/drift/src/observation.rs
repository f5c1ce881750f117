//! What is known of a prediction in operation.

use std::sync::Arc;

use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_signals::Signals;

/// Something that a service did.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// The digest of the bundle that the service had open.
    pub bundle: Arc<str>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A sentence was judged.
    Prediction(Features),
    /// A request was refused or failed.
    Problem {
        /// The kind of error, for example `empty_sentence`.
        code: Arc<str>,
        /// Whether the service was at fault, not the caller.
        defect: bool,
    },
}

/// A judged sentence in numbers. What a service does not record is `None`, and is not watched then.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Tokens that the model saw, `[CLS]` and `[SEP]` included.
    pub tokens: u32,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: u32,
    /// Whether the sentence was cut.
    pub truncated: bool,
    /// Unicode scalar values.
    pub characters: Option<u32>,
    /// Share of the characters that is not ASCII, from 0 to 1.
    pub non_ascii_share: Option<f64>,
    /// What the sentence looks like.
    pub signals: Option<Signals>,
    /// The calibrated probability of *acceptable*.
    pub p_acceptable: f64,
    /// The decision.
    pub label: Label,
    /// Which of the bundle's models decided.
    pub precision: Option<Precision>,
    /// A keyed hash of the sentence: equal for equal sentences.
    pub text_hash: Option<u64>,
    /// From the request to the answer, in milliseconds. A request with many sentences says it once.
    pub latency_ms: Option<f64>,
    /// Whether the request was the first of its process; once a request, as well.
    pub cold_start: Option<bool>,
}
