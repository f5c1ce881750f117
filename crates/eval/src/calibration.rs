//! The temperature, and the rule of decision.

use anyhow::{Context, Result};
use serde::Serialize;
use wellformed_metrics::{fit_temperature, log_loss, probability, rounded};

use crate::predict::Predicted;

/// How logits become a probability and a decision: `calibration.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The probability of *acceptable* is the second of softmax(logits / temperature). Rounded, and used as it is here.
    pub temperature: f64,
    /// Whether the temperature was fitted; if not, *tune* did not determine one, and it is 1.
    pub fitted: bool,
    /// A sentence is acceptable when its probability is above this, which is when the logit of *acceptable* is the
    /// larger one. A temperature does not move this point.
    pub threshold: f64,
    /// Sentences of *tune* that the temperature was fitted on.
    pub tune_sentences: usize,
    /// The log loss on *tune* at temperature 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune_log_loss_before: Option<f64>,
    /// The log loss on *tune* at the fitted temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune_log_loss_after: Option<f64>,
}

impl Calibration {
    /// Fits the temperature to the sentences of *tune*.
    ///
    /// # Errors
    ///
    /// When a logit is not finite.
    pub fn fit(tune: &[&Predicted]) -> Result<Self> {
        let labels: Vec<bool> = tune.iter().map(|one| one.label.index() == 1).collect();
        let logits: Vec<[f32; 2]> = tune.iter().map(|one| one.logits).collect();
        if tune.is_empty() {
            return Ok(Self {
                temperature: 1.0,
                fitted: false,
                threshold: 0.5,
                tune_sentences: 0,
                tune_log_loss_before: None,
                tune_log_loss_after: None,
            });
        }
        let fitted = fit_temperature(&labels, &logits).context("cannot fit the temperature on tune")?;
        let temperature = fitted.map_or(1.0, rounded);
        let loss = |temperature| -> Result<Option<f64>> {
            let p: Vec<f64> = logits.iter().map(|&pair| probability(pair, temperature)).collect();
            Ok(Some(rounded(log_loss(&labels, &p)?)))
        };
        Ok(Self {
            temperature,
            fitted: fitted.is_some(),
            threshold: 0.5,
            tune_sentences: tune.len(),
            tune_log_loss_before: loss(1.0)?,
            tune_log_loss_after: loss(temperature)?,
        })
    }
}
