//! The reference: what the model saw and said on its validation set. `profile.json` in the bundle.
//!
//! Numbers only, no sentences: a column for each signal with a row for each sentence, so that windows of any length can
//! be resampled from it with the signals' dependence on each other. A bundle's profile is about 55 kB.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;

use crate::error::DriftError;
use crate::observation::Features;
use crate::signal::Signal;

/// The version of this form that the code writes and reads.
pub const FORMAT: u32 = 2;

/// Fewer rows than this say too little of what is usual.
pub const LEAST_SENTENCES: usize = 100;

/// What the profile is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The split of the prepared data that the sentences are of.
    pub split: String,
    /// The precision of the model that predicted.
    pub precision: Precision,
    /// Longest sequence in tokens.
    pub max_length: usize,
    /// A sentence is acceptable when its probability is above this.
    pub threshold: f64,
    /// SHA-256 of the bundle's files that decide: the model and the tokenizer.
    pub files: BTreeMap<String, String>,
}

/// The profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Profile {
    source: Source,
    labels: Option<Vec<Label>>,
    columns: BTreeMap<Signal, Vec<f64>>,
}

impl Profile {
    /// Of predictions on sentences of the reference, in any order. `labels` are what the sentences really are, in the
    /// same order, where that is known. A signal that some sentence lacks is left out.
    ///
    /// # Errors
    ///
    /// [`DriftError::Profile`] with fewer than [`LEAST_SENTENCES`], or labels of another number.
    pub fn build(source: Source, predictions: &[Features], labels: Option<&[Label]>) -> Result<Self, DriftError> {
        let column = |signal: Signal| {
            let values: Option<Vec<f64>> = predictions.iter().map(|one| signal.of(one)).collect();
            values.map(|values| (signal, values))
        };
        let columns = Signal::ALL.into_iter().filter_map(column).collect();
        Self { source, labels: labels.map(<[Label]>::to_vec), columns }.checked()
    }

    fn checked(self) -> Result<Self, DriftError> {
        let wrong = |field: &str, found: String, expected: String| {
            Err(DriftError::Profile { field: field.to_owned(), found, expected })
        };
        let sentences = self.sentences();
        if sentences < LEAST_SENTENCES {
            return wrong(
                "column tokens",
                format!("{sentences} rows long"),
                format!("{LEAST_SENTENCES} rows long at least"),
            );
        }
        for needed in [Signal::PAcceptable, Signal::Label] {
            if !self.columns.contains_key(&needed) {
                return wrong(&format!("column {needed}"), "missing".to_owned(), "there".to_owned());
            }
        }
        for (signal, column) in &self.columns {
            let field = format!("column {signal}");
            if column.len() != sentences {
                return wrong(&field, format!("{} rows long", column.len()), format!("{sentences} rows long"));
            }
            if let Some(value) = column.iter().find(|value| !value.is_finite()) {
                return wrong(&field, format!("a list with {value}"), "finite numbers".to_owned());
            }
        }
        if let Some(p) = self.columns[&Signal::PAcceptable].iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return wrong("column p_acceptable", format!("a list with {p}"), "probabilities from 0 to 1".to_owned());
        }
        if let Some(value) = self.columns[&Signal::Label].iter().find(|&&value| value != 0.0 && value != 1.0) {
            return wrong("column label", format!("a list with {value}"), "a list of 0 and 1".to_owned());
        }
        match &self.labels {
            Some(labels) if labels.len() != sentences => {
                wrong("labels", format!("{} rows long", labels.len()), format!("{sentences} rows long"))
            }
            _ => Ok(self),
        }
    }

    /// What it is of.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Rows.
    pub fn sentences(&self) -> usize {
        self.columns.get(&Signal::Tokens).map_or(0, Vec::len)
    }

    /// What the sentences really are, where that is known.
    pub fn labels(&self) -> Option<&[Label]> {
        self.labels.as_deref()
    }

    /// A signal's column.
    pub fn column(&self, signal: Signal) -> Option<&[f64]> {
        self.columns.get(&signal).map(Vec::as_slice)
    }
}

/// As it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    source: Source,
    sentences: usize,
    labels: Option<Vec<u8>>,
    columns: BTreeMap<Signal, Vec<f64>>,
}

impl From<Profile> for Stored {
    fn from(profile: Profile) -> Self {
        Self {
            format: FORMAT,
            sentences: profile.sentences(),
            source: profile.source,
            labels: profile.labels.map(|labels| labels.into_iter().map(|label| label.index() as u8).collect()),
            columns: profile.columns,
        }
    }
}

impl TryFrom<Stored> for Profile {
    type Error = DriftError;

    fn try_from(stored: Stored) -> Result<Self, DriftError> {
        let wrong = |field: &str, found: String, expected: String| DriftError::Profile {
            field: field.to_owned(),
            found,
            expected,
        };
        if stored.format != FORMAT {
            return Err(wrong("format", stored.format.to_string(), FORMAT.to_string()));
        }
        let label = |&index: &u8| {
            Label::from_index(usize::from(index))
                .ok_or_else(|| wrong("labels", format!("a list with {index}"), "a list of 0 and 1".to_owned()))
        };
        let labels = stored.labels.map(|labels| labels.iter().map(label).collect::<Result<Vec<_>, _>>()).transpose()?;
        let profile = Self { source: stored.source, labels, columns: stored.columns }.checked()?;
        if profile.sentences() != stored.sentences {
            return Err(wrong("sentences", stored.sentences.to_string(), profile.sentences().to_string()));
        }
        Ok(profile)
    }
}
