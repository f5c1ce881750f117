//! How good the decisions are: estimated without labels, and measured with them.
//!
//! Confidence-based performance estimation (CBPE; `NannyML`, "How it works: CBPE"): a sentence that was called
//! acceptable with a calibrated probability p is right with probability p. Added up, the probabilities make an expected
//! confusion matrix, and MCC and accuracy are computed from that.
//!
//! It is as good as the calibration. It sees that sentences have become harder, which shows in the probabilities; it
//! does not see that the model is confident and wrong, which is what a model often is far from its training set. Only
//! labels tell that.

use serde::Serialize;
use wellformed_core::label::Label;
use wellformed_metrics::{Confusion, Interval, bootstrap};

use crate::error::DriftError;

/// Longer windows get the interval of this many sentences, which is a little too wide.
const MOST_DRAWS: f64 = 20_000.0;

/// Sums of probabilities of being in each cell of the confusion matrix.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExpectedConfusion {
    /// Unacceptable, and called so.
    pub true_negative: f64,
    /// Unacceptable, but called acceptable.
    pub false_positive: f64,
    /// Acceptable, but called unacceptable.
    pub false_negative: f64,
    /// Acceptable, and called so.
    pub true_positive: f64,
}

impl ExpectedConfusion {
    /// Adds a decision with the calibrated probability of *acceptable*.
    pub fn add(&mut self, p_acceptable: f64, decision: Label) {
        match decision {
            Label::Acceptable => {
                self.true_positive += p_acceptable;
                self.false_positive += 1.0 - p_acceptable;
            }
            Label::Unacceptable => {
                self.false_negative += p_acceptable;
                self.true_negative += 1.0 - p_acceptable;
            }
        }
    }

    /// Decisions.
    pub fn total(&self) -> f64 {
        self.true_negative + self.false_positive + self.false_negative + self.true_positive
    }

    /// The share that is expected to be right; 0 without decisions.
    pub fn accuracy(&self) -> f64 {
        let total = self.total();
        if total > 0.0 { (self.true_negative + self.true_positive) / total } else { 0.0 }
    }

    /// The Matthews correlation coefficient of the expected confusion matrix; 0 where a row or column of it is empty,
    /// as in scikit-learn.
    pub fn mcc(&self) -> f64 {
        let Self { true_negative: tn, false_positive: fp, false_negative: fn_, true_positive: tp } = *self;
        let margins = (tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_);
        if margins > 0.0 { (tp * tn - fp * fn_) / margins.sqrt() } else { 0.0 }
    }

    /// Whole decisions in the same proportions, at most [`MOST_DRAWS`].
    ///
    /// If a sentence is drawn at random and its label by its probability, it falls into each cell with that cell's
    /// share. So the confusion matrix of as many sentences is a multinomial draw with these shares, which is what
    /// [`bootstrap`] of the rounded matrix draws.
    fn rounded(&self) -> Confusion {
        let scale = (MOST_DRAWS / self.total()).min(1.0);
        let round = |count: f64| (count * scale).round() as u64;
        Confusion {
            true_negative: round(self.true_negative),
            false_positive: round(self.false_positive),
            false_negative: round(self.false_negative),
            true_positive: round(self.true_positive),
        }
    }
}

/// A figure with the interval that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Figure {
    fn new(value: f64, interval: Interval) -> Self {
        Self { value, low: interval.low, high: interval.high }
    }
}

/// The quality of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Performance {
    /// Sentences that it is of.
    pub sentences: u64,
    /// Matthews correlation coefficient.
    pub mcc: Figure,
    /// Share of right decisions.
    pub accuracy: Figure,
}

/// How intervals are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resampling {
    pub(crate) samples: usize,
    pub(crate) confidence: f64,
    pub(crate) seed: u64,
}

/// The expected quality, with the interval that the true one lies in if the probabilities are calibrated.
pub(crate) fn estimated(expected: &ExpectedConfusion, how: Resampling) -> Result<Performance, DriftError> {
    with_intervals(&expected.rounded(), expected.total().round() as u64, expected.mcc(), expected.accuracy(), how)
}

/// The real quality, from labels.
///
/// # Errors
///
/// When there are no sentences.
pub fn measured(confusion: &Confusion, samples: usize, confidence: f64, seed: u64) -> Result<Performance, DriftError> {
    let how = Resampling { samples, confidence, seed };
    with_intervals(confusion, confusion.total(), confusion.mcc(), confusion.accuracy(), how)
}

fn with_intervals(
    draw: &Confusion,
    sentences: u64,
    mcc: f64,
    accuracy: f64,
    how: Resampling,
) -> Result<Performance, DriftError> {
    let interval = |statistic: fn(&Confusion) -> f64| bootstrap(draw, statistic, how.samples, how.confidence, how.seed);
    Ok(Performance {
        sentences,
        mcc: Figure::new(mcc, interval(Confusion::mcc)?),
        accuracy: Figure::new(accuracy, interval(Confusion::accuracy)?),
    })
}
