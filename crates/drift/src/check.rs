//! The verdict.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wellformed_core::label::Label;
use wellformed_metrics::Confusion;

use crate::cells::{Cells, binned};
use crate::error::DriftError;
use crate::null::{self, Null};
use crate::performance::{ExpectedConfusion, Performance, Resampling, estimated, measured};
use crate::profile::Profile;
use crate::settings::{Limits, Settings};
use crate::signal::{Kind, Signal};
use crate::statistics::{holm, jensen_shannon, stability_index, total_variation};
use crate::window::{Design, Histogram, Window, reference_histogram};

/// Bins of equal reference mass for the Jensen-Shannon divergence and the stability index.
const BINS: usize = 10;

/// As many sentences with one and the same label, or one and the same probability, are no accident: how improbable it
/// has to be.
const ACCIDENT: f64 = 1e-6;

/// As many different sentences with exactly one probability are no accident either.
const LEAST_FOR_CONSTANT: u64 = 20;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing.
    Ok,
    /// Wait: there are too few sentences to say, and nothing else is wrong.
    InsufficientData,
    /// Look at it.
    Warn,
    /// Act.
    Alert,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Ok, Self::InsufficientData, Self::Warn, Self::Alert];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InsufficientData => "insufficient_data",
            Self::Warn => "warn",
            Self::Alert => "alert",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.name().replace('_', " "))
    }
}

/// What a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Something is put together wrongly.
    Configuration,
    /// Errors, latency, cold starts.
    Service,
    /// Sentences or answers are others than they were.
    Drift,
    /// Answers are worse than they were.
    Performance,
}

/// Why the verdict is not *ok*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// How grave it is.
    pub verdict: Verdict,
    /// What it is about.
    pub area: Area,
    /// What was found, stable for programs: a signal's name, or for example `other_bundle`.
    pub code: String,
    /// What was found, with the figures, for people.
    pub text: String,
}

/// A signal of the window beside the same of the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalReport {
    /// Which.
    pub signal: Signal,
    /// What it is.
    pub title: &'static str,
    /// Sentences of the window that have it; 0 when the service does not record it.
    pub count: u64,
    /// Its mean in the reference.
    pub reference_mean: f64,
    /// Its mean in the window.
    pub mean: Option<f64>,
    /// `ks` or `chi_squared`.
    pub test: &'static str,
    /// The test's statistic.
    pub statistic: f64,
    /// What the statistic reaches in a share `drift.warn_level` of unchanged windows, for this signal alone.
    pub threshold: f64,
    /// The share of unchanged windows with such a statistic.
    pub p: f64,
    /// The same, corrected for the number of signals (Holm).
    pub p_adjusted: f64,
    /// The largest difference of the distribution functions, or of the shares of a flag: from 0 to 1.
    pub effect: f64,
    /// Jensen-Shannon divergence in bits, over ten bins of equal reference mass.
    pub jensen_shannon: f64,
    /// Population stability index, over the same bins.
    pub stability_index: f64,
    /// What it contributes.
    pub verdict: Verdict,
    /// The reference, drawn.
    pub reference_histogram: Histogram,
    /// The window, drawn, with the same bars.
    pub histogram: Histogram,
}

/// The service in the window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceReport {
    /// Share of records that are defects.
    pub defect_share: f64,
    /// Share of records that are refused requests.
    pub refused_share: f64,
    /// Problems by code.
    pub problems: BTreeMap<String, u64>,
    /// Median, 95th and 99th percentile of the latency in milliseconds, to a rank error of about 1 %.
    pub latency_ms: Option<[f64; 3]>,
    /// Share of requests that were the first of their process, of those that say so.
    pub cold_start_share: Option<f64>,
}

/// The quality in the window and in the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerformanceReport {
    /// Estimated from the window's probabilities.
    pub estimated: Performance,
    /// Estimated from the reference's probabilities.
    pub reference_estimated: Performance,
    /// Measured on the reference, where its labels are known: how far the estimate can be trusted.
    pub reference_measured: Option<Performance>,
    /// Measured in the window, where labels have come.
    pub measured: Option<Performance>,
}

