//! Predictions without a model.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_drift::profile::Source;
use wellformed_drift::{Checker, Features, Observation, Outcome, Profile, Window};
use wellformed_signals::Signals;

pub(crate) const BUNDLE: &str = "aaaaaaaaaaaaaaaaaaaa";

pub(crate) fn prediction(p: f64, tokens: u32) -> Features {
    Features {
        tokens,
        unknown_tokens: 0,
        truncated: false,
        characters: Some(5 * tokens),
        non_ascii_share: Some(0.0),
        signals: Some(Signals { pieces_per_word: 1.1, frequent_share: 0.5, surprise: 4.4 }),
        p_acceptable: p,
        label: if p > 0.5 { Label::Acceptable } else { Label::Unacceptable },
        precision: Some(Precision::Int8),
        text_hash: None,
        latency_ms: Some(3.0),
        cold_start: Some(false),
    }
}

pub(crate) fn profile(features: &[Features], labels: Option<&[Label]>) -> Profile {
    profile_with(features, labels, 0.5)
}

pub(crate) fn profile_with(features: &[Features], labels: Option<&[Label]>, threshold: f64) -> Profile {
    let source = Source {
        split: "validation".to_owned(),
        precision: Precision::Int8,
        max_length: 128,
        threshold,
        files: BTreeMap::from([("model.int8.onnx".to_owned(), "00".repeat(32))]),
    };
    Profile::build(source, features, labels).unwrap()
}

pub(crate) fn observation(features: Features) -> Observation {
    Observation { time_ms: 1_790_000_000_000, bundle: Arc::from(BUNDLE), outcome: Outcome::Prediction(features) }
}

pub(crate) fn window_of(checker: &Checker, features: &[Features]) -> Window {
    let mut window = checker.window().unwrap();
    for one in features {
        window.take(&observation(one.clone()));
    }
    window
}
