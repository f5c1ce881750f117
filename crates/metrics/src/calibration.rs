//! Probabilities: how good they are, and how to make them better by one number, the temperature.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{MetricError, check_lengths, check_values};

/// Both classes' probabilities, (unacceptable, acceptable), from both logits.
pub fn softmax2(logits: [f32; 2]) -> [f64; 2] {
    let margin = margin(logits);
    [sigmoid(-margin), sigmoid(margin)]
}

/// The probability of *acceptable* from both logits, divided by a temperature: the second of
/// softmax(logits / temperature).
pub fn probability(logits: [f32; 2], temperature: f64) -> f64 {
    sigmoid(margin(logits) / temperature)
}

fn margin([negative, positive]: [f32; 2]) -> f64 {
    f64::from(positive) - f64::from(negative)
}

fn sigmoid(x: f64) -> f64 {
    // The exponential of a negative number only, which cannot overflow.
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn check(labels: &[bool], probabilities: &[f64]) -> Result<(), MetricError> {
    check_lengths(labels, probabilities.len())?;
    check_values(probabilities, "a probability from 0 to 1", |p| (0.0..=1.0).contains(&p))
}

/// Mean negative natural logarithm of the true class's probability, which is clipped to [ε, 1 − ε] with the machine
/// epsilon of `f64` (`sklearn.metrics.log_loss`). `probabilities` are of *acceptable*.
///
/// # Errors
///
/// When there are no examples, lengths differ, or a value is no probability.
pub fn log_loss(labels: &[bool], probabilities: &[f64]) -> Result<f64, MetricError> {
    check(labels, probabilities)?;
    let loss = |(&label, &p): (&bool, &f64)| {
        let of_truth = if label { p } else { 1.0 - p };
        -of_truth.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    };
    Ok(labels.iter().zip(probabilities).map(loss).sum::<f64>() / labels.len() as f64)
}

/// Mean squared difference between the probability of *acceptable* and the label (1 or 0) (Brier 1950, Monthly Weather
/// Review 78; `sklearn.metrics.brier_score_loss`).
///
/// # Errors
///
/// As [`log_loss`].
pub fn brier_score(labels: &[bool], probabilities: &[f64]) -> Result<f64, MetricError> {
    check(labels, probabilities)?;
    let square = |(&label, &p): (&bool, &f64)| (p - f64::from(u8::from(label))).powi(2);
    Ok(labels.iter().zip(probabilities).map(square).sum::<f64>() / labels.len() as f64)
}

/// Predictions of like confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Confidences above this (the first bin: from this).
    pub lower: f64,
    /// Confidences up to this.
    pub upper: f64,
    /// How many predictions there are.
    pub count: usize,
    /// Their mean confidence; `None` without any.
    pub confidence: Option<f64>,
    /// The share of them that is right; `None` without any.
    pub accuracy: Option<f64>,
}

/// Predictions by confidence. The confidence is the predicted class's probability, max(p, 1 − p), the predicted class is
/// *acceptable* where p > ½. The bins have equal widths between ½ and 1, the least and the most that a confidence among
/// two classes can be; each includes its upper end.
///
/// # Errors
///
/// As [`log_loss`], and when `bins` is 0.
pub fn reliability(labels: &[bool], probabilities: &[f64], bins: usize) -> Result<Vec<Bin>, MetricError> {
    check(labels, probabilities)?;
    if bins == 0 {
        return Err(MetricError::Argument { name: "bins", value: 0.0, allowed: "at least 1" });
    }
    let edges: Vec<f64> = (0..=bins).map(|index| 0.5 + 0.5 * index as f64 / bins as f64).collect();
    Ok(by_confidence(labels, probabilities, &edges))
}

