//! Confidence intervals by resampling.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Confusion, MetricError};

/// An interval that a number lies in with some confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The percentile interval of the bootstrap (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section
/// 13.3) of a statistic of a confusion matrix, such as [`Confusion::mcc`]. Examples are drawn with replacement, as
/// many as there are. Only the cell that an example is in matters, so a resample is four counts.
///
/// Every resample has a random stream of its own: the result depends on the seed, not on the number of threads.
///
/// # Errors
///
/// When there are no examples or no samples, or `confidence` is not between 0 and 1.
pub fn bootstrap(
    confusion: &Confusion,
    statistic: impl Fn(&Confusion) -> f64 + Sync,
    samples: usize,
    confidence: f64,
    seed: u64,
) -> Result<Interval, MetricError> {
    if confusion.total() == 0 {
        return Err(MetricError::Empty);
    }
    if samples == 0 {
        return Err(MetricError::Argument { name: "samples", value: 0.0, allowed: "at least 1" });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(MetricError::Argument { name: "confidence", value: confidence, allowed: "between 0 and 1" });
    }
    let replicate = |stream: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        statistic(&resample(confusion, &mut random))
    };
    let mut values: Vec<f64> = (0..samples as u64).into_par_iter().map(replicate).collect();
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
}

fn resample(confusion: &Confusion, random: &mut ChaCha8Rng) -> Confusion {
    // The examples stand in a row, cell by cell.
    let negatives = confusion.true_negative + confusion.false_positive;
    let before_positives = negatives + confusion.false_negative;
    let total = confusion.total();
    let mut drawn = Confusion::default();
    for _ in 0..total {
        let place = random.random_range(0..total);
        if place < confusion.true_negative {
            drawn.true_negative += 1;
        } else if place < negatives {
            drawn.false_positive += 1;
        } else if place < before_positives {
            drawn.false_negative += 1;
        } else {
            drawn.true_positive += 1;
        }
    }
    drawn
}

/// The quantile of ascending values, with linear interpolation (Hyndman and Fan 1996, definition 7; numpy's default).
/// `values` must not be empty.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let below = (place.floor() as usize).min(values.len() - 1);
    let above = (below + 1).min(values.len() - 1);
    values[below] + (place - below as f64) * (values[above] - values[below])
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_interpolated_as_numpy_does() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.025, 0.5, 0.9, 1])
        for (share, expected) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(quantile(&[3.0], 0.975), 3.0);
    }
}
