//! Observations, counted: a window of any length in a few megabytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use datasketches::common::SearchCriteria;
use datasketches::kll::KllSketch;
use serde::Serialize;
use wellformed_core::label::Label;

use crate::cells::Cells;
use crate::error::DriftError;
use crate::observation::{Features, Observation, Outcome};
use crate::performance::ExpectedConfusion;
use crate::seen::Seen;
use crate::signal::Signal;

/// Latencies are kept to a rank error of about 1 % (Karnin, Lang and Liberty 2016, Optimal Quantile Approximation in
/// Streams).
const LATENCY_SKETCH: u16 = 256;

/// Different bundles or error codes that are counted by name; what comes after is counted as `(other)`, so that a
/// damaged log cannot fill the memory.
const MOST_NAMES: usize = 64;

/// Steps of a window's timeline that are kept; when there are more, neighbours are joined.
const MOST_STEPS: usize = 400;

/// Bars of a histogram.
const BARS: usize = 24;

const HOUR_MS: i64 = 3_600_000;

/// A piece of the window's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Step {
    /// Sentences judged.
    pub predictions: u64,
    /// Those called acceptable.
    pub acceptable: u64,
    /// Sum of their probabilities of *acceptable*.
    pub p_sum: f64,
    /// Requests refused or failed.
    pub problems: u64,
}

/// Counts in bars of equal width. Values beyond the ends are in the outermost bars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first bar begins.
    pub low: f64,
    /// Where the last bar ends.
    pub high: f64,
    /// Values in each bar.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The range that shows both what the reference has and what it might become.
    fn of(signal: Signal, cells: &Cells) -> Self {
        let (first, last) = (cells.values.first().copied(), cells.values.last().copied());
        let (first, last) = (first.unwrap_or(0.0), last.unwrap_or(1.0));
        let (low, high) = match signal {
            Signal::PAcceptable | Signal::FrequentShare => (0.0, 1.0),
            Signal::UnknownShare | Signal::NonAsciiShare => (0.0, last.max(0.5)),
            Signal::Truncated | Signal::Label => (-0.5, 1.5),
            Signal::PiecesPerWord => (1.0, last.max(3.0)),
            Signal::Surprise => (0.0, (1.5 * last).max(first + 1.0)),
            Signal::Tokens | Signal::Characters => (0.0, (1.2 * last).max(1.0)),
        };
        let bars = if low < 0.0 { 2 } else { BARS };
        Self { low, high, counts: vec![0; bars] }
    }

    fn add(&mut self, value: f64, count: u64) {
        let share = (value - self.low) / (self.high - self.low);
        let bar = (share * self.counts.len() as f64).floor().clamp(0.0, (self.counts.len() - 1) as f64);
        self.counts[bar as usize] += count;
    }
}

/// A signal of the window, counted.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) cells: Vec<u64>,
    pub(crate) total: u64,
    pub(crate) sum: f64,
    pub(crate) histogram: Histogram,
}

/// A window: made by [`Checker::window`](crate::Checker::window).
#[derive(Debug, Clone)]
pub struct Window {
    signals: Arc<Vec<(Signal, Cells)>>,
    once_per_sentence: bool,
    bundle: Option<Arc<str>>,
    threshold: f64,
    max_length: usize,
    pub(crate) tallies: Vec<Tally>,
    pub(crate) records: u64,
    pub(crate) predictions: u64,
    pub(crate) counted: u64,
    pub(crate) repeated: u64,
    pub(crate) without_hash: u64,
    pub(crate) bundles: BTreeMap<Arc<str>, u64>,
    pub(crate) other_bundles: u64,
    pub(crate) precisions: BTreeMap<&'static str, u64>,
    pub(crate) problems: BTreeMap<Arc<str>, u64>,
    pub(crate) defects: u64,
    pub(crate) refused: u64,
    pub(crate) cold_starts: u64,
    pub(crate) cold_known: u64,
    pub(crate) impossible: u64,
    pub(crate) inconsistent: u64,
    pub(crate) acceptable: u64,
    pub(crate) least_p: f64,
    pub(crate) most_p: f64,
    pub(crate) confusion: ExpectedConfusion,
    pub(crate) latency_us: KllSketch<u64>,
    seen: Seen,
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
    step_ms: i64,
    steps: BTreeMap<i64, Step>,
}

/// What a window is made for.
pub(crate) struct Design {
    pub(crate) signals: Arc<Vec<(Signal, Cells)>>,
    pub(crate) once_per_sentence: bool,
    pub(crate) bundle: Option<Arc<str>>,
    pub(crate) threshold: f64,
    pub(crate) max_length: usize,
}

impl Window {
    pub(crate) fn new(design: Design) -> Result<Self, DriftError> {
        let tally = |(signal, cells): &(Signal, Cells)| Tally {
            cells: vec![0; cells.len()],
            total: 0,
            sum: 0.0,
            histogram: Histogram::of(*signal, cells),
        };
        Ok(Self {
            tallies: design.signals.iter().map(tally).collect(),
            signals: design.signals,
            once_per_sentence: design.once_per_sentence,
            bundle: design.bundle,
            threshold: design.threshold,
            max_length: design.max_length,
            records: 0,
            predictions: 0,
            counted: 0,
            repeated: 0,
            without_hash: 0,
            bundles: BTreeMap::new(),
            other_bundles: 0,
            precisions: BTreeMap::new(),
            problems: BTreeMap::new(),
            defects: 0,
            refused: 0,
            cold_starts: 0,
            cold_known: 0,
            impossible: 0,
            inconsistent: 0,
            acceptable: 0,
            least_p: f64::INFINITY,
            most_p: f64::NEG_INFINITY,
            confusion: ExpectedConfusion::default(),
            latency_us: KllSketch::new(LATENCY_SKETCH)?,
            seen: Seen::new()?,
            from_ms: None,
            to_ms: None,
            step_ms: HOUR_MS,
            steps: BTreeMap::new(),
        })
    }

