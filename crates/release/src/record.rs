//! The record of a release: what was released, how far it came, and everything that happened, in order.
//!
//! It is written whole before and after every step, so that a release which was killed can be continued or undone by
//! whoever reads it next, on any machine that reaches the store.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::{Route, State};

/// The version of the record's form that this code writes and reads.
pub const FORMAT: u32 = 1;

/// A release, or a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// Counted from 1, without gaps.
    pub number: u32,
    /// A release or a rollback.
    pub route: Route,
    /// How far it came.
    pub state: State,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// The function.
    pub function: String,
    /// The alias that names the version in service.
    pub alias: String,
    /// What is released; of a rollback, what was released as the version that is gone back to, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Why it was released although the gate said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    /// What the gate said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// The image, as it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
    /// What was found in the image, and how it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Value>,
    /// The image in the registry: `repository@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The version of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the alias stood before this release touched it. The inner `None`: there was no alias.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "explicit")]
    pub before: Option<Option<String>>,
    /// When the alias was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_at: Option<String>,
    /// How many probes through the alias each version answered, while it was split.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, u32>,
    /// What was wrong, if it failed or was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
}

/// A model that is released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The git commit.
    pub commit: String,
    /// The digest of the bundle's manifest.
    pub bundle: String,
    /// The base model, as params.yaml names it.
    pub base: String,
    /// Sentences of validation.
    pub sentences: usize,
    /// Matthews correlation coefficient on validation.
    pub mcc: f64,
    /// Its bootstrap interval.
    pub mcc_interval: [f64; 2],
    /// That of the 8-bit model.
    pub int8_mcc: f64,
    /// Share of right decisions on validation.
    pub accuracy: f64,
}

impl Model {
    /// The first characters of the commit, as git shows them.
    pub fn short_commit(&self) -> &str {
        short(&self.commit)
    }

    /// The first characters of the bundle's digest.
    pub fn short_bundle(&self) -> &str {
        short(&self.bundle)
    }
}

/// The first seven characters.
pub fn short(digest: &str) -> &str {
    digest.get(..7).unwrap_or(digest)
}

/// What the gate said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Whether the candidate is better than what is in service, or nothing is.
    pub passes: bool,
    /// In words.
    pub verdict: String,
    /// The commit of what is in service, when there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// The paired test, where it could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PairedTest>,
}

/// The paired test on the sentences of validation that both models judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedTest {
    /// How many sentences.
    pub sentences: usize,
    /// MCC of what is in service.
    pub mcc_before: f64,
    /// MCC of the candidate.
    pub mcc_after: f64,
    /// Bootstrap interval of the difference.
    pub interval: [f64; 2],
    /// Two-sided p-value of no difference in MCC.
    pub p: f64,
    /// Sentences that only the candidate gets right.
    pub improved: u64,
    /// Sentences that only the one in service gets right.
    pub worsened: u64,
    /// `McNemar`'s mid-p of no difference in accuracy.
    pub mcnemar_p: f64,
}

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFacts {
    /// Its name here.
    pub reference: String,
    /// Its digest here.
    pub digest: String,
    /// Bytes of its compressed layers.
    pub bytes: u64,
    /// `linux/amd64` or `linux/arm64`.
    pub platform: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The state that the release was in afterwards.
    pub state: State,
    /// In words.
    pub text: String,
}

impl Record {
    /// A new one.
    pub fn new(number: u32, route: Route, function: &str, alias: &str) -> Self {
        Self {
            format: FORMAT,
            number,
            route,
            state: route.start(),
            started: now(),
            finished: None,
            function: function.to_owned(),
            alias: alias.to_owned(),
            model: None,
            forced: None,
            judgement: None,
            image: None,
            verification: None,
            remote: None,
            version: None,
            before: None,
            split_at: None,
            answers: BTreeMap::new(),
            problem: None,
            events: Vec::new(),
        }
    }

    /// Goes to a state, with what is to be said about it.
    pub fn enter(&mut self, state: State, text: impl Into<String>) {
        self.state = state;
        self.note(text);
        if state.is_over() {
            self.finished = Some(now());
        }
    }

    /// Writes something down without a change of state.
    pub fn note(&mut self, text: impl Into<String>) {
        self.events.push(Event { time: now(), state: self.state, text: text.into() });
    }

    /// `release 7` or `rollback 8`.
    pub fn title(&self) -> String {
        let what = match self.route {
            Route::Release => "release",
            Route::Rollback => "rollback",
        };
        format!("{what} {}", self.number)
    }
}

/// The time, RFC 3339 in UTC, to the second.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// `null` and a missing field are not the same here: "there was no alias" and "not known yet".
mod explicit {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, clippy::option_option, reason = "serde's signature, and the two are different")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Option<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    #[expect(clippy::option_option, reason = "the two are different")]
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
        Option::<String>::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::Record;
    use crate::state::{Route, State};

    #[test]
    fn a_record_is_read_back_as_it_was_written_with_and_without_an_alias_before() {
        for before in [None, Some(None), Some(Some("3".to_owned()))] {
            let mut record = Record::new(1, Route::Release, "wellformed", "live");
            record.before.clone_from(&before);
            record.enter(State::Splitting, "something");
            let text = serde_json::to_string(&record).expect("JSON");
            assert_eq!(serde_json::from_str::<Record>(&text).expect("a record"), record, "{text}");
        }
    }
}
