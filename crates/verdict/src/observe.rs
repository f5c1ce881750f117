//! From records to what the drift check knows of a prediction.

use std::sync::Arc;

use wellformed_core::record::{Level, Prediction, Record};
use wellformed_drift::{Features, Observation, Outcome};
use wellformed_signals::Signals;

/// The observation in a record; `None` for a start, of which there is nothing to judge.
///
/// Texts of bundles and codes are few and come again and again; `names` keeps one of each.
pub fn observation(record: &Record, names: &mut Names) -> Option<Observation> {
    let time_ms = i64::try_from(record.timestamp().unix_millis()).unwrap_or(i64::MAX);
    let (bundle, outcome) = match record {
        Record::Start(_) => return None,
        Record::Problem(problem) => {
            let code = names.of(&problem.code);
            (&problem.bundle, Outcome::Problem { code, defect: problem.level == Level::Error })
        }
        Record::Prediction(one) => {
            let features = Features {
                tokens: one.tokens,
                unknown_tokens: one.unknown_tokens,
                truncated: one.truncated,
                characters: Some(one.characters),
                non_ascii_share: Some(one.non_ascii_share),
                signals: signals(one),
                p_acceptable: one.p_acceptable,
                label: one.label,
                precision: Some(one.precision),
                text_hash: one.text_hash.as_deref().and_then(|hash| u64::from_str_radix(hash, 16).ok()),
                // Of a request, not of each of its sentences.
                latency_ms: (one.index == 0).then_some(one.total_ms),
                cold_start: (one.index == 0).then_some(one.cold_start),
            };
            (&one.bundle, Outcome::Prediction(features))
        }
    };
    Some(Observation { time_ms, bundle: names.of(bundle), outcome })
}

/// What the sentence looked like, where the bundle that judged it could say so.
fn signals(one: &Prediction) -> Option<Signals> {
    Some(Signals {
        pieces_per_word: one.pieces_per_word?,
        frequent_share: one.frequent_share?,
        surprise: one.surprise?,
    })
}

/// Texts of which there are few, each kept once.
#[derive(Debug, Default)]
pub struct Names(Vec<Arc<str>>);

impl Names {
    fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.0.iter().find(|name| name.as_ref() == text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(text);
        // A damaged log may have as many as it likes.
        if self.0.len() < 64 {
            self.0.push(Arc::clone(&name));
        }
        name
    }
}