/// Everything that is said of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The gravest of the reasons.
    pub verdict: Verdict,
    /// What is wrong, the gravest first.
    pub reasons: Vec<Reason>,
    /// The time of the earliest record, in milliseconds since 1970-01-01 UTC.
    pub from_ms: Option<i64>,
    /// The time of the latest record.
    pub to_ms: Option<i64>,
    /// Records of every kind.
    pub records: u64,
    /// Sentences judged.
    pub predictions: u64,
    /// Sentences that the signals are of: by this bundle, possible, and each once if `drift.once_per_sentence`.
    pub counted: u64,
    /// Sentences that had been there before, among those with a hash.
    pub repeated: u64,
    /// Sentences of the reference.
    pub reference_sentences: usize,
    /// Records by bundle.
    pub bundles: BTreeMap<String, u64>,
    /// Signal by signal. Empty when there is insufficient data.
    pub signals: Vec<SignalReport>,
    /// The quality. `None` when there is insufficient data.
    pub performance: Option<PerformanceReport>,
    /// The service.
    pub service: ServiceReport,
}

/// What the records should come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// The digest of the bundle that the profile belongs to. Without it, records of every bundle are compared.
    pub bundle: Option<String>,
}

/// A profile made ready to hold windows against. Thresholds for a window's length are made once and kept.
#[derive(Debug)]
pub struct Checker {
    profile: Profile,
    settings: Settings,
    expected: Expected,
    signals: Arc<Vec<(Signal, Cells)>>,
    nulls: HashMap<u64, Arc<Vec<Null>>>,
}

impl Checker {
    /// Of a profile.
    ///
    /// # Errors
    ///
    /// When the settings make no sense.
    pub fn new(profile: Profile, settings: Settings, expected: Expected) -> Result<Self, DriftError> {
        settings.check()?;
        let column = |signal: Signal| profile.column(signal).map(|column| (signal, Cells::of(signal, column)));
        let signals = Arc::new(Signal::ALL.into_iter().filter_map(column).collect());
        Ok(Self { profile, settings, expected, signals, nulls: HashMap::new() })
    }

