//! The tables: CSV files behind DVC's plots, and the wrong predictions.

use std::path::Path;

use anyhow::Result;
use wellformed_core::files::write_whole;
use wellformed_metrics::{precision_recall_curve, reliability, roc_curve, rounded};

use crate::measures::{by_source, confusion, if_both_classes, labels, probabilities, uncalibrated};
use crate::predict::Scored;

/// A table with a header.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<&'static str>,
    /// As many cells each as the header has.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new<const N: usize>(header: [&'static str; N], rows: impl IntoIterator<Item = [String; N]>) -> Self {
        Self { header: header.to_vec(), rows: rows.into_iter().map(Vec::from).collect() }
    }

    /// Writes it as CSV, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, |writer| {
            let mut csv = csv::Writer::from_writer(writer);
            csv.write_record(&self.header)?;
            for row in &self.rows {
                csv.write_record(row)?;
            }
            Ok(csv.flush()?)
        })
    }
}

fn number(value: f64) -> String {
    rounded(value).to_string()
}

/// A cell that is empty where there is no number.
fn optional(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

/// A row for each sentence, because DVC's template counts rows.
pub(crate) fn confusion_rows(scored: &[&Scored<'_>]) -> Table {
    let row = |one: &&Scored<'_>| [one.predicted.label.name().to_owned(), one.predicted.decision().name().to_owned()];
    Table::new(["actual", "predicted"], scored.iter().map(row))
}

/// The ROC curve; no rows where only one class occurs. Nothing is above the first threshold, which is left empty.
pub(crate) fn roc(scored: &[&Scored<'_>]) -> Result<Table> {
    let curve = if_both_classes(roc_curve(&labels(scored), &probabilities(scored)))?.unwrap_or_default();
    let rows = curve.into_iter().map(|point| {
        let threshold = Some(point.threshold).filter(|threshold| threshold.is_finite());
        [number(point.false_positive_rate), number(point.true_positive_rate), optional(threshold)]
    });
    Ok(Table::new(["false_positive_rate", "true_positive_rate", "threshold"], rows))
}

/// Precision against recall; as [`roc`].
pub(crate) fn precision_recall(scored: &[&Scored<'_>]) -> Result<Table> {
    let curve = if_both_classes(precision_recall_curve(&labels(scored), &probabilities(scored)))?.unwrap_or_default();
    let rows = curve.into_iter().map(|point| {
        let threshold = Some(point.threshold).filter(|threshold| threshold.is_finite());
        [number(point.recall), number(point.precision), optional(threshold)]
    });
    Ok(Table::new(["recall", "precision", "threshold"], rows))
}

/// Accuracy against confidence, before and after the temperature; bins that are empty both times are left out.
pub(crate) fn reliability_rows(scored: &[&Scored<'_>], bins: usize) -> Result<Table> {
    let labels = labels(scored);
    let before = reliability(&labels, &uncalibrated(scored), bins)?;
    let after = reliability(&labels, &probabilities(scored), bins)?;
    let rows =
        before.iter().zip(&after).filter(|(before, after)| before.count + after.count > 0).map(|(before, after)| {
            let middle = f64::midpoint(before.lower, before.upper);
            [
                number(middle),
                number(middle),
                optional(before.accuracy),
                optional(after.accuracy),
                before.count.to_string(),
                after.count.to_string(),
            ]
        });
    let header = ["confidence", "ideal", "before", "after", "sentences_before", "sentences_after"];
    Ok(Table::new(header, rows))
}

/// How many predictions of each (calibrated) confidence are right, and how many wrong.
pub(crate) fn confidence(scored: &[&Scored<'_>], bins: usize) -> Result<Table> {
    let rows = reliability(&labels(scored), &probabilities(scored), bins)?.into_iter().map(|bin| {
        let right = bin.accuracy.map_or(0.0, |accuracy| (accuracy * bin.count as f64).round());
        let wrong = bin.count as f64 - right;
        [number(f64::midpoint(bin.lower, bin.upper)), number(right), number(wrong)]
    });
    Ok(Table::new(["confidence", "right", "wrong"], rows))
}

/// A row for each publication; the MCC is left empty where only one class occurs.
pub(crate) fn sources(scored: &[&Scored<'_>]) -> Result<Table> {
    let mut rows = Vec::new();
    for (source, sentences) in by_source(scored) {
        let confusion = confusion(&sentences)?;
        let acceptable = labels(&sentences);
        let both = acceptable.contains(&true) && acceptable.contains(&false);
        rows.push([
            source.to_owned(),
            sentences.len().to_string(),
            number(confusion.accuracy()),
            optional(both.then(|| confusion.mcc())),
        ]);
    }
    Ok(Table::new(["source", "sentences", "accuracy", "mcc"], rows))
}

/// A row for each phenomenon.
pub(crate) fn phenomena(scored: &[&Scored<'_>]) -> Result<Table> {
    let mut rows = Vec::new();
    for (phenomenon, sentences) in by_source(scored) {
        let accuracy = confusion(&sentences)?.accuracy();
        rows.push([phenomenon.to_owned(), sentences.len().to_string(), number(accuracy)]);
    }
    Ok(Table::new(["phenomenon", "sentences", "accuracy"], rows))
}

/// The wrong predictions, the most confident first. It quotes sentences.
pub(crate) fn wrong(scored: &[&Scored<'_>]) -> Table {
    let mut wrong: Vec<&&Scored<'_>> =
        scored.iter().filter(|one| one.predicted.decision() != one.predicted.label).collect();
    // By the logits, which do not saturate; sentences of equal confidence stay in their order.
    let ahead = |one: &Scored<'_>| (f64::from(one.predicted.logits[1]) - f64::from(one.predicted.logits[0])).abs();
    wrong.sort_by(|a, b| ahead(b).total_cmp(&ahead(a)));
    let row = |one: &&Scored<'_>| {
        let predicted = one.predicted;
        [
            predicted.id.clone(),
            predicted.source.clone(),
            predicted.domain.name().to_owned(),
            predicted.label.name().to_owned(),
            predicted.decision().name().to_owned(),
            number(one.p_acceptable),
            predicted.sentence.clone(),
        ]
    };
    let header = ["id", "source", "domain", "label", "predicted", "p_acceptable", "sentence"];
    Table::new(header, wrong.into_iter().map(row))
}
