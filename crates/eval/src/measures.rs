//! The numbers of `metrics.json`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use wellformed_core::params::EvalParams;
use wellformed_metrics::{
    Confusion, MetricError, Scores, average_precision, bootstrap, brier_score, calibration_error_by_chance,
    calibration_error_p_value, expected_calibration_error, log_loss, roc_auc, rounded, usual_calibration_error,
};

use crate::predict::Scored;

/// `metrics.json`. Parts without sentences are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// GLUE's validation set, or the corpus's own.
    pub validation: Part,
    /// Its sentences from the publications that the training set draws on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_domain: Option<Part>,
    /// Its sentences from other publications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_domain: Option<Part>,
    /// What everything was chosen on: flattered by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<Part>,
    /// The behavioural check list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phenomena: Option<Phenomena>,
}

/// What is said about a part of the data. The positive class is *acceptable*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// How many there are.
    pub sentences: usize,
    /// Matthews correlation coefficient; 0 when a class is never met or never predicted.
    pub mcc: f64,
    /// Lower end of its bootstrap interval, `eval.confidence` wide.
    pub mcc_low: f64,
    /// Upper end.
    pub mcc_high: f64,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Of *acceptable*.
    pub precision: f64,
    /// Of *acceptable*.
    pub recall: f64,
    /// Of *acceptable*.
    pub f1: f64,
    /// Precision, recall and F1 of *unacceptable*.
    pub unacceptable: Scores,
    /// The plain mean of both classes.
    #[serde(rename = "macro")]
    pub macro_average: Scores,
    /// Over the counts of both classes.
    #[serde(rename = "micro")]
    pub micro_average: Scores,
    /// Area under the ROC curve; left out where only one class occurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Average precision; left out where only one class occurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Log loss of the calibrated probabilities.
    pub log_loss: f64,
    /// At temperature 1.
    pub log_loss_uncalibrated: f64,
    /// Brier score of the calibrated probabilities.
    pub brier: f64,
    /// At temperature 1.
    pub brier_uncalibrated: f64,
    /// Expected calibration error of the calibrated probabilities, in `eval.calibration_bins` between ½ and 1.
    pub ece: f64,
    /// At temperature 1.
    pub ece_uncalibrated: f64,
    /// What chance alone would make of `ece` on so many sentences if the probabilities were exactly right.
    pub ece_by_chance: f64,
    /// How probable an `ece` at least as large is if the probabilities are exactly right.
    pub ece_p_value: f64,
    /// Expected calibration error of the calibrated probabilities in 15 bins between 0 and 1, as most published figures
    /// have it.
    pub ece_15_bins: f64,
}

/// What is said about the check list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phenomena {
    /// How many there are.
    pub sentences: usize,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Matthews correlation coefficient.
    pub mcc: f64,
    /// The accuracy on each phenomenon.
    pub by_phenomenon: BTreeMap<String, f64>,
}

/// The confusion matrix of some sentences.
pub(crate) fn confusion(scored: &[&Scored<'_>]) -> Result<Confusion> {
    let decisions: Vec<bool> = scored.iter().map(|one| one.is_predicted_acceptable()).collect();
    Ok(Confusion::of(&labels(scored), &decisions)?)
}

/// Whether each sentence is acceptable.
pub(crate) fn labels(scored: &[&Scored<'_>]) -> Vec<bool> {
    scored.iter().map(|one| one.is_acceptable()).collect()
}

/// Calibrated probabilities of *acceptable*.
pub(crate) fn probabilities(scored: &[&Scored<'_>]) -> Vec<f64> {
    scored.iter().map(|one| one.p_acceptable).collect()
}

/// Probabilities of *acceptable* at temperature 1.
pub(crate) fn uncalibrated(scored: &[&Scored<'_>]) -> Vec<f64> {
    scored.iter().map(|one| one.p_uncalibrated).collect()
}

/// `None` for what needs both classes and has one.
pub(crate) fn if_both_classes<T>(result: Result<T, MetricError>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MetricError::OneClass(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Groups sentences by their source, in the order of the names.
pub(crate) fn by_source<'s, 'p>(scored: &[&'s Scored<'p>]) -> BTreeMap<&'p str, Vec<&'s Scored<'p>>> {
    let mut groups: BTreeMap<&str, Vec<&Scored<'_>>> = BTreeMap::new();
    for &one in scored {
        groups.entry(one.predicted.source.as_str()).or_default().push(one);
    }
    groups
}

impl Part {
    /// Measures a part; `None` without sentences.
    ///
    /// # Errors
    ///
    /// When a probability is none, which only logits that are not finite can bring about.
    pub fn of(scored: &[&Scored<'_>], params: &EvalParams, seed: u64) -> Result<Option<Self>> {
        if scored.is_empty() {
            return Ok(None);
        }
        let (labels, p, raw) = (labels(scored), probabilities(scored), uncalibrated(scored));
        let confusion = confusion(scored)?;
        let interval = bootstrap(&confusion, Confusion::mcc, params.bootstrap_samples, params.confidence, seed)?;
        let acceptable = confusion.class(true);
        let bins = params.calibration_bins;
        Ok(Some(Self {
            sentences: scored.len(),
            mcc: rounded(confusion.mcc()),
            mcc_low: rounded(interval.low),
            mcc_high: rounded(interval.high),
            accuracy: rounded(confusion.accuracy()),
            precision: rounded(acceptable.precision),
            recall: rounded(acceptable.recall),
            f1: rounded(acceptable.f1),
            unacceptable: rounded_scores(confusion.class(false)),
            macro_average: rounded_scores(confusion.macro_average()),
            micro_average: rounded_scores(confusion.micro_average()),
            roc_auc: if_both_classes(roc_auc(&labels, &p))?.map(rounded),
            average_precision: if_both_classes(average_precision(&labels, &p))?.map(rounded),
            log_loss: rounded(log_loss(&labels, &p)?),
            log_loss_uncalibrated: rounded(log_loss(&labels, &raw)?),
            brier: rounded(brier_score(&labels, &p)?),
            brier_uncalibrated: rounded(brier_score(&labels, &raw)?),
            ece: rounded(expected_calibration_error(&labels, &p, bins)?),
            ece_uncalibrated: rounded(expected_calibration_error(&labels, &raw, bins)?),
            ece_by_chance: rounded(calibration_error_by_chance(&p, bins)?),
            ece_p_value: rounded(calibration_error_p_value(&labels, &p, bins, params.bootstrap_samples, seed)?),
            ece_15_bins: rounded(usual_calibration_error(&labels, &p)?),
        }))
    }
}

impl Phenomena {
    /// Measures the check list; `None` without sentences.
    pub(crate) fn of(scored: &[&Scored<'_>]) -> Result<Option<Self>> {
        if scored.is_empty() {
            return Ok(None);
        }
        let whole = confusion(scored)?;
        let mut by_phenomenon = BTreeMap::new();
        for (phenomenon, sentences) in by_source(scored) {
            by_phenomenon.insert(phenomenon.to_owned(), rounded(confusion(&sentences)?.accuracy()));
        }
        Ok(Some(Self {
            sentences: scored.len(),
            accuracy: rounded(whole.accuracy()),
            mcc: rounded(whole.mcc()),
            by_phenomenon,
        }))
    }
}

fn rounded_scores(scores: Scores) -> Scores {
    Scores { precision: rounded(scores.precision), recall: rounded(scores.recall), f1: rounded(scores.f1) }
}
