//! Counts of right and wrong decisions, and what follows from them.

use serde::{Deserialize, Serialize};

use crate::MetricError;

/// The confusion matrix of two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confusion {
    /// Unacceptable, and predicted so.
    pub true_negative: u64,
    /// Unacceptable, but predicted acceptable.
    pub false_positive: u64,
    /// Acceptable, but predicted unacceptable.
    pub false_negative: u64,
    /// Acceptable, and predicted so.
    pub true_positive: u64,
}

/// Precision, recall and F1, of a class or averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of the predictions of the class that are right; 0 when there is none.
    pub precision: f64,
    /// Share of the class that is found; 0 when the class is empty.
    pub recall: f64,
    /// Harmonic mean of both, 2·TP / (2·TP + FP + FN); 0 when undefined.
    pub f1: f64,
}

impl Confusion {
    /// Counts predictions against labels. Without any, all counts are 0.
    ///
    /// # Errors
    ///
    /// [`MetricError::Length`] when there is not one prediction for each label.
    pub fn of(labels: &[bool], predictions: &[bool]) -> Result<Self, MetricError> {
        if labels.len() != predictions.len() {
            return Err(MetricError::Length { labels: labels.len(), others: predictions.len() });
        }
        let mut counts = Self::default();
        for (&label, &prediction) in labels.iter().zip(predictions) {
            *counts.cell(label, prediction) += 1;
        }
        Ok(counts)
    }

    fn cell(&mut self, label: bool, prediction: bool) -> &mut u64 {
        match (label, prediction) {
            (false, false) => &mut self.true_negative,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (true, true) => &mut self.true_positive,
        }
    }

    /// All examples.
    pub fn total(&self) -> u64 {
        self.true_negative + self.false_positive + self.false_negative + self.true_positive
    }

    /// Share of right predictions; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        ratio(self.true_negative + self.true_positive, self.total())
    }

    /// Matthews correlation coefficient,
    /// (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)), from −1 to 1 (Matthews 1975, Biochimica et Biophysica Acta
    /// 405). 0 when a row or a column of the matrix is empty, as in scikit-learn.
    pub fn mcc(&self) -> f64 {
        let [tn, fp, fn_, tp] =
            [self.true_negative, self.false_positive, self.false_negative, self.true_positive].map(i128::from);
        let covariance = tp * tn - fp * fn_;
        let predicted = (tp + fp) * (tn + fn_);
        let actual = (tp + fn_) * (tn + fp);
        if predicted == 0 || actual == 0 {
            return 0.0;
        }
        // One root over the whole product: 1 exactly for a perfect prediction.
        covariance as f64 / (predicted as f64 * actual as f64).sqrt()
    }

    /// Precision, recall and F1 of the acceptable (`true`) or the unacceptable class.
    pub fn class(&self, positive: bool) -> Scores {
        let (hits, false_alarms, misses) = if positive {
            (self.true_positive, self.false_positive, self.false_negative)
        } else {
            (self.true_negative, self.false_negative, self.false_positive)
        };
        Scores {
            precision: ratio(hits, hits + false_alarms),
            recall: ratio(hits, hits + misses),
            f1: ratio(2 * hits, 2 * hits + false_alarms + misses),
        }
    }

    /// The plain mean of both classes' scores.
    pub fn macro_average(&self) -> Scores {
        let [a, b] = [self.class(false), self.class(true)];
        let mean = |a: f64, b: f64| f64::midpoint(a, b);
        Scores { precision: mean(a.precision, b.precision), recall: mean(a.recall, b.recall), f1: mean(a.f1, b.f1) }
    }

    /// The scores of both classes' counts added up. With one label and one prediction an example, all three equal the
    /// accuracy.
    pub fn micro_average(&self) -> Scores {
        let accuracy = self.accuracy();
        Scores { precision: accuracy, recall: accuracy, f1: accuracy }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
