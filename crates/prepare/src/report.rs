//! What is said about the prepared data: metrics, plots, and a line for each split.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use wellformed_core::dataset::Split;
use wellformed_core::label::Label;

use crate::pairs::Counts;
use crate::split::Cleaning;
use crate::tokens::Prepared;

/// `reports/prepare/metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// A table of figures for each split.
    #[serde(flatten)]
    pub splits: BTreeMap<&'static str, SplitMetrics>,
    /// What was left out or found worth telling.
    #[serde(flatten)]
    pub cleaning: Cleaning,
    /// The minimal pairs that training begins with.
    pub pairs: Counts,
}

/// The figures of one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitMetrics {
    /// How many.
    pub sentences: usize,
    /// Share with the label 1.
    pub acceptable: f64,
    /// Average length in tokens, `[CLS]` and `[SEP]` included, after cutting.
    pub mean_tokens: f64,
    /// Longest, in the same measure.
    pub max_tokens: usize,
    /// Sentences that were cut to `prepare.max_length`.
    pub truncated: usize,
    /// Share of unknown tokens among all tokens but `[CLS]` and `[SEP]`.
    pub unknown_rate: f64,
}

/// The splits, prepared.
pub(crate) type Parts = BTreeMap<Split, Vec<Prepared>>;

impl Metrics {
    pub(crate) fn of(parts: &Parts, cleaning: Cleaning, pairs: Counts) -> Self {
        let splits = parts.iter().map(|(split, part)| (split.name(), SplitMetrics::of(part))).collect();
        Self { splits, cleaning, pairs }
    }

    /// A line for each split, and one for what was left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Split::ALL
            .iter()
            .filter_map(|split| self.splits.get_key_value(split.name()))
            .map(|(name, split)| {
                format!(
                    "{name}: {} sentences, {:.1} % acceptable, {:.1} tokens on average and at most {}, {} cut, {:.2} % \
                     of tokens unknown",
                    split.sentences,
                    100.0 * split.acceptable,
                    split.mean_tokens,
                    split.max_tokens,
                    split.truncated,
                    100.0 * split.unknown_rate
                )
            })
            .collect();
        let Cleaning { duplicates, leakage, extra, .. } = &self.cleaning;
        lines.push(format!(
            "left out of training: {} duplicates, {} that occur in validation, {} that occur in phenomena",
            duplicates.removed, leakage.removed_for_validation, leakage.removed_for_phenomena
        ));
        if let Some(extra) = extra {
            lines.push(format!(
                "added from data/extra: {} sentences; left out: {} duplicates, {} that occur in another split",
                extra.added, extra.duplicates, extra.removed_for_other_splits
            ));
        }
        let Counts { grammar, constructions, faulty_copies, removed_for_other_splits } = &self.pairs;
        if grammar + constructions + faulty_copies > 0 {
            lines.push(format!(
                "pairs: {grammar} of the grammar, {constructions} of constructions and {faulty_copies} of a training \
                 sentence and a faulty copy; left out: {removed_for_other_splits} that occur in another split"
            ));
        }
        lines
    }
}

impl SplitMetrics {
    fn of(part: &[Prepared]) -> Self {
        let lengths = || part.iter().map(|one| one.example.input_ids.len());
        let tokens: usize = lengths().sum();
        let unknown: usize = part.iter().map(|one| one.unknown).sum();
        Self {
            sentences: part.len(),
            acceptable: acceptable(part.iter()),
            mean_tokens: share(tokens, part.len()),
            max_tokens: lengths().max().unwrap_or_default(),
            truncated: part.iter().filter(|one| one.truncated).count(),
            unknown_rate: share(unknown, tokens - 2 * part.len()),
        }
    }
}

/// `lengths.csv`: how many sentences of each length. Lengths in between that do not occur are there with 0, so that a
/// line through the points is right.
pub(crate) fn lengths(parts: &Parts) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for (split, part) in parts {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for one in part {
            *counts.entry(one.example.input_ids.len()).or_default() += 1;
        }
        let least = counts.keys().next().copied().unwrap_or_default();
        let most = counts.keys().next_back().copied().unwrap_or_default();
        rows.extend((least..=most).map(|tokens| (split.name(), tokens, counts.get(&tokens).copied().unwrap_or(0))));
    }
    table(["split", "tokens", "sentences"], &rows)
}

/// `labels.csv`: how many sentences of each label.
pub(crate) fn labels(parts: &Parts) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for (split, part) in parts {
        for label in Label::ALL {
            let count = part.iter().filter(|one| one.example.label == label).count();
            rows.push((split.name(), label.name(), count));
        }
    }
    table(["split", "label", "sentences"], &rows)
}

/// `sources.csv`: how many sentences of each source, and what share of them is acceptable.
pub(crate) fn sources(parts: &Parts) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for (split, part) in parts {
        let mut sources: BTreeMap<&str, Vec<&Prepared>> = BTreeMap::new();
        for one in part {
            sources.entry(&one.example.source).or_default().push(one);
        }
        rows.extend(
            sources.into_iter().map(|(source, part)| {
                (source, split.name(), part.len(), format!("{:.4}", acceptable(part.into_iter())))
            }),
        );
    }
    table(["source", "split", "sentences", "acceptable_share"], &rows)
}

fn table<const N: usize>(names: [&str; N], rows: &[impl Serialize]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(names)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

fn acceptable<'a>(part: impl ExactSizeIterator<Item = &'a Prepared>) -> f64 {
    let all = part.len();
    share(part.filter(|one| one.example.label == Label::Acceptable).count(), all)
}

fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
