//! The documents that say whether predictions drift, and the template of the index that holds them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name of the index.
pub const INDEX: &str = "wellformed-verdicts";

/// The name of the index template.
pub const TEMPLATE: &str = "wellformed-verdicts";

/// What was concluded of a signal, or of a window as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Nothing that chance does not explain.
    Ok,
    /// Too few records to say.
    InsufficientData,
    /// Worth a look.
    Warn,
    /// Somebody has to act.
    Alert,
}

/// A signal that is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which signal: `entropy`, `tokens`, `label` …
    pub signal: String,
    /// How bad: `warn` or `alert`.
    pub verdict: Conclusion,
    /// The test: `ks`, `chi2`, `psi` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// The test's statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<f64>,
    /// The probability of such a statistic without drift, corrected for the number of tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The reason in words.
    pub reason: String,
}

/// What the drift monitor concluded of a window of predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "verdict")]
pub struct Verdict {
    /// When the verdict was reached, RFC 3339 in UTC with milliseconds.
    pub timestamp: String,
    /// The conclusion.
    pub verdict: Conclusion,
    /// The first moment of the window.
    pub window_start: String,
    /// The first moment after the window.
    pub window_end: String,
    /// How many predictions the window holds.
    pub records: u64,
    /// How many signals were tested.
    pub signals: u64,
    /// The signals that are not as they should be; the others are not listed.
    pub findings: Vec<Finding>,
    /// The service whose predictions these are; absent if several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The digest of the bundle that the reference profile belongs to.
    pub bundle: String,
    /// Matthews correlation coefficient as estimated without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_mcc: Option<f64>,
    /// The lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_mcc_low: Option<f64>,
    /// The upper end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_mcc_high: Option<f64>,
}

impl Verdict {
    /// The id of the document. A window that is judged again replaces its verdict.
    pub fn id(&self) -> String {
        let service = self.service.as_deref().unwrap_or("all");
        format!("{}-{service}-{}-{}", self.bundle, self.window_start, self.window_end)
    }
}

/// The index template: strict, so that a field that nobody described is refused and not guessed.
pub fn index_template() -> Value {
    let keyword = json!({"ignore_above": 256, "type": "keyword"});
    let number = json!({"type": "double"});
    let date = json!({"format": "strict_date_optional_time", "type": "date"});
    json!({
        "index_patterns": ["wellformed-verdicts*"],
        // Above the records' template, should its pattern ever become wider.
        "priority": 300,
        "template": {
            "mappings": {
                "dynamic": "strict",
                "properties": {
                    "bundle": keyword,
                    "estimated_mcc": number,
                    "estimated_mcc_high": number,
                    "estimated_mcc_low": number,
                    "findings": {
                        "dynamic": "strict",
                        "properties": {
                            "p_value": number,
                            "reason": {"type": "text"},
                            "signal": keyword,
                            "statistic": number,
                            "test": keyword,
                            "verdict": keyword,
                        },
                    },
                    "records": {"type": "long"},
                    "service": keyword,
                    "signals": {"type": "long"},
                    "timestamp": date,
                    "type": keyword,
                    "verdict": keyword,
                    "window_end": date,
                    "window_start": date,
                },
            },
            // Some verdicts a day: one shard, and a copy where there is a second node.
            "settings": {"index": {"auto_expand_replicas": "0-1", "number_of_shards": 1}},
        },
    })
}
