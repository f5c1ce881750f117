//! What was told, and what is to be told next.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use wellformed_core::files::{read_json, write_json};
use wellformed_core::record::Timestamp;
use wellformed_drift::{Report, Verdict};

/// What was told last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The alarm that was told and is not over.
    #[serde(default)]
    pub(crate) alarm: Option<Alarm>,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alarm {
    /// How grave it is.
    pub(crate) verdict: Verdict,
    /// The codes of its reasons.
    pub(crate) codes: Vec<String>,
    /// When it was told.
    pub(crate) told: Timestamp,
}

/// Why something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is new, or graver, or has another reason besides.
    Raised,
    /// It is the same as long ago.
    Reminded,
    /// It is over.
    Over,
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Reminded => "reminded",
            Self::Over => "over",
        }
    }
}

/// What follows from a report.
#[derive(Debug, PartialEq)]
pub(crate) struct Next {
    /// What is told, if anything.
    pub(crate) event: Option<Event>,
    /// What is to be remembered once it was told.
    pub(crate) state: State,
}

impl State {
    /// Reads the file; where there is none, nothing was told.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if path.exists() { read_json(path) } else { Ok(Self::default()) }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    /// What follows from a report, of which verdicts from `least` on are an alarm.
    pub(crate) fn after(&self, report: &Report, least: Verdict, now: SystemTime, remind: Duration) -> Next {
        // Silence is no recovery.
        if report.verdict == Verdict::InsufficientData {
            return Next { event: None, state: self.clone() };
        }
        if report.verdict < least {
            return Next { event: self.alarm.as_ref().map(|_| Event::Over), state: Self::default() };
        }
        let alarming = report.reasons.iter().filter(|reason| reason.verdict >= least);
        let mut codes: Vec<String> = alarming.map(|reason| reason.code.clone()).collect();
        codes.sort();
        let event = match &self.alarm {
            None => Some(Event::Raised),
            Some(alarm) => {
                let age = now.duration_since(alarm.told.into()).unwrap_or_default();
                let more = codes.iter().any(|code| !alarm.codes.contains(code));
                if report.verdict > alarm.verdict || more {
                    Some(Event::Raised)
                } else {
                    (age >= remind).then_some(Event::Reminded)
                }
            }
        };
        // What was told stays told, so that a signal that comes and goes does not ring each time.
        let before = self.alarm.as_ref();
        let alarm = if let (Some(alarm), None) = (before, event) {
            alarm.clone()
        } else {
            let known = before.map_or(&[][..], |alarm| &alarm.codes);
            let gone: Vec<String> = known.iter().filter(|code| !codes.contains(code)).cloned().collect();
            codes.extend(gone);
            Alarm { verdict: report.verdict, codes, told: now.into() }
        };
        Next { event, state: Self { alarm: Some(alarm) } }
    }
}
