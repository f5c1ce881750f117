//! `reports/export/metrics.json`, and what a person reads at the end.

use serde::Serialize;
use wellformed_core::bundle::Manifest;
use wellformed_metrics::rounded;

use crate::parity::Parity;

/// The numbers of the stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Largest difference of a logit on validation between the checkpoint and the fp32 file.
    pub max_abs_logit_diff: f64,
    /// Validation sentences that the fp32 file decides otherwise than the checkpoint.
    pub changed_decisions: usize,
    /// Matthews correlation coefficient of the fp32 file on validation.
    pub mcc: f64,
    /// Size of the fp32 file.
    pub bytes: u64,
    /// The same of the int8 file.
    pub int8: Int8,
}

/// The numbers of the int8 file; it is compared with the fp32 file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Int8 {
    /// Matthews correlation coefficient on validation.
    pub mcc: f64,
    /// What it loses against the fp32 file.
    pub mcc_drop: f64,
    /// Validation sentences that it decides otherwise than the fp32 file.
    pub changed_decisions: usize,
    /// Largest difference of a logit on validation from the fp32 file.
    pub max_abs_logit_diff: f64,
    /// Size of the int8 file.
    pub bytes: u64,
    /// Its size by that of the fp32 file.
    pub bytes_ratio: f64,
}

impl Metrics {
    /// From the comparison, and the sizes of both files.
    pub fn new(parity: &Parity, fp32_bytes: u64, int8_bytes: u64) -> Self {
        Self {
            max_abs_logit_diff: precise(parity.fp32.largest),
            changed_decisions: parity.fp32.changed.len(),
            mcc: rounded(parity.fp32_mcc),
            bytes: fp32_bytes,
            int8: Int8 {
                mcc: rounded(parity.int8_mcc),
                mcc_drop: rounded(parity.mcc_drop()),
                changed_decisions: parity.int8.changed.len(),
                max_abs_logit_diff: precise(parity.int8.largest),
                bytes: int8_bytes,
                bytes_ratio: rounded(int8_bytes as f64 / fp32_bytes as f64),
            },
        }
    }

    /// The lines that a person reads at the end.
    pub fn summary(&self, manifest: &Manifest) -> Vec<String> {
        let sentences = manifest.metrics.sentences;
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let int8 = &self.int8;
        vec![
            format!(
                "fp32: MCC {:.3}, {:.1} MB; {} decisions of {sentences} changed, largest difference of a logit {:.1e}",
                self.mcc,
                megabytes(self.bytes),
                self.changed_decisions,
                self.max_abs_logit_diff
            ),
            format!(
                "int8: MCC {:.3} ({:+.3}), {:.1} MB ({:.0} %); {} decisions of {sentences} changed, largest difference \
                 of a logit {:.1e}",
                int8.mcc,
                0.0 - int8.mcc_drop,
                megabytes(int8.bytes),
                100.0 * int8.bytes_ratio,
                int8.changed_decisions,
                int8.max_abs_logit_diff
            ),
            format!(
                "models/bundle: {} for sentences of at most {} tokens, served as {}",
                manifest.digest.get(..12).unwrap_or_default(),
                manifest.max_length,
                manifest.default_precision.name()
            ),
        ]
    }
}

/// Two digits that count: a difference of 32-bit rounding would disappear among six decimals.
fn precise(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}
