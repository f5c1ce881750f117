//! Against Hugging Face's tokenizers and ONNX Runtime in Python.

use serde::Deserialize;
use wellformed_infer::Precision;

use crate::support::{fixtures, open};

/// `expected.json`, made by the script beside it.
#[derive(Deserialize)]
struct Expected {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    ids: Vec<u32>,
    fp32: [f32; 2],
    int8: [f32; 2],
}

fn expected() -> Vec<Sentence> {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    serde_json::from_str::<Expected>(&text).unwrap().sentences
}

#[test]
fn token_ids_are_those_of_hugging_face_tokenizers() {
    let predictor = open(Precision::Fp32, 1);
    for sentence in expected() {
        let tokens = predictor.tokenize(&sentence.text).unwrap();
        assert_eq!(tokens.ids, sentence.ids, "{:?}", sentence.text);
    }
}

#[test]
fn logits_are_those_of_onnx_runtime_on_the_same_files() {
    // The integers of int8 are exact; what differs is a rounding where two engines add in another order.
    for (precision, bound) in [(Precision::Fp32, 2e-5), (Precision::Int8, 2e-2)] {
        let predictor = open(precision, 1);
        let mut differences = Vec::new();
        for sentence in expected() {
            let logits = predictor.predict(&sentence.text).unwrap().logits;
            let wanted = if precision == Precision::Fp32 { sentence.fp32 } else { sentence.int8 };
            for (found, wanted) in logits.into_iter().zip(wanted) {
                assert!((found - wanted).abs() < bound, "{precision:?} {:?}: {found} is not {wanted}", sentence.text);
                differences.push((found - wanted).abs());
            }
        }
        differences.sort_by(f32::total_cmp);
        assert!(differences[differences.len() / 2] < 1e-5, "{precision:?}: half of the logits differ: {differences:?}");
    }
}
