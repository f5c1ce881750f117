//! Figures out of a report, each by its place, so that one that is missing can be named.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::format::figure;
use crate::bench::machine;

/// A file of `reports/bench/`.
pub(super) struct Report {
    /// From the project's root.
    file: String,
    /// What writes it.
    command: &'static str,
    value: Value,
}

impl Report {
    /// Reads `reports/bench/NAME.json`, which `command` writes; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not JSON.
    pub(super) fn read(root: &Path, name: &str, command: &'static str) -> Result<Option<Self>> {
        let file = format!("reports/bench/{name}.json");
        let path = root.join(&file);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        let value = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
        Ok(Some(Self { file, command, value }))
    }

    /// The machine it was measured on; null in files from before that was recorded.
    pub(super) fn machine(&self) -> &Value {
        &self.value["machine"]
    }

    /// Whether that machine was busy with other things.
    pub(super) fn provisional(&self) -> bool {
        machine::busy(self.machine()).is_some()
    }

    /// All of it, as figures.
    pub(super) fn figures(&self) -> Figures<'_> {
        Figures { report: self, place: String::new(), value: &self.value }
    }
}

/// A part of a report.
#[derive(Clone)]
pub(super) struct Figures<'a> {
    report: &'a Report,
    place: String,
    value: &'a Value,
}

impl<'a> Figures<'a> {
    /// The part at a place such as `ours.first_answer_ms`; what is not there is found out when a figure of it is asked for.
    pub(super) fn at(&self, place: &str) -> Self {
        let mut value = self.value;
        for key in place.split('.') {
            value = &value[key];
        }
        Self { report: self.report, place: self.named(place), value }
    }

    /// Whether there is something at this place.
    pub(super) fn has(&self, place: &str) -> bool {
        !self.at(place).value.is_null()
    }

    /// # Errors
    ///
    /// When there is no number.
    pub(super) fn number(&self, place: &str) -> Result<f64> {
        let found = self.at(place);
        found.value.as_f64().with_context(|| found.missing("number"))
    }

    /// # Errors
    ///
    /// When there is no text.
    pub(super) fn text(&self, place: &str) -> Result<&'a str> {
        let found = self.at(place);
        found.value.as_str().with_context(|| found.missing("text"))
    }

    /// # Errors
    ///
    /// When there is no yes or no.
    pub(super) fn flag(&self, place: &str) -> Result<bool> {
        let found = self.at(place);
        found.value.as_bool().with_context(|| found.missing("yes or no"))
    }

    /// # Errors
    ///
    /// When there is no list.
    pub(super) fn list(&self, place: &str) -> Result<Vec<Self>> {
        let found = self.at(place);
        let entries = found.value.as_array().with_context(|| found.missing("list"))?;
        let part = |(index, value)| Self { report: self.report, place: format!("{}.{index}", found.place), value };
        Ok(entries.iter().enumerate().map(part).collect())
    }

    /// The median of a spread.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn median(&self, place: &str) -> Result<f64> {
        self.at(place).number("median")
    }

    /// A spread as `median (lowest to highest)`.
    ///
    /// # Errors
    ///
    /// When one of the three is missing.
    pub(super) fn spread(&self, place: &str) -> Result<String> {
        let spread = self.at(place);
        let [low, median, high] = [spread.number("low")?, spread.number("median")?, spread.number("high")?];
        Ok(format!("{} ({} to {})", figure(median), figure(low), figure(high)))
    }

    fn named(&self, place: &str) -> String {
        if self.place.is_empty() { place.to_owned() } else { format!("{}.{place}", self.place) }
    }

    fn missing(&self, what: &str) -> String {
        let Report { file, command, .. } = self.report;
        format!("{file}: no {what} `{}`, but {}; measure again: {command}", self.place, self.value)
    }
}
