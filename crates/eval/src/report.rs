//! From predictions to everything that is written down.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int8Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use wellformed_core::dataset::{Domain, Split, write_parquet};
use wellformed_core::files::write_json;
use wellformed_core::params::EvalParams;
use wellformed_metrics::probability;

use crate::calibration::Calibration;
use crate::measures::{Metrics, Part, Phenomena};
use crate::places::Places;
use crate::predict::{Predicted, Scored};
use crate::tables::{self, Table};

/// Everything that is said about a checkpoint.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// `calibration.json`.
    pub calibration: Calibration,
    /// `metrics.json`.
    pub metrics: Metrics,
    /// `predictions.parquet`, in the order of the predictions.
    pub scored: Vec<Scored<'a>>,
    /// The CSV files, by their names, behind the plots.
    pub plots: Vec<(&'static str, Table)>,
    /// `wrong.csv`.
    pub wrong: Table,
}

impl<'a> Report<'a> {
    /// Measures predictions. The temperature is fitted on *tune*; the same input gives the same report.
    ///
    /// # Errors
    ///
    /// When a logit is not finite, or there is no sentence of *validation*.
    pub fn new(predicted: &'a [Predicted], params: &EvalParams, seed: u64) -> Result<Self> {
        for one in predicted {
            ensure!(
                one.logits.iter().all(|logit| logit.is_finite()),
                "the model's logits for {} of {} are {:?}, but must be finite; training may have diverged: try a \
                 smaller train.lr",
                one.id,
                one.split.name(),
                one.logits
            );
        }
        let tune: Vec<&Predicted> = predicted.iter().filter(|one| one.split == Split::Tune).collect();
        let calibration = Calibration::fit(&tune)?;
        let score = |predicted: &'a Predicted| Scored {
            predicted,
            p_acceptable: probability(predicted.logits, calibration.temperature),
            p_uncalibrated: probability(predicted.logits, 1.0),
        };
        let scored: Vec<Scored<'a>> = predicted.iter().map(score).collect();
        let of = |split| -> Vec<&Scored<'a>> { scored.iter().filter(|one| one.predicted.split == split).collect() };
        let (tune, validation, phenomena) = (of(Split::Tune), of(Split::Validation), of(Split::Phenomena));
        let from = |domain| -> Vec<&Scored<'a>> {
            validation.iter().copied().filter(|one| one.predicted.domain == domain).collect()
        };
        let part = |sentences: &[&Scored<'a>]| Part::of(sentences, params, seed);
        let metrics = Metrics {
            validation: part(&validation)?.context("validation has no sentences; run the prepare stage again")?,
            in_domain: part(&from(Domain::In))?,
            out_of_domain: part(&from(Domain::Out))?,
            tune: part(&tune)?,
            phenomena: Phenomena::of(&phenomena)?,
        };
        let bins = params.calibration_bins;
        let plots = vec![
            ("confusion.csv", tables::confusion_rows(&validation)),
            ("roc.csv", tables::roc(&validation)?),
            ("precision_recall.csv", tables::precision_recall(&validation)?),
            ("reliability.csv", tables::reliability_rows(&validation, bins)?),
            ("confidence.csv", tables::confidence(&validation, bins)?),
            ("by_source.csv", tables::sources(&validation)?),
            ("by_phenomenon.csv", tables::phenomena(&phenomena)?),
        ];
        let wrong = tables::wrong(&validation);
        Ok(Self { calibration, metrics, scored, plots, wrong })
    }

    /// Writes everything; each file whole or not at all.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, places: &Places) -> Result<()> {
        let reports = &places.reports;
        for (name, table) in &self.plots {
            table.write(&reports.join(name))?;
        }
        self.wrong.write(&places.data.join("wrong.csv"))?;
        self.write_predictions(&reports.join("predictions.parquet"))?;
        write_json(&reports.join("calibration.json"), &self.calibration)?;
        write_json(&reports.join("metrics.json"), &self.metrics)
    }

    fn write_predictions(&self, path: &Path) -> Result<()> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("split", DataType::Utf8, false),
            Field::new("label", DataType::Int8, false),
            Field::new("p_acceptable", DataType::Float64, false),
            Field::new("logit_unacceptable", DataType::Float32, false),
            Field::new("logit_acceptable", DataType::Float32, false),
        ]));
        let scored = &self.scored;
        let text = |of: fn(&Predicted) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(scored.iter().map(|one| of(one.predicted))))
        };
        let logit = |class: usize| -> ArrayRef {
            Arc::new(Float32Array::from_iter_values(scored.iter().map(|one| one.predicted.logits[class])))
        };
        let columns: Vec<ArrayRef> = vec![
            text(|one| &one.id),
            text(|one| one.split.name()),
            Arc::new(Int8Array::from_iter_values(scored.iter().map(|one| one.predicted.label.index() as i8))),
            Arc::new(Float64Array::from_iter_values(scored.iter().map(|one| one.p_acceptable))),
            logit(0),
            logit(1),
        ];
        write_parquet(path, &RecordBatch::try_new(schema, columns)?)
    }

    /// The lines that a person reads at the end.
    pub fn summary(&self) -> Vec<String> {
        let Metrics { validation, in_domain, out_of_domain, tune, phenomena } = &self.metrics;
        let parts = [
            ("validation", Some(validation)),
            ("in_domain", in_domain.as_ref()),
            ("out_of_domain", out_of_domain.as_ref()),
            ("tune", tune.as_ref()),
        ];
        let line = |(name, part): (&str, Option<&Part>)| {
            let Part { mcc, mcc_low, mcc_high, accuracy, sentences, .. } = part?;
            Some(format!(
                "{name}: MCC {mcc:.3} ({mcc_low:.3} to {mcc_high:.3}), accuracy {accuracy:.3}, {sentences} sentences"
            ))
        };
        let mut lines: Vec<String> = parts.into_iter().filter_map(line).collect();
        if let Some(Phenomena { sentences, accuracy, mcc, by_phenomenon }) = phenomena {
            let kinds = by_phenomenon.len();
            lines.push(format!(
                "phenomena: MCC {mcc:.3}, accuracy {accuracy:.3}, {sentences} sentences of {kinds} phenomena"
            ));
        }
        let Calibration { temperature, fitted, tune_log_loss_before, tune_log_loss_after, .. } = &self.calibration;
        lines.push(match (fitted, tune_log_loss_before, tune_log_loss_after) {
            (true, Some(before), Some(after)) => {
                format!("temperature {temperature:.3}: log loss on tune from {before:.3} to {after:.3}")
            }
            _ => "temperature 1: tune does not determine one".to_owned(),
        });
        lines
    }
}
