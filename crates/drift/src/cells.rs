//! A reference column cut at its own values, so that a window of any length is compared exactly in bounded memory.
//!
//! The empirical distribution of the reference is constant between two neighbouring values, so of the window it is
//! enough to know how many observations lie on each value and how many between: with `k` values, `2k + 1` counts. The
//! Kolmogorov-Smirnov statistic from these counts is the same as from all observations.

use crate::signal::{Kind, Signal};

/// The values of a reference column and how often each is there.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    /// Ascending, different.
    pub(crate) values: Vec<f64>,
    /// Rows with each value.
    pub(crate) counts: Vec<u64>,
    /// Index into `values` by row.
    pub(crate) rows: Vec<u32>,
}

impl Cells {
    /// Of a column; a flag has both its values, whether or not both occur.
    pub(crate) fn of(signal: Signal, column: &[f64]) -> Self {
        let mut values = column.to_vec();
        if signal.kind() == Kind::Flag {
            values.extend([0.0, 1.0]);
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        let rows: Vec<u32> = column.iter().map(|value| values.partition_point(|other| other < value) as u32).collect();
        let mut counts = vec![0; values.len()];
        for &row in &rows {
            counts[row as usize] += 1;
        }
        Self { values, counts, rows }
    }

    /// Cells of a window: one for each value and one around each.
    pub(crate) fn len(&self) -> usize {
        2 * self.values.len() + 1
    }

    /// The cell of a value: odd on a reference value, even between.
    pub(crate) fn place(&self, value: f64) -> usize {
        let below = self.values.partition_point(|&other| other < value);
        2 * below + usize::from(self.values.get(below) == Some(&value))
    }

    /// The reference's own counts, in the cells of a window.
    pub(crate) fn reference(&self) -> Vec<u64> {
        let mut cells = vec![0; self.len()];
        for (index, &count) in self.counts.iter().enumerate() {
            cells[2 * index + 1] = count;
        }
        cells
    }

    /// Where bins of about equal reference mass end: cell indices, exclusive, ascending, the last being [`Cells::len`].
    /// There are at most `bins`, and as many as values allow.
    pub(crate) fn bins(&self, bins: usize) -> Vec<usize> {
        let total: u64 = self.counts.iter().sum();
        let mut ends = Vec::new();
        let mut mass = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            mass += count;
            if mass * bins as u64 >= total * (ends.len() as u64 + 1) && ends.len() + 1 < bins {
                // With the value and without what lies above it.
                ends.push(2 * index + 2);
            }
        }
        if ends.last() != Some(&self.len()) {
            ends.push(self.len());
        }
        ends
    }

    /// The mean of the reference.
    pub(crate) fn mean(&self) -> f64 {
        let sum: f64 = self.values.iter().zip(&self.counts).map(|(value, &count)| value * count as f64).sum();
        sum / self.rows.len().max(1) as f64
    }
}

/// Counts in bins that end at `ends`.
pub(crate) fn binned(cells: &[u64], ends: &[usize]) -> Vec<u64> {
    let mut start = 0;
    let bin = |&end: &usize| {
        let sum = cells[start..end].iter().sum();
        start = end;
        sum
    };
    ends.iter().map(bin).collect()
}