    /// An empty window.
    ///
    /// # Errors
    ///
    /// Only if the sketches that it counts with cannot be made.
    pub fn window(&self) -> Result<Window, DriftError> {
        Window::new(Design {
            signals: Arc::clone(&self.signals),
            once_per_sentence: self.settings.drift.once_per_sentence,
            bundle: self.expected.bundle.as_deref().map(Arc::from),
            threshold: self.profile.source().threshold,
            max_length: self.profile.source().max_length,
        })
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The verdict on a window.
    ///
    /// # Errors
    ///
    /// [`DriftError::Window`] for a window of another checker.
    pub fn check(&mut self, window: &Window) -> Result<Report, DriftError> {
        self.check_with_labels(window, None)
    }

    /// The verdict on a window of which labels are known for some sentences: their confusion matrix.
    ///
    /// # Errors
    ///
    /// As [`Checker::check`].
    pub fn check_with_labels(&mut self, window: &Window, labels: Option<&Confusion>) -> Result<Report, DriftError> {
        for ((signal, cells), tally) in self.signals.iter().zip(&window.tallies) {
            if cells.len() != tally.cells.len() {
                return Err(DriftError::Window(*signal));
            }
        }
        let mut reasons = self.configuration(window);
        let service = self.service(window, &mut reasons)?;
        let enough = window.counted >= self.settings.drift.min_records;
        let (mut signals, mut performance) = (Vec::new(), None);
        if enough {
            signals = self.compare(window);
            reasons.extend(signals.iter().filter_map(|signal| self.reason(signal)));
            performance = Some(self.performance(window, labels, &mut reasons)?);
        } else {
            reasons.push(Reason {
                verdict: Verdict::InsufficientData,
                area: Area::Drift,
                code: "few_sentences".to_owned(),
                text: format!(
                    "{} different sentences of this bundle, but {} are needed to judge them (drift.min_records)",
                    window.counted, self.settings.drift.min_records
                ),
            });
        }
        reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.verdict), reason.area));
        Ok(Report {
            verdict: reasons.first().map_or(Verdict::Ok, |reason| reason.verdict),
            reasons,
            from_ms: window.from_ms,
            to_ms: window.to_ms,
            records: window.records,
            predictions: window.predictions,
            counted: window.counted,
            repeated: window.repeated,
            reference_sentences: self.profile.sentences(),
            bundles: window.bundles.iter().map(|(bundle, &count)| (bundle.to_string(), count)).collect(),
            signals,
            performance,
            service,
        })
    }

    /// What is put together wrongly.
    fn configuration(&self, window: &Window) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut say = |verdict, code: &str, text: String| {
            reasons.push(Reason { verdict, area: Area::Configuration, code: code.to_owned(), text });
        };
        if let Some(expected) = &self.expected.bundle
            && window.other_bundles > 0
        {
            let others: Vec<String> = window
                .bundles
                .iter()
                .filter(|(bundle, _)| bundle.as_ref() != expected)
                .map(|(bundle, count)| format!("{} ({count} records)", short(bundle)))
                .collect();
            // While a release replaces another, both answer.
            let most = 2 * window.other_bundles > window.predictions;
            say(
                if most { Verdict::Alert } else { Verdict::Warn },
                "other_bundle",
                format!(
                    "{} of {} predictions are by another bundle than {}: {}; check what is deployed, or give the \
                     bundle that is",
                    window.other_bundles,
                    window.predictions,
                    short(expected),
                    others.join(", ")
                ),
            );
        }
        if window.impossible > 0 {
            say(
                Verdict::Alert,
                "impossible_values",
                format!(
                    "{} predictions have values that this bundle cannot give (3 to {} tokens, probabilities and \
                     shares from 0 to 1): another tokenizer or model answers",
                    window.impossible,
                    self.profile.source().max_length
                ),
            );
        }
        if window.inconsistent > 0 {
            say(
                Verdict::Alert,
                "other_threshold",
                format!(
                    "{} decisions are not those of the threshold {}: the service decides by another",
                    window.inconsistent,
                    self.profile.source().threshold
                ),
            );
        }
        let precision = self.profile.source().precision.name();
        let others: u64 =
            window.precisions.iter().filter(|(name, _)| **name != precision).map(|(_, count)| count).sum();
        if others > 0 {
            say(
                Verdict::Warn,
                "other_precision",
                format!("{others} predictions are not by the {precision} model, which the profile is of"),
            );
        }
        let n = window.counted;
        if n >= LEAST_FOR_CONSTANT && window.least_p == window.most_p {
            say(
                Verdict::Alert,
                "constant_probability",
                format!("all {n} different sentences got the same probability {}: the model is stuck", window.least_p),
            );
        } else if n > 0 && (window.acceptable == 0 || window.acceptable == n) {
            let usual = self.profile.column(Signal::Label).map_or(0.5, mean);
            let usual = if window.acceptable == 0 { 1.0 - usual } else { usual };
            // As rare as this in the reference at most: the rule of three's upper bound.
            let usual = usual.min(1.0 - 3.0 / self.profile.sentences() as f64);
            if usual.powf(n as f64) < ACCIDENT {
                let label = if window.acceptable == 0 { Label::Unacceptable } else { Label::Acceptable };
                say(
                    Verdict::Alert,
                    "constant_label",
                    format!("all {n} sentences were called {}, but {:.0} % are usual", label.name(), 100.0 * usual),
                );
            }
        }
        reasons
    }

    /// The service's figures, and which are above their limits.
    fn service(&self, window: &Window, reasons: &mut Vec<Reason>) -> Result<ServiceReport, DriftError> {
        let limits = &self.settings.service;
        let share = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let latency = [window.latency_ms(0.5)?, window.latency_ms(0.95)?, window.latency_ms(0.99)?];
        let latency_ms = match latency {
            [Some(a), Some(b), Some(c)] => Some([a, b, c]),
            _ => None,
        };
        let report = ServiceReport {
            defect_share: share(window.defects, window.records),
            refused_share: share(window.refused, window.records),
            problems: window.problems.iter().map(|(code, &count)| (code.to_string(), count)).collect(),
            latency_ms,
            cold_start_share: (window.cold_known > 0).then(|| share(window.cold_starts, window.cold_known)),
        };
        // Of a handful a share says nothing. Shares of requests are of fewer than records, where a request brings many
        // sentences.
        let least = self.settings.drift.min_records;
        let mut limit = |code: &str, found: Option<f64>, of: u64, limits: Limits, what: &dyn Fn(f64) -> String| {
            let Some(found) = found.filter(|&found| of >= least && found > limits.warn) else { return };
            let (verdict, bound) =
                if found > limits.alert { (Verdict::Alert, limits.alert) } else { (Verdict::Warn, limits.warn) };
            let text = format!("{}, above the limit of {} (service.{code})", what(found), bound);
            reasons.push(Reason { verdict, area: Area::Service, code: code.to_owned(), text });
        };
        limit("defect_share", Some(report.defect_share), window.records, limits.defect_share, &|share| {
            format!(
                "{} of {} records are defects of the service, a share of {share:.4}",
                window.defects, window.records
            )
        });
        limit("refused_share", Some(report.refused_share), window.records, limits.refused_share, &|share| {
            format!("{} of {} records are refused requests, a share of {share:.3}", window.refused, window.records)
        });
        let timed = window.latency_us.n();
        limit(
            "latency_p95_ms",
            report.latency_ms.map(|latency| latency[1]),
            timed,
            limits.latency_p95_ms,
            &|latency| format!("the 95th percentile of the latency is {latency:.0} ms"),
        );
        limit("cold_start_share", report.cold_start_share, window.cold_known, limits.cold_start_share, &|share| {
            format!("{} of {} requests are cold starts, a share of {share:.3}", window.cold_starts, window.cold_known)
        });
        Ok(report)
    }

    /// Every signal of the window against the reference.
    fn compare(&mut self, window: &Window) -> Vec<SignalReport> {
        let nulls = self.nulls(window.counted);
        let drift = &self.settings.drift;
        let mut reports = Vec::new();
        for (((signal, cells), tally), null) in self.signals.iter().zip(&window.tallies).zip(nulls.iter()) {
            if tally.total == 0 {
                continue;
            }
            let reference = cells.reference();
            let (reference_in, window_in) = match signal.kind() {
                Kind::Number => (reference.clone(), tally.cells.clone()),
                // The two values of a flag; nothing lies between.
                Kind::Flag => (cells.counts.clone(), vec![tally.cells[1], tally.cells[3]]),
            };
            let (statistic, scaled) = null::statistic(*signal, &reference_in, &window_in);
            let threshold = match signal.kind() {
                Kind::Number => null.threshold(drift.warn_level) / null::scale(reference.iter().sum(), tally.total),
                Kind::Flag => null.threshold(drift.warn_level),
            };
            let ends = cells.bins(BINS);
            let bins = [binned(&reference, &ends), binned(&tally.cells, &ends)];
            reports.push(SignalReport {
                signal: *signal,
                title: signal.title(),
                count: tally.total,
                reference_mean: cells.mean(),
                mean: Some(tally.sum / tally.total as f64),
                test: match signal.kind() {
                    Kind::Number => "ks",
                    Kind::Flag => "chi_squared",
                },
                statistic,
                threshold,
                p: null.p_value(scaled),
                p_adjusted: 1.0,
                effect: match signal.kind() {
                    Kind::Number => statistic,
                    Kind::Flag => total_variation(&reference_in, &window_in),
                },
                jensen_shannon: jensen_shannon(&bins[0], &bins[1]),
                stability_index: stability_index(&bins[0], &bins[1]),
                verdict: Verdict::Ok,
                reference_histogram: reference_histogram(*signal, cells),
                histogram: tally.histogram.clone(),
            });
        }
        let adjusted = holm(&reports.iter().map(|report| report.p).collect::<Vec<_>>());
        for (report, p) in reports.iter_mut().zip(adjusted) {
            report.p_adjusted = p;
            if p <= drift.alert_level && report.effect >= drift.alert_effect {
                report.verdict = Verdict::Alert;
            } else if p <= drift.warn_level && report.effect >= drift.warn_effect {
                report.verdict = Verdict::Warn;
            }
        }
        reports
    }

    fn nulls(&mut self, length: u64) -> Arc<Vec<Null>> {
        let drift = &self.settings.drift;
        let make = || Arc::new(null::resample(&self.signals, length as usize, drift.resamples, drift.seed));
        Arc::clone(self.nulls.entry(length).or_insert_with(make))
    }

    fn reason(&self, report: &SignalReport) -> Option<Reason> {
        let levels = match report.verdict {
            Verdict::Alert => self.settings.drift.alert_level,
            Verdict::Warn => self.settings.drift.warn_level,
            _ => return None,
        };
        let means = match report.signal.kind() {
            Kind::Number => format!("mean {} instead of {}", plain(report.mean?), plain(report.reference_mean)),
            Kind::Flag => format!("{:.1} % instead of {:.1} %", 100.0 * report.mean?, 100.0 * report.reference_mean),
        };
        Some(Reason {
            verdict: report.verdict,
            area: Area::Drift,
            code: report.signal.name().to_owned(),
            text: format!(
                "{}: {means}; the distributions differ by {:.2} (from 0 to 1), as do {} unchanged windows of {} \
                 sentences (the level is {levels})",
                report.title,
                report.effect,
                share(report.p_adjusted),
                report.count,
            ),
        })
    }

    fn performance(
        &self,
        window: &Window,
        labels: Option<&Confusion>,
        reasons: &mut Vec<Reason>,
    ) -> Result<PerformanceReport, DriftError> {
        let quality = &self.settings.performance;
        let how =
            Resampling { samples: quality.resamples, confidence: quality.confidence, seed: self.settings.drift.seed };
        let measure = |confusion: &Confusion| measured(confusion, how.samples, how.confidence, how.seed);
        let mut reference = ExpectedConfusion::default();
        let mut truth = Confusion::default();
        let columns = self.profile.column(Signal::PAcceptable).zip(self.profile.column(Signal::Label));
        let rows: Vec<(f64, bool)> = columns
            .map(|(p, label)| p.iter().zip(label).map(|(&p, &label)| (p, label > 0.5)).collect())
            .unwrap_or_default();
        for &(p, acceptable) in &rows {
            reference.add(p, if acceptable { Label::Acceptable } else { Label::Unacceptable });
        }
        if let Some(labels) = self.profile.labels() {
            let labels: Vec<bool> = labels.iter().map(|&label| label == Label::Acceptable).collect();
            let decisions: Vec<bool> = rows.iter().map(|&(_, acceptable)| acceptable).collect();
            truth = Confusion::of(&labels, &decisions)?;
        }
        let report = PerformanceReport {
            estimated: estimated(&window.confusion, how)?,
            reference_estimated: estimated(&reference, how)?,
            reference_measured: (truth.total() > 0).then(|| measure(&truth)).transpose()?,
            measured: labels.filter(|labels| labels.total() > 0).map(measure).transpose()?,
        };
        let mut compare = |verdict, code: &str, found: &Performance, usual: &Performance, how: &str| {
            if found.mcc.high < usual.mcc.value - quality.mcc_drop {
                reasons.push(Reason {
                    verdict,
                    area: Area::Performance,
                    code: code.to_owned(),
                    text: format!(
                        "MCC is {how} at {:.3} ({:.3} to {:.3}), and was {:.3} on the reference: more than \
                         {} below (performance.mcc_drop)",
                        found.mcc.value, found.mcc.low, found.mcc.high, usual.mcc.value, quality.mcc_drop
                    ),
                });
            }
        };
        let usual = &report.reference_estimated;
        compare(Verdict::Warn, "estimated_mcc", &report.estimated, usual, "estimated without labels");
        if let (Some(found), Some(usual)) = (&report.measured, &report.reference_measured) {
            compare(Verdict::Alert, "measured_mcc", found, usual, "measured with labels");
        }
        Ok(report)
    }
}

fn mean(column: &[f64]) -> f64 {
    column.iter().sum::<f64>() / column.len().max(1) as f64
}

/// The first digits of a digest, as people quote them.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn plain(value: f64) -> String {
    if value.abs() < 0.1 { format!("{value:.4}") } else { format!("{value:.2}") }
}

/// A share of windows in words. Of so many replicates it is a bound, not a figure.
fn share(p: f64) -> String {
    if p < 0.001 { "fewer than 0.1 % of".to_owned() } else { format!("at most {:.1} % of", 100.0 * p) }
}