/// Predictions by confidence, in bins between neighbouring edges. No confidence lies outside of them.
fn by_confidence(labels: &[bool], probabilities: &[f64], edges: &[f64]) -> Vec<Bin> {
    let uppers = &edges[1..];
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); uppers.len()];
    for (&label, &p) in labels.iter().zip(probabilities) {
        let confidence = p.max(1.0 - p);
        let bin = uppers.partition_point(|&upper| upper < confidence).min(uppers.len() - 1);
        let (count, total, right) = &mut sums[bin];
        *count += 1;
        *total += confidence;
        *right += usize::from((p > 0.5) == label);
    }
    let bin = |((count, total, right), edges): ((usize, f64, usize), &[f64])| Bin {
        lower: edges[0],
        upper: edges[1],
        count,
        confidence: (count > 0).then(|| total / count as f64),
        accuracy: (count > 0).then(|| right as f64 / count as f64),
    };
    sums.into_iter().zip(edges.windows(2)).map(bin).collect()
}

/// Expected calibration error: the bins' gaps between accuracy and mean confidence, weighed by their counts
/// (Guo et al. 2017, On Calibration of Modern Neural Networks, equation 5). The bins are those of [`reliability`]; as
/// no confidence lies below ½, it equals Guo's figure with twice as many bins from 0 to 1.
///
/// # Errors
///
/// As [`reliability`].
pub fn expected_calibration_error(labels: &[bool], probabilities: &[f64], bins: usize) -> Result<f64, MetricError> {
    Ok(gap(&reliability(labels, probabilities, bins)?))
}

/// Bins of [`usual_calibration_error`].
const USUAL_BINS: usize = 15;

/// The expected calibration error as most published figures have it: with 15 bins of equal widths between 0 and 1 (Guo
/// et al. 2017, section 4; `torchmetrics.classification.MulticlassCalibrationError` with two classes, by default). Of
/// two classes only the upper eight can have predictions, so it sees less than [`expected_calibration_error`] with ten
/// bins between ½ and 1, and chance adds less to it.
///
/// # Errors
///
/// As [`log_loss`].
pub fn usual_calibration_error(labels: &[bool], probabilities: &[f64]) -> Result<f64, MetricError> {
    check(labels, probabilities)?;
    let edges: Vec<f64> = (0..=USUAL_BINS).map(|index| index as f64 / USUAL_BINS as f64).collect();
    Ok(gap(&by_confidence(labels, probabilities, &edges)))
}

/// The mean distance between accuracy and confidence over all predictions in these bins.
fn gap(bins: &[Bin]) -> f64 {
    let total: usize = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &Bin| {
        let gap = bin.accuracy.zip(bin.confidence).map_or(0.0, |(accuracy, confidence)| (accuracy - confidence).abs());
        gap * bin.count as f64
    };
    bins.iter().map(gap).sum::<f64>() / total as f64
}

/// From so many predictions in a bin on, the number of right ones is taken for normally distributed.
const MANY: usize = 4_000;

/// The [`expected_calibration_error`] that is to be expected although the probabilities are exactly right: what chance
/// alone leaves between accuracy and confidence on so few sentences. An error of this size is no sign of bad
/// calibration, and a lower one is luck.
///
/// In a bin with confidences cᵢ the number of right predictions is a sum of coins that fall right with cᵢ; the
/// distribution of that sum (Poisson binomial) is computed exactly, coin by coin.
///
/// # Errors
///
/// As [`reliability`].
pub fn calibration_error_by_chance(probabilities: &[f64], bins: usize) -> Result<f64, MetricError> {
    let decided: Vec<bool> = probabilities.iter().map(|&p| p > 0.5).collect();
    let uppers: Vec<f64> = reliability(&decided, probabilities, bins)?.into_iter().map(|bin| bin.upper).collect();
    let mut confidences = vec![Vec::new(); bins];
    for &p in probabilities {
        let confidence = p.max(1.0 - p);
        confidences[uppers.partition_point(|&upper| upper < confidence).min(bins - 1)].push(confidence);
    }
    let gaps: f64 = confidences.iter().map(|confidences| mean_deviation(confidences)).sum();
    Ok(gaps / probabilities.len() as f64)
}

