//! `monitor.yaml`: when the monitor speaks up.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Serialized, Yaml};
use serde::{Deserialize, Serialize};

use crate::error::DriftError;
use crate::signal::Signal;

/// All settings. What a file leaves out has its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// When signals have moved.
    pub drift: Drift,
    /// When the estimated or measured quality is too low.
    pub performance: Quality,
    /// What the service may cost.
    pub service: Service,
}

/// When signals have moved. A signal counts as moved when the move is improbable *and* large enough to matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Sentences that a window needs to be judged.
    pub min_records: u64,
    /// Share of unchanged windows that may end in a warning or an alert, all signals together.
    pub warn_level: f64,
    /// Share of unchanged windows that may end in an alert, all signals together.
    pub alert_level: f64,
    /// A move below this is no warning, however certain: the largest difference of the distribution functions, 0 to 1.
    pub warn_effect: f64,
    /// A move below this is no alert, however certain.
    pub alert_effect: f64,
    /// Replicates that thresholds are made of.
    pub resamples: usize,
    /// Where their random numbers start.
    pub seed: u64,
    /// A sentence that comes again counts once, where records carry its hash: a thousand equal sentences are one
    /// observation of what people write, not a thousand.
    pub once_per_sentence: bool,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            min_records: 100,
            warn_level: 0.05,
            alert_level: 0.01,
            warn_effect: 0.05,
            alert_effect: 0.1,
            resamples: 1999,
            seed: 1,
            once_per_sentence: true,
        }
    }
}

/// When the quality is too low.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// MCC may be this much below the reference's. More, with the whole interval, is a warning where it is estimated
    /// and an alert where it is measured with labels.
    pub mcc_drop: f64,
    /// Of the intervals.
    pub confidence: f64,
    /// Resamples of an interval.
    pub resamples: usize,
}

impl Default for Quality {
    fn default() -> Self {
        Self { mcc_drop: 0.1, confidence: 0.95, resamples: 2000 }
    }
}

/// Two limits of one figure: above the first it is a warning, above the second an alert.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Above this it is a warning.
    pub warn: f64,
    /// Above this it is an alert.
    pub alert: f64,
}

/// What the service may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Share of records that are defects of the service (status 5xx), from 0 to 1.
    pub defect_share: Limits,
    /// Share of records that are refused requests (status 4xx), from 0 to 1.
    pub refused_share: Limits,
    /// 95th percentile of the time that a request took, in milliseconds.
    pub latency_p95_ms: Limits,
    /// Share of requests that were the first of their process, from 0 to 1.
    pub cold_start_share: Limits,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            defect_share: Limits { warn: 0.001, alert: 0.01 },
            refused_share: Limits { warn: 0.05, alert: 0.25 },
            latency_p95_ms: Limits { warn: 250.0, alert: 1000.0 },
            cold_start_share: Limits { warn: 0.05, alert: 0.25 },
        }
    }
}

impl Settings {
    /// Reads a YAML file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, has a key that is not known, or a value that cannot be; the message names the key.
    pub fn read(path: &Path) -> Result<Self, DriftError> {
        // `exact`, because figment would otherwise look for the file in the folders above.
        Self::of(Figment::from(Serialized::defaults(Self::default())).merge(Yaml::file_exact(path)))
    }

    /// Reads YAML.
    ///
    /// # Errors
    ///
    /// As [`Settings::read`].
    pub fn parse(yaml: &str) -> Result<Self, DriftError> {
        Self::of(Figment::from(Serialized::defaults(Self::default())).merge(Yaml::string(yaml)))
    }

    fn of(figment: Figment) -> Result<Self, DriftError> {
        let settings: Self = figment.extract().map_err(|error| DriftError::Settings(Box::new(error)))?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether all values can be.
    ///
    /// # Errors
    ///
    /// [`DriftError::Setting`], with the first that cannot.
    pub fn check(&self) -> Result<(), DriftError> {
        let wrong =
            |key, found: String, expected: &str| Err(DriftError::Setting { key, found, expected: expected.to_owned() });
        let drift = &self.drift;
        let levels = [("drift.warn_level", drift.warn_level), ("drift.alert_level", drift.alert_level)];
        for (key, level) in levels {
            if !(level > 0.0 && level <= 0.5) {
                return wrong(key, level.to_string(), "above 0 and at most 0.5");
            }
        }
        if drift.alert_level > drift.warn_level {
            return wrong("drift.alert_level", drift.alert_level.to_string(), "at most drift.warn_level");
        }
        for (key, effect) in [("drift.warn_effect", drift.warn_effect), ("drift.alert_effect", drift.alert_effect)] {
            if !(0.0..1.0).contains(&effect) {
                return wrong(key, effect.to_string(), "from 0 to below 1");
            }
        }
        if drift.min_records < 30 {
            return wrong("drift.min_records", drift.min_records.to_string(), "30 at least");
        }
        // The least p-value is 1 / (resamples + 1), and Holm multiplies it by the number of signals.
        let least = (Signal::ALL.len() as f64 / drift.alert_level).ceil() as usize;
        if drift.resamples < least {
            let expected = format!("{least} at least, so that an alert at level {} can be told", drift.alert_level);
            return wrong("drift.resamples", drift.resamples.to_string(), &expected);
        }
        let quality = &self.performance;
        if !(quality.mcc_drop > 0.0 && quality.mcc_drop <= 1.0) {
            return wrong("performance.mcc_drop", quality.mcc_drop.to_string(), "above 0 and at most 1");
        }
        if !(quality.confidence > 0.5 && quality.confidence < 1.0) {
            return wrong("performance.confidence", quality.confidence.to_string(), "between 0.5 and 1");
        }
        if quality.resamples < 100 {
            return wrong("performance.resamples", quality.resamples.to_string(), "100 at least");
        }
        let service = &self.service;
        let limits = [
            ("service.defect_share", service.defect_share),
            ("service.refused_share", service.refused_share),
            ("service.latency_p95_ms", service.latency_p95_ms),
            ("service.cold_start_share", service.cold_start_share),
        ];
        for (key, Limits { warn, alert }) in limits {
            if !(warn >= 0.0 && alert >= warn) {
                return wrong(key, format!("{{warn: {warn}, alert: {alert}}}"), "0 ≤ warn ≤ alert");
            }
        }
        Ok(())
    }
}
