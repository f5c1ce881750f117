//! A model that needs no bundle, and a recorder that keeps what it gets.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use wellformed_core::record::{Record, TextPolicy};
use wellformed_infer::{
    Error, Explanation, Label, Manifest, Perturbation, Precision, Prediction, Signals, Timing, Word,
};
use wellformed_lambda::event::Payload;
use wellformed_lambda::handler::{Failure, Handler, Model};
use wellformed_lambda::record::Recorder;

pub(crate) const DIGEST: &str = "fake0000000000000000000000000000000000000000000000000000000000000";

/// Calls a sentence acceptable that ends in a full stop; sees ten words at most; has never heard of a blorf; fails on
/// `kaboom`.
pub(crate) struct Fake;

impl Fake {
    fn verdict(sentence: &str) -> Result<Prediction, Error> {
        assert!(!sentence.contains("kaboom"), "failed on {sentence:?}");
        if sentence.trim().is_empty() {
            return Err(Error::Empty);
        }
        let words: Vec<&str> = sentence.split_whitespace().collect();
        let acceptable = sentence.ends_with('.');
        Ok(Prediction {
            label: if acceptable { Label::Acceptable } else { Label::Unacceptable },
            probabilities: if acceptable { [0.125, 0.875] } else { [0.75, 0.25] },
            logits: if acceptable { [-1.0, 1.5] } else { [0.5, -0.25] },
            tokens: words.len().min(10) + 2,
            truncated: words.len() > 10,
            unknown_tokens: words.iter().filter(|word| word.contains("blorf")).count(),
            signals: Some(Signals { pieces_per_word: 1.25, frequent_share: 0.5, surprise: 6.5 }),
            timing: Timing { tokenization: Duration::from_micros(15), inference: Duration::from_micros(2500) },
        })
    }
}

impl Model for Fake {
    fn digest(&self) -> &str {
        DIGEST
    }

    fn precision(&self) -> Precision {
        Precision::Int8
    }

    fn manifest(&self) -> Option<&Manifest> {
        None
    }

    fn predict(&self, sentences: &[String]) -> Vec<Result<Prediction, Error>> {
        sentences.iter().map(|sentence| Self::verdict(sentence)).collect()
    }

    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error> {
        let prediction = Self::verdict(sentence)?;
        let mut words = Vec::new();
        for (index, text) in sentence.split(' ').enumerate() {
            let start = words.last().map_or(0, |word: &Word| word.end + 1);
            let weight = if index % 2 == 0 { 0.5 } else { -0.25 };
            words.push(Word { text: text.to_owned(), start, end: start + text.len(), weight });
        }
        Ok(Explanation { prediction, perturbation, words })
    }
}

/// Keeps records, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Kept(Rc<RefCell<Vec<Value>>>);

impl Kept {
    pub(crate) fn take(&self) -> Vec<Value> {
        self.0.take()
    }
}

impl Recorder for Kept {
    fn record(&mut self, record: Record) {
        self.0.borrow_mut().push(serde_json::to_value(record).unwrap());
    }
}

/// A handler over the fake model, and what it records.
pub(crate) fn handler() -> (Handler<Fake, Kept>, Kept) {
    handler_with(TextPolicy::default())
}

/// A handler over the fake model with a policy about texts, and what it records.
pub(crate) fn handler_with(texts: TextPolicy) -> (Handler<Fake, Kept>, Kept) {
    let kept = Kept::default();
    (Handler::new(Fake, kept.clone(), "7".to_owned(), texts), kept)
}

/// The answer to an event, as Lambda gets it.
pub(crate) fn answer(event: &Value) -> Result<Value, Failure> {
    let answer = handler().0.handle(Payload(Ok(event.clone())), "request-1")?;
    Ok(serde_json::to_value(answer).unwrap())
}

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// An event of `fixtures/events`.
pub(crate) fn event(name: &str) -> Value {
    let path = fixtures().join("events").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
