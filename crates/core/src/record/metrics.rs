//! `CloudWatch`'s Embedded Metric Format: a line of a log that says which of its own fields are metrics.
//!
//! Amazon `CloudWatch` user guide, "Specification: Embedded metric format". At most 100 metrics and 30 dimensions a line;
//! each metric with each value of its dimensions is billed as a metric of its own, so there are few of both.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Wellformed";

/// Of a prediction. Their sample count is the number of predictions.
const OF_A_PREDICTION: [(&str, &str); 5] = [
    ("p_acceptable", "None"),
    ("entropy", "None"),
    ("tokens", "Count"),
    ("inference_ms", "Milliseconds"),
    ("total_ms", "Milliseconds"),
];

/// Of a problem. Its sample count is the number of problems, its maximum says whether one was the program's fault.
const OF_A_PROBLEM: [(&str, &str); 1] = [("status", "None")];

/// All versions together, and each for itself. Texts and ids are no dimensions: each value would be billed.
const DIMENSIONS: [&[&str]; 2] = [&["service"], &["service", "version"]];

/// Which fields of the line are metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct EmbeddedMetrics {
    /// When, in milliseconds since the start of 1970 in UTC.
    pub timestamp: u64,
    /// The metrics.
    pub cloud_watch_metrics: Vec<MetricDirective>,
}

/// Metrics that share namespace and dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricDirective {
    /// `Wellformed`.
    pub namespace: Cow<'static, str>,
    /// Sets of fields whose values tell the series of a metric apart.
    pub dimensions: Vec<Vec<Cow<'static, str>>>,
    /// The metrics.
    pub metrics: Vec<MetricName>,
}

/// A metric: the field of the same name is its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricName {
    /// The field.
    pub name: Cow<'static, str>,
    /// `CloudWatch`'s name of the unit.
    pub unit: Cow<'static, str>,
}

impl EmbeddedMetrics {
    /// The metrics of a prediction.
    pub fn of_prediction(timestamp: Timestamp) -> Self {
        Self::of(timestamp, &OF_A_PREDICTION)
    }

    /// The metrics of a problem.
    pub fn of_problem(timestamp: Timestamp) -> Self {
        Self::of(timestamp, &OF_A_PROBLEM)
    }

    fn of(timestamp: Timestamp, metrics: &[(&'static str, &'static str)]) -> Self {
        let borrowed = Cow::Borrowed;
        let directive = MetricDirective {
            namespace: borrowed(NAMESPACE),
            dimensions: DIMENSIONS.map(|set| set.iter().copied().map(Cow::Borrowed).collect()).to_vec(),
            metrics: metrics
                .iter()
                .map(|(name, unit)| MetricName { name: borrowed(name), unit: borrowed(unit) })
                .collect(),
        };
        Self { timestamp: timestamp.unix_millis(), cloud_watch_metrics: vec![directive] }
    }
}
