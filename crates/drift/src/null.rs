//! How far a signal's statistic moves when nothing has changed, by resampling the profile.
//!
//! A window is compared with a reference that is itself a sample: both vary. A replicate therefore draws both anew from
//! the profile's rows, with replacement: a reference as long as the profile and a window as long as the one in
//! question (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 16.2, with the reference as the
//! estimate of the common distribution). To compare a resampled window with the profile itself, as is often done, would
//! take the profile for the whole population, and alarm too often as soon as the window is not much shorter.
//!
//! The tables of the Kolmogorov-Smirnov distribution assume that no two values are equal. Lengths, shares and flags are
//! full of equal values; resampling needs no such assumption.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cells::Cells;
use crate::signal::{Kind, Signal};
use crate::statistics::{chi_squared, kolmogorov_smirnov};

/// A window that is this many times as long as the profile is resampled at this length: what is left of the variation
/// is the profile's. Statistics are scaled by √(nR / (n + R)), so the rest of the way, at most 6 %, errs towards fewer
/// alarms.
const LONGEST: usize = 8;

/// Ascending replicates of one signal's statistic.
#[derive(Debug, Clone)]
pub struct Null {
    sorted: Vec<f64>,
}

impl Null {
    /// The share of replicates, the observation among them, that is at least as large: (1 + #{T* ≥ T}) / (1 + B)
    /// (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 4.2).
    pub fn p_value(&self, scaled: f64) -> f64 {
        // A replicate that is equal but for rounding is as large.
        let least = scaled - 1e-9 * scaled.abs();
        let below = self.sorted.partition_point(|&replicate| replicate < least);
        (1 + self.sorted.len() - below) as f64 / (1 + self.sorted.len()) as f64
    }

    /// The scaled statistic that a share `level` of replicates reaches or exceeds.
    pub fn threshold(&self, level: f64) -> f64 {
        let place = ((1.0 - level) * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(place.min(self.sorted.len().saturating_sub(1))).copied().unwrap_or(f64::INFINITY)
    }
}

/// The statistic of a signal and the same scaled to be comparable over lengths.
pub(crate) fn statistic(signal: Signal, reference: &[u64], window: &[u64]) -> (f64, f64) {
    match signal.kind() {
        Kind::Number => {
            let distance = kolmogorov_smirnov(reference, window);
            (distance, distance * scale(reference.iter().sum(), window.iter().sum()))
        }
        Kind::Flag => {
            let statistic = chi_squared(reference, window);
            (statistic, statistic)
        }
    }
}

/// √(nR / (n + R)), by which a Kolmogorov-Smirnov statistic is multiplied.
pub(crate) fn scale(reference: u64, window: u64) -> f64 {
    let (reference, window) = (reference as f64, window as f64);
    (reference * window / (reference + window)).sqrt()
}

/// Replicates of all signals for a window of `length` observations, from columns with a row for each sentence. Rows are
/// drawn whole, so that signals keep their dependence on each other.
///
/// Every replicate has a random stream of its own: the result depends on the seed, not on the number of threads.
pub(crate) fn resample(columns: &[(Signal, Cells)], length: usize, resamples: usize, seed: u64) -> Vec<Null> {
    let rows = columns.first().map_or(0, |(_, cells)| cells.rows.len());
    let length = length.clamp(1, LONGEST * rows.max(1));
    let table = Table::of(columns, rows);
    let replicate = |(reference, window): &mut (Vec<u64>, Vec<u64>), stream: u64| -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        table.draw(rows, &mut random, reference);
        table.draw(length, &mut random, window);
        let of = |(signal, range): &(Signal, Range<usize>)| {
            if range.is_empty() {
                return 0.0;
            }
            statistic(*signal, &reference[range.clone()], &window[range.clone()]).1
        };
        table.signals.iter().map(of).collect()
    };
    let empty = || (vec![0; table.cells], vec![0; table.cells]);
    let replicates: Vec<Vec<f64>> = (0..resamples as u64).into_par_iter().map_init(empty, replicate).collect();
    let null = |place: usize| {
        let mut sorted: Vec<f64> = replicates.iter().map(|replicate| replicate[place]).collect();
        sorted.sort_by(f64::total_cmp);
        Null { sorted }
    };
    (0..columns.len()).map(null).collect()
}

/// All columns beside each other, so that a row is drawn with one number: this is where the time goes.
struct Table {
    /// Where each signal's counts are among all counts; nowhere if the reference has but one value, whose statistic is
    /// always 0.
    signals: Vec<(Signal, Range<usize>)>,
    /// Counts of all signals together.
    cells: usize,
    rows: usize,
    /// Row by row, the places of the counts that it adds to.
    places: Vec<u32>,
    /// Places of a row.
    width: usize,
}

impl Table {
    fn of(columns: &[(Signal, Cells)], rows: usize) -> Self {
        let mut cells = 0;
        let mut signals = Vec::new();
        let mut varying = Vec::new();
        for (signal, column) in columns {
            let constant = column.counts.iter().filter(|&&count| count > 0).count() < 2;
            let size = if constant { 0 } else { column.values.len() };
            if !constant {
                varying.push((cells, column));
            }
            signals.push((*signal, cells..cells + size));
            cells += size;
        }
        let width = varying.len();
        let row = |row: usize| varying.iter().map(move |(offset, column)| *offset as u32 + column.rows[row]);
        Self { signals, cells, rows, places: (0..rows).flat_map(row).collect(), width }
    }

    /// Counts so many rows, drawn with replacement.
    fn draw(&self, count: usize, random: &mut ChaCha8Rng, counts: &mut [u64]) {
        counts.fill(0);
        if self.rows == 0 || self.width == 0 {
            return;
        }
        for _ in 0..count {
            let start = random.random_range(0..self.rows as u32) as usize * self.width;
            for &place in &self.places[start..start + self.width] {
                counts[place as usize] += 1;
            }
        }
    }
}
