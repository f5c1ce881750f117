//! The formulas: MCC, ROC, calibration, bootstrap.
//!
//! Pure functions of labels, predictions and probabilities; the positive class (`true`) is *acceptable*, class 1.
//! Where a value is a matter of convention (ties, empty classes, clipping) it is scikit-learn's, and tests compare
//! with scikit-learn.
//!
//! * [`confusion`]: what can be said of decisions: MCC, accuracy, precision, recall, F1.
//! * [`ranking`]: what can be said of scores whatever the threshold: ROC, precision-recall.
//! * [`calibration`]: what can be said of probabilities: log loss, Brier score, calibration error, temperature.
//! * [`bootstrap`]: how far a number would move with other sentences.

pub mod bootstrap;
pub mod calibration;
pub mod confusion;
pub mod ranking;

pub use bootstrap::{Interval, bootstrap};
pub use calibration::{
    Bin, brier_score, calibration_error_by_chance, calibration_error_p_value, expected_calibration_error,
    fit_temperature, log_loss, probability, reliability, softmax2, usual_calibration_error,
};
pub use confusion::{Confusion, Scores};
pub use ranking::{PrecisionRecallPoint, RocPoint, average_precision, precision_recall_curve, roc_auc, roc_curve};

/// Why there is no number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Two lists that belong together are not of one length.
    #[error("{labels} labels, but {others} predictions; there must be one for each label")]
    Length {
        /// How many labels there are.
        labels: usize,
        /// How many predictions, probabilities or logits.
        others: usize,
    },
    /// Nothing to measure.
    #[error("there are no examples to measure")]
    Empty,
    /// The metric compares two classes, and all labels are of one.
    #[error("all labels are {}, but the metric needs both classes", if *.0 { "positive" } else { "negative" })]
    OneClass(
        /// Which one.
        bool,
    ),
    /// A probability or logit that cannot be one.
    #[error("value {value} at position {position} is not {wanted}")]
    Value {
        /// Where, counted from 0.
        position: usize,
        /// What was found.
        value: f64,
        /// What it has to be.
        wanted: &'static str,
    },
    /// An argument that makes no sense.
    #[error("{name} is {value}, but must be {allowed}")]
    Argument {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would be allowed.
        allowed: &'static str,
    },
}

/// Checks that there is something to measure, and one value for each label.
fn check_lengths(labels: &[bool], others: usize) -> Result<(), MetricError> {
    if labels.len() != others {
        return Err(MetricError::Length { labels: labels.len(), others });
    }
    if labels.is_empty() { Err(MetricError::Empty) } else { Ok(()) }
}

/// Checks every value; the first that fails is named.
fn check_values(values: &[f64], wanted: &'static str, holds: impl Fn(f64) -> bool) -> Result<(), MetricError> {
    match values.iter().position(|&value| !holds(value)) {
        Some(position) => Err(MetricError::Value { position, value: values[position], wanted }),
        None => Ok(()),
    }
}

/// Six decimals: more than the figures mean, and few enough that a diff of the reports can be read.
pub fn rounded(value: f64) -> f64 {
    // Adding 0 turns −0 into 0.
    (value * 1e6).round() / 1e6 + 0.0
}
