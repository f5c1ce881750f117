//! Whether two models differ by more than chance, when both judged the same sentences.
//!
//! For accuracy, McNemar's test: only sentences that one model gets right and the other wrong say anything (McNemar
//! 1947, Psychometrika 12), counted exactly, and as the less conservative mid-p (Fagerland, Lydersen and Laake 2013,
//! BMC Medical Research Methodology 13:91, which recommends it). For the MCC, which is no mean over sentences, a
//! paired bootstrap: sentences are drawn with replacement, each with both models' answers. The interval is the
//! percentile interval; the p-value is the one that inverts it (Efron and Tibshirani 1993, chapter 15).
//!
//! These say how far the *sentences* may have decided. How far the seed of the training has, they do not say.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wellformed_metrics::{Confusion, Interval};

/// Resamples of the paired bootstrap.
pub const SAMPLES: usize = 10_000;

/// A sentence, judged twice. `true` is *acceptable*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The linguist's judgement.
    pub label: bool,
    /// The first model's.
    pub before: bool,
    /// The second model's.
    pub after: bool,
}

/// McNemar's test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Sentences that only the second model gets right.
    pub improved: u64,
    /// Sentences that only the first model gets right.
    pub worsened: u64,
    /// Two-sided p-value of the exact binomial test; 1 where the models never differ.
    pub exact: f64,
    /// Two-sided mid-p value.
    pub mid_p: f64,
}

/// McNemar's test of the pairs.
pub fn mcnemar(pairs: &[Pair]) -> McNemar {
    let mut improved = 0;
    let mut worsened = 0;
    for pair in pairs {
        match (pair.before == pair.label, pair.after == pair.label) {
            (false, true) => improved += 1,
            (true, false) => worsened += 1,
            _ => {}
        }
    }
    let (total, fewer) = (improved + worsened, improved.min(worsened));
    // Probabilities of 0, 1, … `fewer` heads in `total` tosses, by the ratio of neighbours, in logarithms: 2^-total
    // underflows from 1,075 on.
    let mut log_probability = -(total as f64) * std::f64::consts::LN_2;
    let mut cumulative = log_probability.exp();
    for heads in 1..=fewer {
        log_probability += ((total - heads + 1) as f64 / heads as f64).ln();
        cumulative += log_probability.exp();
    }
    let exact = (2.0 * cumulative).min(1.0);
    let mid_p = if total == 0 { 1.0 } else { (2.0 * cumulative - log_probability.exp()).min(1.0) };
    McNemar { improved, worsened, exact, mid_p }
}

/// The difference of two models' MCC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MccDifference {
    /// The first model's MCC.
    pub before: f64,
    /// The second model's.
    pub after: f64,
    /// Bootstrap interval of the difference, second less first.
    pub interval: Interval,
    /// Two-sided p-value of no difference.
    pub p: f64,
}

impl MccDifference {
    /// The second model's MCC less the first's.
    pub fn difference(&self) -> f64 {
        self.after - self.before
    }
}

/// Paired bootstrap of the difference in MCC; `None` without sentences. The same arguments give the same result.
pub fn mcc_difference(pairs: &[Pair], samples: usize, confidence: f64, seed: u64) -> Option<MccDifference> {
    if pairs.is_empty() || samples == 0 {
        return None;
    }
    // Only the combination of label and both answers matters, of which there are eight.
    let mut cells = [0_u64; 8];
    for pair in pairs {
        cells[usize::from(pair.label) << 2 | usize::from(pair.before) << 1 | usize::from(pair.after)] += 1;
    }
    let mut ends = cells;
    for at in 1..8 {
        ends[at] += ends[at - 1];
    }
    let total = pairs.len() as u64;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut differences: Vec<f64> = (0..samples)
        .map(|_| {
            let mut drawn = [0_u64; 8];
            for _ in 0..total {
                let place = random.random_range(0..total);
                drawn[ends.partition_point(|&end| end <= place)] += 1;
            }
            let [before, after] = both(&drawn).map(|one| one.mcc());
            after - before
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let share_up_to = |value: f64| differences.partition_point(|&one| one <= value);
    let (not_above, not_below) = (share_up_to(0.0), samples - differences.partition_point(|&one| one < 0.0));
    // The observed sample counts as one more, so that no p-value is 0 (Davison and Hinkley 1997, section 4.2).
    let p = (2.0 * (not_above.min(not_below) + 1) as f64 / (samples + 1) as f64).min(1.0);
    let tail = (1.0 - confidence) / 2.0;
    let [before, after] = both(&cells).map(|one| one.mcc());
    let interval = Interval { low: quantile(&differences, tail), high: quantile(&differences, 1.0 - tail) };
    Some(MccDifference { before, after, interval, p })
}

/// Both models' confusion matrices.
fn both(cells: &[u64; 8]) -> [Confusion; 2] {
    // Bit 2 is the label, bit 1 the first model's answer, bit 0 the second's.
    [1, 0].map(|bit| {
        let sum = |label: usize, answer: usize| -> u64 {
            let of = |at: &usize| at >> 2 == label && (at >> bit & 1) == answer;
            (0..8).filter(of).map(|at| cells[at]).sum()
        };
        Confusion {
            true_negative: sum(0, 0),
            false_positive: sum(0, 1),
            false_negative: sum(1, 0),
            true_positive: sum(1, 1),
        }
    })
}

/// The quantile of ascending values with linear interpolation, as numpy's default.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let below = (place.floor() as usize).min(values.len() - 1);
    let above = (below + 1).min(values.len() - 1);
    values[below] + (place - below as f64) * (values[above] - values[below])
}

/// Wilson's 95 % interval of a share (Wilson 1927, Journal of the American Statistical Association 22); the whole range
/// without sentences. It stays sensible for a handful of sentences, where the usual one does not.
pub fn wilson(right: u64, total: u64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if total == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = total as f64;
    let share = right as f64 / n;
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}
