//! The built-in model against ONNX Runtime on the `model.onnx` that it was made from.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wellformed_core::files::{read_json, sha256_file};
use wellformed_export::native;
use wellformed_without_onnx::{Classifier, Scores};

/// `fixtures/logits.json`, made by `fixtures/make_logits.py`.
#[derive(Deserialize)]
struct Expected {
    model_sha256: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    ids: Vec<u32>,
    logits: [f32; 2],
    probabilities: [f32; 2],
}

/// The two engines add up in different orders; their largest difference here is 1.5e-7.
const ROUNDING: f32 = 2e-6;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn model() -> PathBuf {
    here("tests/fixtures/model.onnx")
}

fn expected() -> Expected {
    read_json(&here("tests/fixtures/logits.json")).unwrap()
}

fn ids(expected: &Expected) -> Vec<Vec<u32>> {
    expected.sentences.iter().map(|sentence| sentence.ids.clone()).collect()
}

fn assert_close(scores: &Scores, sentence: &Sentence) {
    let pairs = scores.logits.iter().zip(&sentence.logits);
    for (found, expected) in pairs.chain(scores.probabilities.iter().zip(&sentence.probabilities)) {
        let difference = (found - expected).abs();
        assert!(difference < ROUNDING, "{found} instead of {expected} for {:?}", sentence.ids);
    }
}

#[test]
fn each_sentence_by_itself_scores_as_in_onnx_runtime() {
    let (classifier, expected) = (Classifier::new(), expected());
    for sentence in &expected.sentences {
        let scores = classifier.scores(std::slice::from_ref(&sentence.ids));
        assert_eq!(scores.len(), 1);
        assert_close(&scores[0], sentence);
    }
}

#[test]
fn a_padded_batch_scores_as_each_sentence_in_onnx_runtime() {
    let expected = expected();
    let scores = Classifier::new().scores(&ids(&expected));
    assert_eq!(scores.len(), expected.sentences.len());
    for (scores, sentence) in scores.iter().zip(&expected.sentences) {
        assert_close(scores, sentence);
    }
}

#[test]
fn the_expected_scores_tell_sentences_apart() {
    let expected = expected();
    for (at, one) in expected.sentences.iter().enumerate() {
        for other in &expected.sentences[..at] {
            let difference = (one.logits[1] - other.logits[1]).abs();
            assert!(difference > 100.0 * ROUNDING, "{:?} and {:?} score the same", one.ids, other.ids);
        }
    }
}

#[test]
fn no_sentences_have_no_scores() {
    assert_eq!(Classifier::new().scores(&[]), []);
}

#[test]
fn what_lies_here_is_what_export_writes_for_the_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("native");
    native::write(&model(), &fresh).unwrap();
    for file in [native::SOURCE, native::WEIGHTS, native::README] {
        assert!(
            fs::read(fresh.join(file)).unwrap() == fs::read(here("native").join(file)).unwrap(),
            "native/{file} is out of date: run the example `fixture`, then make_logits.py"
        );
    }
    assert_eq!(sha256_file(&model()).unwrap(), expected().model_sha256, "logits.json is of another model.onnx");
}