/// How probable an [`expected_calibration_error`] at least as large as the one found is if the probabilities are exactly
/// right: a small value says that they are not, a large one that chance may be all there is to see.
///
/// The labels are drawn anew from the probabilities, `samples` times, each time from a random stream of its own; of n
/// draws r have an error as large, and the result is (1 + r) / (1 + n) (Davison and Hinkley 1997, Bootstrap Methods and
/// their Application, section 4.2).
///
/// # Errors
///
/// As [`reliability`], and when there are no samples.
pub fn calibration_error_p_value(
    labels: &[bool],
    probabilities: &[f64],
    bins: usize,
    samples: usize,
    seed: u64,
) -> Result<f64, MetricError> {
    if samples == 0 {
        return Err(MetricError::Argument { name: "samples", value: 0.0, allowed: "at least 1" });
    }
    let found = expected_calibration_error(labels, probabilities, bins)?;
    let as_large = |stream: u64| -> Result<usize, MetricError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let drawn: Vec<bool> = probabilities.iter().map(|&p| random.random_bool(p)).collect();
        // The same sums in another order may differ in their last bits.
        Ok(usize::from(expected_calibration_error(&drawn, probabilities, bins)? >= found - 1e-12))
    };
    let count = (0..samples as u64).into_par_iter().map(as_large).sum::<Result<usize, MetricError>>()?;
    Ok((1 + count) as f64 / (1 + samples) as f64)
}

/// The mean distance of a sum of coins, which are 1 with these probabilities, from its expectation.
fn mean_deviation(coins: &[f64]) -> f64 {
    if coins.len() > MANY {
        let variance: f64 = coins.iter().map(|p| p * (1.0 - p)).sum();
        return (variance * std::f64::consts::FRAC_2_PI).sqrt();
    }
    // How probable each number of ones is.
    let mut sums = vec![1.0];
    for &p in coins {
        sums.push(0.0);
        for ones in (0..sums.len()).rev() {
            let before = if ones == 0 { 0.0 } else { sums[ones - 1] };
            sums[ones] = sums[ones] * (1.0 - p) + before * p;
        }
    }
    let expected: f64 = coins.iter().sum();
    sums.iter().enumerate().map(|(ones, probability)| probability * (ones as f64 - expected).abs()).sum()
}

/// Temperatures are sought between this and its inverse.
const HIGHEST_TEMPERATURE: f64 = 20.0;

/// The temperature T that minimises the log loss of softmax(logits / T) (Guo et al. 2017, section 4.2). It rescales
/// confidences and changes no decision.
///
/// The mean loss is convex in 1/T, so its derivative, which rises, is bisected. `None` when it has no zero between
/// 1/20 and 20: when every prediction is right, so that any sharpening helps, or when the logits tell nothing. There is
/// nothing to calibrate by then, and 1 leaves the probabilities as they are.
///
/// # Errors
///
/// When there are no examples, lengths differ, or a logit is not finite.
pub fn fit_temperature(labels: &[bool], logits: &[[f32; 2]]) -> Result<Option<f64>, MetricError> {
    check_lengths(labels, logits.len())?;
    // How far the true class is ahead.
    let towards = |(&label, &pair): (&bool, &[f32; 2])| if label { margin(pair) } else { -margin(pair) };
    let margins: Vec<f64> = labels.iter().zip(logits).map(towards).collect();
    check_values(&margins, "a finite difference of logits", f64::is_finite)?;
    // The loss is the sum of ln(1 + e^(−m·b)), where b = 1/T.
    let slope = |b: f64| -> f64 { margins.iter().map(|&m| -m * sigmoid(-m * b)).sum() };
    let (mut low, mut high) = (1.0 / HIGHEST_TEMPERATURE, HIGHEST_TEMPERATURE);
    if slope(low) >= 0.0 || slope(high) <= 0.0 {
        return Ok(None);
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return Ok(Some(1.0 / middle));
        }
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
}