    /// Counts an observation. They may come in any order.
    pub fn take(&mut self, observation: &Observation) {
        self.records += 1;
        let time = observation.time_ms;
        self.from_ms = Some(self.from_ms.map_or(time, |from| from.min(time)));
        self.to_ms = Some(self.to_ms.map_or(time, |to| to.max(time)));
        count(&mut self.bundles, &observation.bundle);
        match &observation.outcome {
            Outcome::Problem { code, defect } => {
                count(&mut self.problems, code);
                if *defect {
                    self.defects += 1;
                } else {
                    self.refused += 1;
                }
                self.step(time).problems += 1;
            }
            Outcome::Prediction(features) => {
                self.predictions += 1;
                let step = self.step(time);
                step.predictions += 1;
                step.acceptable += u64::from(features.label == Label::Acceptable);
                step.p_sum += features.p_acceptable;
                self.serve(features);
                // Another model has another profile: its sentences say nothing here.
                if self.bundle.as_ref().is_some_and(|bundle| *bundle != observation.bundle) {
                    self.other_bundles += 1;
                } else {
                    self.judge(features);
                }
            }
        }
    }

    /// What concerns the service, whatever model it has.
    fn serve(&mut self, features: &Features) {
        if let Some(cold) = features.cold_start {
            self.cold_known += 1;
            self.cold_starts += u64::from(cold);
        }
        if let Some(latency) = features.latency_ms.filter(|latency| latency.is_finite() && *latency >= 0.0) {
            self.latency_us.update((latency * 1e3).round() as u64);
        }
    }

    /// What concerns the sentence and the model's verdict.
    fn judge(&mut self, features: &Features) {
        if let Some(precision) = features.precision {
            *self.precisions.entry(precision.name()).or_default() += 1;
        }
        let possible = (0.0..=1.0).contains(&features.p_acceptable)
            && (3..=self.max_length as u64).contains(&u64::from(features.tokens))
            && features.unknown_tokens <= features.tokens
            && features.non_ascii_share.is_none_or(|share| (0.0..=1.0).contains(&share));
        if !possible {
            self.impossible += 1;
            return;
        }
        let acceptable = features.label == Label::Acceptable;
        self.inconsistent += u64::from((features.p_acceptable > self.threshold) != acceptable);
        match features.text_hash {
            Some(hash) => {
                let again = self.seen.again(hash);
                self.repeated += u64::from(again);
                if again && self.once_per_sentence {
                    return;
                }
            }
            None => self.without_hash += 1,
        }
        self.counted += 1;
        self.acceptable += u64::from(acceptable);
        self.least_p = self.least_p.min(features.p_acceptable);
        self.most_p = self.most_p.max(features.p_acceptable);
        self.confusion.add(features.p_acceptable, features.label);
        for ((signal, cells), tally) in self.signals.iter().zip(&mut self.tallies) {
            if let Some(value) = signal.of(features) {
                tally.cells[cells.place(value)] += 1;
                tally.total += 1;
                tally.sum += value;
                tally.histogram.add(value, 1);
            }
        }
    }

    fn step(&mut self, time: i64) -> &mut Step {
        while self.steps.len() >= MOST_STEPS {
            self.step_ms *= 2;
            let mut joined: BTreeMap<i64, Step> = BTreeMap::new();
            for (start, step) in std::mem::take(&mut self.steps) {
                let into = joined.entry(start.div_euclid(self.step_ms) * self.step_ms).or_default();
                into.predictions += step.predictions;
                into.acceptable += step.acceptable;
                into.p_sum += step.p_sum;
                into.problems += step.problems;
            }
            self.steps = joined;
        }
        self.steps.entry(time.div_euclid(self.step_ms) * self.step_ms).or_default()
    }

    /// Records taken, of every kind.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Different sentences among those with a hash: exact up to a million, within 2 % beyond.
    pub fn distinct(&self) -> u64 {
        self.seen.distinct()
    }

    /// The timeline: the start of each piece in milliseconds since 1970-01-01 UTC, and the pieces' length in
    /// milliseconds.
    pub fn timeline(&self) -> (&BTreeMap<i64, Step>, i64) {
        (&self.steps, self.step_ms)
    }

    /// A quantile of the time that requests took, in milliseconds; `None` when no record has one.
    pub(crate) fn latency_ms(&self, rank: f64) -> Result<Option<f64>, DriftError> {
        let found = self.latency_us.quantile(rank, SearchCriteria::Inclusive)?;
        Ok(found.map(|micros| micros as f64 / 1e3))
    }
}

/// The histogram of a reference column, with the same bars as a window's.
pub(crate) fn reference_histogram(signal: Signal, cells: &Cells) -> Histogram {
    let mut histogram = Histogram::of(signal, cells);
    for (&value, &count) in cells.values.iter().zip(&cells.counts) {
        histogram.add(value, count);
    }
    histogram
}

fn count(names: &mut BTreeMap<Arc<str>, u64>, name: &Arc<str>) {
    if let Some(count) = names.get_mut(name) {
        *count += 1;
    } else if names.len() < MOST_NAMES {
        names.insert(Arc::clone(name), 1);
    } else {
        *names.entry(Arc::from("(other)")).or_default() += 1;
    }
}
