//! The comparison, on made-up logits.

use wellformed_core::bundle::{Decision, Precision};
use wellformed_core::label::Label;
use wellformed_core::params::ExportParams;
use wellformed_export::parity::{Parity, Sentence};
use wellformed_export::report::Metrics;

const DECISION: Decision = Decision { temperature: 2.0, threshold: 0.5 };
const BOUNDS: ExportParams = ExportParams { precision: Precision::Int8, max_logit_diff: 1e-4, max_mcc_drop: 0.3 };

/// Four sentences that all models get right, with room around the decision.
fn sentences() -> Vec<Sentence> {
    let one = |index: usize| {
        let label = Label::from_index(index % 2).unwrap();
        let logits = if label == Label::Acceptable { [-1.0, 1.0] } else { [1.0, -1.0] };
        Sentence { id: format!("s-{index}"), label, checkpoint: logits, fp32: logits, int8: logits }
    };
    (0..4).map(one).collect()
}

#[test]
fn equal_models_are_at_no_distance() {
    let parity = Parity::of(&sentences(), &DECISION).unwrap();
    assert_eq!((parity.fp32.largest, parity.fp32.changed.len()), (0.0, 0));
    assert_eq!((parity.checkpoint_mcc, parity.fp32_mcc, parity.int8_mcc), (1.0, 1.0, 1.0));
    parity.check(&sentences(), &BOUNDS).unwrap();
}

#[test]
fn the_largest_difference_is_found_and_its_sentence_named() {
    let mut sentences = sentences();
    sentences[2].fp32[1] += 0.125;
    sentences[3].fp32[0] -= 0.0625;
    let parity = Parity::of(&sentences, &DECISION).unwrap();
    assert_eq!((parity.fp32.largest, parity.fp32.worst), (0.125, 2));
    let error = parity.check(&sentences, &BOUNDS).unwrap_err().to_string();
    assert!(error.contains("sentence s-2 ") && error.contains("a difference of 1.25e-1"), "{error}");
    let loose = ExportParams { max_logit_diff: 0.2, ..BOUNDS };
    parity.check(&sentences, &loose).unwrap();
}

#[test]
fn a_changed_decision_of_the_fp32_file_is_refused_however_small_the_difference() {
    let mut sentences = sentences();
    sentences[1].checkpoint = [0.5, 0.500_01];
    sentences[1].fp32 = [0.5, 0.499_99];
    let parity = Parity::of(&sentences, &DECISION).unwrap();
    let error = parity.check(&sentences, &BOUNDS).unwrap_err().to_string();
    assert!(error.starts_with("the fp32 file decides 1 of 4 validation sentences otherwise"), "{error}");
    assert!(error.contains("the first is s-1"), "{error}");
}

#[test]
fn what_int8_loses_is_bounded_and_its_changed_decisions_are_counted() {
    let mut sentences = sentences();
    sentences[1].int8 = [1.5, -1.0];
    let parity = Parity::of(&sentences, &DECISION).unwrap();
    // 2 of 2 unacceptable and 1 of 2 acceptable right: MCC = 2 / sqrt(1 * 2 * 2 * 3).
    assert!((parity.int8_mcc - 2.0 / 12.0_f64.sqrt()).abs() < 1e-12, "{}", parity.int8_mcc);
    assert_eq!((parity.int8.changed.clone(), parity.int8.largest), (vec![1], 2.5));
    let error = parity.check(&sentences, &BOUNDS).unwrap_err().to_string();
    assert!(error.contains("loses 0.4226 of MCC") && error.contains("export.max_mcc_drop allows 0.3"), "{error}");
    assert!(error.contains("farthest from the fp32 file at sentence s-1"), "{error}");
    parity.check(&sentences, &ExportParams { max_mcc_drop: 0.5, ..BOUNDS }).unwrap();

    let metrics = serde_json::to_value(Metrics::new(&parity, 1000, 255)).unwrap();
    let expected = serde_json::json!({
        "max_abs_logit_diff": 0.0, "changed_decisions": 0, "mcc": 1.0, "bytes": 1000,
        "int8": {
            "mcc": 0.57735, "mcc_drop": 0.42265, "changed_decisions": 1, "max_abs_logit_diff": 2.5, "bytes": 255,
            "bytes_ratio": 0.255,
        },
    });
    assert_eq!(metrics, expected);
}

#[test]
fn logits_that_are_no_numbers_are_refused_by_sentence_and_model() {
    let mut sentences = sentences();
    sentences[3].int8[0] = f32::NAN;
    let error = Parity::of(&sentences, &DECISION).unwrap_err().to_string();
    assert!(error.starts_with("the int8 file's logits for sentence s-3 are [NaN, "), "{error}");
}
