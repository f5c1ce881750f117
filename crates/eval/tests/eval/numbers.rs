//! `metrics.json` and `calibration.json`.

use serde_json::Value;
use wellformed_core::dataset::{Domain, Split};
use wellformed_core::label::Label;
use wellformed_eval::report::Report;

use crate::support::{fixture, params, predicted, predictions};

/// Compares every number that is expected; figures are rounded to six decimals.
fn compare(path: &str, found: &Value, expected: &Value) -> usize {
    match expected {
        Value::Object(map) => {
            map.iter().map(|(key, expected)| compare(&format!("{path}.{key}"), &found[key], expected)).sum()
        }
        expected => {
            let number = found.as_f64().unwrap_or_else(|| panic!("{path} is missing"));
            let expected = expected.as_f64().unwrap();
            assert!((number - expected).abs() <= 1.01e-6, "{path} is {number}, scikit-learn says {expected}");
            1
        }
    }
}

/// All numbers below a value.
fn count(value: &Value) -> usize {
    value.as_object().map_or(1, |map| map.values().map(count).sum())
}

#[test]
fn every_number_agrees_with_scikit_learn() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let expected = &fixture()["expected"];
    let metrics = serde_json::to_value(&report.metrics).unwrap();
    let compared = compare("metrics", &metrics, &expected["metrics"]);
    // All but the ends of the four intervals and the four p-values, which are drawn.
    assert_eq!(compared + 12, count(&metrics), "a number has no counterpart in the fixture");
    compare("calibration", &serde_json::to_value(&report.calibration).unwrap(), &expected["calibration"]);
    assert!(report.calibration.fitted && report.calibration.threshold == 0.5);
    let p_values = &expected["ece_p_values"];
    for split in ["validation", "tune"] {
        let (found, expected) = (&metrics[split]["ece_p_value"], &p_values[split]);
        let difference = found.as_f64().unwrap() - expected.as_f64().unwrap();
        assert!(
            difference.abs() < 0.03,
            "{split}: the p-value of the calibration error is {found}, numpy says {expected}"
        );
    }
    let validation = report.metrics.validation;
    let interval: [f64; 2] = serde_json::from_value(expected["mcc_interval"].clone()).unwrap();
    for (found, expected) in [validation.mcc_low, validation.mcc_high].into_iter().zip(interval) {
        assert!((found - expected).abs() < 0.015, "an end of the interval is {found}, scipy says {expected}");
    }
}

#[test]
fn the_interval_depends_on_the_seed_alone() {
    let predictions = predictions();
    let interval = |seed| {
        let part = Report::new(&predictions, &params(), seed).unwrap().metrics.validation;
        (part.mcc_low, part.mcc_high)
    };
    assert_eq!(interval(1), interval(1));
    assert_ne!(interval(1), interval(2));
}

#[test]
fn validation_and_phenomena_do_not_move_the_temperature() {
    let mut predictions = predictions();
    let before = Report::new(&predictions, &params(), 1).unwrap().calibration;
    for one in predictions.iter_mut().filter(|one| one.split != Split::Tune) {
        one.logits = [one.logits[1] * 5.0, one.logits[0] * 5.0];
    }
    assert_eq!(Report::new(&predictions, &params(), 1).unwrap().calibration, before);
}

#[test]
fn parts_without_sentences_are_left_out() {
    let validation: Vec<_> =
        predictions().into_iter().filter(|one| one.split == Split::Validation && one.domain == Domain::In).collect();
    let report = Report::new(&validation, &params(), 1).unwrap();
    let metrics = serde_json::to_value(&report.metrics).unwrap();
    let parts: Vec<&String> = metrics.as_object().unwrap().keys().collect();
    assert_eq!(parts, ["in_domain", "validation"]);
    assert_eq!(metrics["in_domain"], metrics["validation"]);
    assert_eq!((report.calibration.temperature, report.calibration.fitted), (1.0, false));
    assert_eq!(report.metrics.validation.ece, report.metrics.validation.ece_uncalibrated);
}

#[test]
fn without_validation_the_reader_is_sent_to_prepare() {
    let error = Report::new(&[], &params(), 1).unwrap_err().to_string();
    assert_eq!(error, "validation has no sentences; run the prepare stage again");
}

#[test]
fn one_class_has_no_ranking_and_an_mcc_of_zero() {
    let one = |index: usize| {
        let logits = [0.0, if index == 0 { -1.0 } else { 1.0 }];
        predicted(Split::Validation, &format!("v-{index}"), "gj04", Domain::In, Label::Acceptable, logits)
    };
    let predictions: Vec<_> = (0..5).map(one).collect();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let part = &report.metrics.validation;
    assert_eq!((part.mcc, part.accuracy, part.roc_auc, part.average_precision), (0.0, 0.8, None, None));
    let roc = &report.plots.iter().find(|(name, _)| *name == "roc.csv").unwrap().1;
    assert!(roc.rows.is_empty());
}

#[test]
fn perfect_predictions_on_tune_leave_the_temperature_at_one() {
    let one = |split, index: usize| {
        let label = Label::from_index(index % 2).unwrap();
        let logits = if label == Label::Acceptable { [-2.0, 2.0] } else { [2.0, -2.0] };
        predicted(split, &format!("{}-{index}", split.name()), "gj04", Domain::In, label, logits)
    };
    let predictions: Vec<_> =
        (0..10).flat_map(|index| [one(Split::Tune, index), one(Split::Validation, index)]).collect();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    assert_eq!((report.calibration.temperature, report.calibration.fitted), (1.0, false));
    assert_eq!(report.metrics.validation.mcc, 1.0);
    assert!(report.summary().contains(&"temperature 1: tune does not determine one".to_owned()));
    assert!(report.wrong.rows.is_empty());
}

#[test]
fn logits_that_are_not_finite_name_the_sentence_and_a_way_out() {
    let mut predictions = predictions();
    predictions[130].logits[0] = f32::NAN;
    let error = Report::new(&predictions, &params(), 1).unwrap_err().to_string();
    assert!(error.contains(&predictions[130].id) && error.contains("train.lr"), "{error}");
}

#[test]
fn the_summary_says_the_mcc_with_its_interval() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let part = &report.metrics.validation;
    let lines = report.summary();
    assert_eq!(
        lines[0],
        format!(
            "validation: MCC {:.3} ({:.3} to {:.3}), accuracy {:.3}, 160 sentences",
            part.mcc, part.mcc_low, part.mcc_high, part.accuracy
        )
    );
    assert_eq!(lines.len(), 6);
    assert!(lines[4].ends_with("60 sentences of 3 phenomena"), "{}", lines[4]);
    assert!(lines[5].starts_with("temperature "), "{}", lines[5]);
}
