//! Distances between two samples, from counts, and the correction for many tests.

/// The two-sample Kolmogorov-Smirnov statistic: the largest difference of the two empirical distribution functions,
/// from 0 to 1. Both are counts in the same cells, in ascending order of value; exact when no cell holds different
/// values of both samples. 0 when a sample is empty.
pub fn kolmogorov_smirnov(reference: &[u64], window: &[u64]) -> f64 {
    let (of_reference, of_window) = (reference.iter().sum::<u64>(), window.iter().sum::<u64>());
    if of_reference == 0 || of_window == 0 {
        return 0.0;
    }
    // Whole numbers: both functions multiplied by both lengths.
    let (n, m) = (of_reference as i64, of_window as i64);
    let (mut difference, mut largest) = (0_i64, 0_i64);
    for (&a, &b) in reference.iter().zip(window) {
        difference += a as i64 * m - b as i64 * n;
        largest = largest.max(difference.abs());
    }
    largest as f64 / (n as f64 * m as f64)
}

/// Pearson's χ² of homogeneity of two rows of counts, without a continuity correction; columns that are empty in both
/// do not count (Pearson 1911, Biometrika 8). 0 when a row is empty.
pub fn chi_squared(reference: &[u64], window: &[u64]) -> f64 {
    let (of_reference, of_window) = (reference.iter().sum::<u64>(), window.iter().sum::<u64>());
    if of_reference == 0 || of_window == 0 {
        return 0.0;
    }
    let all = (of_reference + of_window) as f64;
    let column = |(&a, &b): (&u64, &u64)| {
        if a + b == 0 {
            return 0.0;
        }
        let term = |count: u64, row: u64| {
            let expected = (a + b) as f64 * row as f64 / all;
            (count as f64 - expected).powi(2) / expected
        };
        term(a, of_reference) + term(b, of_window)
    };
    reference.iter().zip(window).map(column).sum()
}

/// Total variation distance: half the sum of the absolute differences of the shares, from 0 to 1. For a flag it is the
/// difference of the shares, and equals the Kolmogorov-Smirnov statistic.
pub fn total_variation(reference: &[u64], window: &[u64]) -> f64 {
    let [p, q] = [reference, window].map(shares);
    p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

/// Jensen-Shannon divergence in bits, from 0 to 1 (Lin 1991, IEEE Transactions on Information Theory 37,
/// with equal weights). scipy's `jensenshannon` is its square root.
pub fn jensen_shannon(reference: &[u64], window: &[u64]) -> f64 {
    let [p, q] = [reference, window].map(shares);
    let towards = |x: f64, middle: f64| if x > 0.0 { x * (x / middle).log2() } else { 0.0 };
    let term = |(&p, &q): (&f64, &f64)| {
        let middle = f64::midpoint(p, q);
        f64::midpoint(towards(p, middle), towards(q, middle))
    };
    p.iter().zip(&q).map(term).sum::<f64>().max(0.0)
}

/// Shares below this are taken for this in the population stability index, which has no value at 0.
pub const LEAST_SHARE: f64 = 1e-4;

/// Population stability index, Σ (q − p) ln(q / p), in nats: Kullback and Leibler's symmetric divergence J (1951, Annals
/// of Mathematical Statistics 22). The bounds 0.1 and 0.25 that are often read with it are custom; no verdict here
/// depends on it.
pub fn stability_index(reference: &[u64], window: &[u64]) -> f64 {
    let [p, q] = [reference, window].map(shares);
    let term = |(&p, &q): (&f64, &f64)| {
        let (p, q) = (p.max(LEAST_SHARE), q.max(LEAST_SHARE));
        (q - p) * (q / p).ln()
    };
    p.iter().zip(&q).map(term).sum()
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|&count| count as f64 / total).collect()
}

/// p-values adjusted for their number by Holm's step-down method (Holm 1979, Scandinavian Journal of Statistics 6), in
/// the order given. Rejecting where the adjusted value is at most α rejects a true hypothesis with a probability of at
/// most α, however the tests depend on each other.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}
