//! How well scores put the acceptable before the unacceptable, whatever the threshold.

use crate::{MetricError, check_lengths, check_values};

/// A point of the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Share of the unacceptable with a score of at least `threshold`.
    pub false_positive_rate: f64,
    /// Share of the acceptable with a score of at least `threshold`.
    pub true_positive_rate: f64,
    /// Infinite at the first point, where nothing is predicted acceptable.
    pub threshold: f64,
}

/// A point of the precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecallPoint {
    /// Share of the acceptable with a score of at least `threshold`.
    pub recall: f64,
    /// Share of the acceptable among what has a score of at least `threshold`.
    pub precision: f64,
    /// Infinite at the first point, where nothing is predicted acceptable and the precision is set to 1.
    pub threshold: f64,
}

/// Counts among the examples whose score is at least `threshold`.
#[derive(Clone, Copy, PartialEq)]
struct Step {
    threshold: f64,
    false_positives: u64,
    true_positives: u64,
}

/// A step for each distinct score, from the highest down; the last one counts everything.
fn steps(labels: &[bool], scores: &[f64]) -> Result<Vec<Step>, MetricError> {
    check_lengths(labels, scores.len())?;
    check_values(scores, "a number", |score| !score.is_nan())?;
    if labels.iter().all(|&label| label == labels[0]) {
        return Err(MetricError::OneClass(labels[0]));
    }
    let mut ranked: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut steps: Vec<Step> = Vec::new();
    let (mut false_positives, mut true_positives) = (0, 0);
    for (score, label) in ranked {
        if label {
            true_positives += 1;
        } else {
            false_positives += 1;
        }
        let step = Step { threshold: score, false_positives, true_positives };
        match steps.last_mut() {
            Some(last) if last.threshold == score => *last = step,
            _ => steps.push(step),
        }
    }
    Ok(steps)
}

/// The receiver operating characteristic, from (0, 0) to (1, 1), by falling threshold. Equal scores make one point;
/// points on a straight line between their neighbours are left out, as `sklearn.metrics.roc_curve` does.
///
/// # Errors
///
/// When lengths differ, a score is not a number, or not both classes occur.
pub fn roc_curve(labels: &[bool], scores: &[f64]) -> Result<Vec<RocPoint>, MetricError> {
    let mut steps = steps(labels, scores)?;
    // A point stays when the slope changes there; first and last stay anyway.
    if steps.len() > 2 {
        let slope = |a: Step, b: Step| (b.false_positives - a.false_positives, b.true_positives - a.true_positives);
        let bends = |three: &[Step]| slope(three[0], three[1]) != slope(three[1], three[2]);
        let mut kept = vec![steps[0]];
        kept.extend(steps.windows(3).filter(|three| bends(three)).map(|three| three[1]));
        kept.extend(steps.last());
        steps = kept;
    }
    let (negatives, positives) = totals(&steps);
    let start = Step { threshold: f64::INFINITY, false_positives: 0, true_positives: 0 };
    let points = std::iter::once(start).chain(steps).map(|step| RocPoint {
        false_positive_rate: step.false_positives as f64 / negatives,
        true_positive_rate: step.true_positives as f64 / positives,
        threshold: step.threshold,
    });
    Ok(points.collect())
}

/// Area under the ROC curve: the probability that an acceptable sentence has a higher score than an unacceptable one,
/// ties counting one half (Fawcett 2006, Pattern Recognition Letters 27, section 7; `sklearn.metrics.roc_auc_score`).
///
/// # Errors
///
/// As [`roc_curve`].
pub fn roc_auc(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    let steps = steps(labels, scores)?;
    let (negatives, positives) = totals(&steps);
    // Twice the area in whole numbers: trapezoids between the steps.
    let mut doubled: u128 = 0;
    let (mut false_positives, mut true_positives) = (0, 0);
    for step in &steps {
        let width = u128::from(step.false_positives - false_positives);
        doubled += width * u128::from(step.true_positives + true_positives);
        (false_positives, true_positives) = (step.false_positives, step.true_positives);
    }
    Ok(doubled as f64 / (2.0 * negatives * positives))
}

/// Precision against recall by falling threshold, from (recall 0, precision 1); a point for each distinct score, as
/// `sklearn.metrics.precision_recall_curve` has them in the opposite order.
///
/// # Errors
///
/// As [`roc_curve`].
pub fn precision_recall_curve(labels: &[bool], scores: &[f64]) -> Result<Vec<PrecisionRecallPoint>, MetricError> {
    let steps = steps(labels, scores)?;
    let (_, positives) = totals(&steps);
    let start = PrecisionRecallPoint { recall: 0.0, precision: 1.0, threshold: f64::INFINITY };
    let points = steps.iter().map(|step| PrecisionRecallPoint {
        recall: step.true_positives as f64 / positives,
        precision: step.true_positives as f64 / (step.true_positives + step.false_positives) as f64,
        threshold: step.threshold,
    });
    Ok(std::iter::once(start).chain(points).collect())
}

/// Average precision, Σ (Rₙ − Rₙ₋₁)·Pₙ over falling thresholds, without interpolation
/// (`sklearn.metrics.average_precision_score`).
///
/// # Errors
///
/// As [`roc_curve`].
pub fn average_precision(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    let curve = precision_recall_curve(labels, scores)?;
    Ok(curve.windows(2).map(|pair| (pair[1].recall - pair[0].recall) * pair[1].precision).sum())
}

/// How many of each class there are.
fn totals(steps: &[Step]) -> (f64, f64) {
    steps.last().map_or((0.0, 0.0), |all| (all.false_positives as f64, all.true_positives as f64))
}
