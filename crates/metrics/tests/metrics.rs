//! The formulas against scikit-learn, numpy, scipy and torchmetrics; `fixtures/make_metrics.py` made the expected values.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;
use wellformed_metrics::{
    Confusion, MetricError, Scores, average_precision, bootstrap, brier_score, calibration_error_by_chance,
    calibration_error_p_value, expected_calibration_error, fit_temperature, log_loss, precision_recall_curve,
    probability, reliability, roc_auc, roc_curve, softmax2, usual_calibration_error,
};

const BINS: usize = 10;

struct Case {
    name: String,
    labels: Vec<bool>,
    logits: Vec<[f32; 2]>,
    p: Vec<f64>,
    confusion: Confusion,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("fixtures/metrics.json")).unwrap();
    assert!(cases.len() >= 10);
    let case = |expected: Value| {
        let labels: Vec<bool> = serde_json::from_value(expected["labels"].clone()).unwrap();
        let logits: Vec<[f32; 2]> = serde_json::from_value(expected["logits"].clone()).unwrap();
        let p = logits.iter().map(|&pair| softmax2(pair)[1]).collect();
        let predictions: Vec<bool> = logits.iter().map(|pair| pair[1] > pair[0]).collect();
        let confusion = Confusion::of(&labels, &predictions).unwrap();
        Case { name: expected["name"].as_str().unwrap().to_owned(), labels, logits, p, confusion, expected }
    };
    cases.into_iter().map(case).collect()
}

#[track_caller]
fn close(case: &str, what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    let tolerance = 1e-11 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= tolerance, "{case}: {what} is {found}, scikit-learn says {expected}");
}

#[track_caller]
fn scores(case: &str, what: &str, found: Scores, expected: &Value) {
    close(case, &format!("{what} precision"), found.precision, &expected["precision"]);
    close(case, &format!("{what} recall"), found.recall, &expected["recall"]);
    close(case, &format!("{what} F1"), found.f1, &expected["f1"]);
}

#[test]
fn decisions_are_scored_as_scikit_learn_scores_them() {
    for Case { name, confusion, expected, .. } in cases() {
        let counts =
            [confusion.true_negative, confusion.false_positive, confusion.false_negative, confusion.true_positive];
        assert_eq!(serde_json::json!(counts), expected["confusion"], "{name}");
        close(&name, "MCC", confusion.mcc(), &expected["mcc"]);
        close(&name, "accuracy", confusion.accuracy(), &expected["accuracy"]);
        scores(&name, "unacceptable", confusion.class(false), &expected["classes"][0]);
        scores(&name, "acceptable", confusion.class(true), &expected["classes"][1]);
        scores(&name, "macro", confusion.macro_average(), &expected["macro"]);
        scores(&name, "micro", confusion.micro_average(), &expected["micro"]);
    }
}

#[test]
fn rankings_are_scored_as_scikit_learn_scores_them() {
    for Case { name, labels, p, expected, .. } in cases() {
        if expected["roc_auc"].is_null() {
            let one_class = MetricError::OneClass(labels[0]);
            assert_eq!(roc_auc(&labels, &p), Err(one_class.clone()), "{name}");
            assert_eq!(average_precision(&labels, &p), Err(one_class), "{name}");
            continue;
        }
        close(&name, "AUC", roc_auc(&labels, &p).unwrap(), &expected["roc_auc"]);
        close(&name, "average precision", average_precision(&labels, &p).unwrap(), &expected["average_precision"]);

        let curve = roc_curve(&labels, &p).unwrap();
        let points = expected["roc"].as_array().unwrap();
        assert_eq!(curve.len(), points.len(), "{name}: points of the ROC curve");
        assert!(curve[0].threshold.is_infinite());
        for (index, (found, expected)) in curve.iter().zip(points).enumerate() {
            close(&name, "false positive rate", found.false_positive_rate, &expected[0]);
            close(&name, "true positive rate", found.true_positive_rate, &expected[1]);
            if index > 0 {
                close(&name, "threshold", found.threshold, &expected[2]);
            }
        }

        let curve = precision_recall_curve(&labels, &p).unwrap();
        let points = expected["precision_recall"].as_array().unwrap();
        assert_eq!(curve.len(), points.len(), "{name}: points of the precision-recall curve");
        for (found, expected) in curve.iter().zip(points) {
            close(&name, "recall", found.recall, &expected[0]);
            close(&name, "precision", found.precision, &expected[1]);
        }
    }
}

#[test]
fn probabilities_are_scored_as_scikit_learn_and_numpy_score_them() {
    for Case { name, labels, p, expected, .. } in cases() {
        close(&name, "log loss", log_loss(&labels, &p).unwrap(), &expected["log_loss"]);
        close(&name, "Brier score", brier_score(&labels, &p).unwrap(), &expected["brier"]);
        close(&name, "ECE", expected_calibration_error(&labels, &p, BINS).unwrap(), &expected["ece"]);
        // torchmetrics computes in 32 bits.
        let (found, expected) =
            (usual_calibration_error(&labels, &p).unwrap(), expected["usual_ece"].as_f64().unwrap());
        assert!((found - expected).abs() < 1e-6, "{name}: ECE in 15 bins is {found}, torchmetrics says {expected}");
    }
}

#[test]
fn the_temperature_is_where_scipy_finds_it() {
    let mut fitted = 0;
    for Case { name, labels, logits, expected, .. } in cases() {
        let temperature = fit_temperature(&labels, &logits).unwrap();
        assert_eq!(temperature.is_none(), expected["temperature"].is_null(), "{name}: {temperature:?}");
        if let Some(temperature) = temperature {
            close(&name, "temperature", temperature, &expected["temperature"]);
            fitted += 1;
        }
    }
    assert!(fitted >= 4);
}

#[test]
fn a_temperature_lowers_the_loss_and_changes_no_decision() {
    let case = cases().into_iter().find(|case| case.name == "overconfident").unwrap();
    let temperature = fit_temperature(&case.labels, &case.logits).unwrap().unwrap();
    assert!(temperature > 1.5, "overconfident logits have to be cooled: {temperature}");
    let after: Vec<f64> = case.logits.iter().map(|&pair| probability(pair, temperature)).collect();
    assert!(log_loss(&case.labels, &after).unwrap() < log_loss(&case.labels, &case.p).unwrap());
    assert!(case.p.iter().zip(&after).all(|(&before, &after)| (before > 0.5) == (after > 0.5)));
}

#[test]
fn reliability_bins_hold_every_prediction_once() {
    for Case { name, labels, p, confusion, .. } in cases() {
        let bins = reliability(&labels, &p, BINS).unwrap();
        assert_eq!((bins[0].lower, bins[BINS - 1].upper), (0.5, 1.0));
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), labels.len(), "{name}");
        let right: f64 = bins.iter().filter_map(|bin| Some(bin.accuracy? * bin.count as f64)).sum();
        assert!((right - confusion.accuracy() * labels.len() as f64).abs() < 1e-9, "{name}");
        for bin in bins {
            let inside = |confidence| confidence >= bin.lower - 1e-12 && confidence <= bin.upper + 1e-12;
            assert!(bin.confidence.is_none_or(inside), "{name}: {bin:?}");
        }
    }
}

#[test]
fn the_bootstrap_interval_is_near_scipys_and_holds_the_mcc() {
    let case = cases().into_iter().find(|case| case.name == "random").unwrap();
    let found = bootstrap(&case.confusion, Confusion::mcc, 4000, 0.95, 1).unwrap();
    let expected: [f64; 2] = serde_json::from_value(case.expected["mcc_interval"].clone()).unwrap();
    assert!((found.low - expected[0]).abs() < 0.01, "{found:?}, scipy says {expected:?}");
    assert!((found.high - expected[1]).abs() < 0.01, "{found:?}, scipy says {expected:?}");
    assert!(found.low < case.confusion.mcc() && case.confusion.mcc() < found.high);
    let wider = bootstrap(&case.confusion, Confusion::mcc, 4000, 0.99, 1).unwrap();
    assert!(wider.low < found.low && found.high < wider.high);
}

#[test]
fn the_bootstrap_depends_on_the_seed_and_not_on_the_threads() {
    let confusion = Confusion { true_negative: 20, false_positive: 10, false_negative: 5, true_positive: 65 };
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bootstrap(&confusion, Confusion::mcc, 500, 0.9, seed).unwrap())
    };
    assert_eq!(run(1, 7), run(4, 7));
    assert_ne!(run(1, 7), run(1, 8));
}

#[test]
fn a_bootstrap_of_perfect_predictions_is_certain() {
    let confusion = Confusion { true_negative: 30, false_positive: 0, false_negative: 0, true_positive: 70 };
    let interval = bootstrap(&confusion, Confusion::accuracy, 200, 0.95, 3).unwrap();
    assert_eq!((interval.low, interval.high), (1.0, 1.0));
    assert_eq!(confusion.mcc(), 1.0);
}

#[test]
fn without_examples_counts_are_zero_and_the_rest_says_so() {
    let nothing = Confusion::of(&[], &[]).unwrap();
    assert_eq!((nothing.total(), nothing.mcc(), nothing.accuracy()), (0, 0.0, 0.0));
    assert_eq!(nothing.class(true), Scores { precision: 0.0, recall: 0.0, f1: 0.0 });
    let empty = Err(MetricError::Empty);
    assert_eq!(log_loss(&[], &[]), empty);
    assert_eq!(brier_score(&[], &[]), empty);
    assert_eq!(expected_calibration_error(&[], &[], BINS), empty);
    assert_eq!(roc_auc(&[], &[]), empty);
    assert_eq!(average_precision(&[], &[]), empty);
    assert_eq!(fit_temperature(&[], &[]), Err(MetricError::Empty));
    assert_eq!(bootstrap(&nothing, Confusion::mcc, 100, 0.95, 1), Err(MetricError::Empty));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let length = MetricError::Length { labels: 2, others: 1 };
    assert_eq!(Confusion::of(&[true, false], &[true]), Err(length.clone()));
    assert_eq!(log_loss(&[true, false], &[0.5]), Err(length.clone()));
    assert_eq!(roc_auc(&[true, false], &[0.5]), Err(length.clone()));
    assert_eq!(fit_temperature(&[true, false], &[[0.0, 1.0]]), Err(length));
}

#[test]
fn values_that_cannot_be_are_named() {
    let message = log_loss(&[true, false], &[0.5, 1.5]).unwrap_err().to_string();
    assert_eq!(message, "value 1.5 at position 1 is not a probability from 0 to 1");
    assert!(brier_score(&[true], &[f64::NAN]).is_err());
    assert!(roc_curve(&[true, false], &[f64::NAN, 0.5]).is_err());
    assert!(fit_temperature(&[true], &[[f32::INFINITY, 0.0]]).is_err());
    assert!(reliability(&[true], &[0.5], 0).is_err());
    let confusion = Confusion::of(&[true], &[true]).unwrap();
    assert!(bootstrap(&confusion, Confusion::mcc, 0, 0.95, 1).is_err());
    assert!(bootstrap(&confusion, Confusion::mcc, 100, 1.0, 1).is_err());
}

#[test]
fn a_certain_mistake_costs_a_finite_loss() {
    // sklearn.metrics.log_loss([1], [0.0], labels=[0, 1])
    assert!((log_loss(&[true], &[0.0]).unwrap() - 36.043_653_389_117_15).abs() < 1e-12);
    assert_eq!(softmax2([1000.0, -1000.0]), [1.0, 0.0]);
}

#[test]
fn how_probable_a_calibration_error_is_by_chance_is_that_of_coins() {
    let p_value = |labels: &[bool], p: &[f64]| calibration_error_p_value(labels, p, BINS, 20_000, 5).unwrap();
    // One coin of 0.2 that falls right is as far off as can be, with probability 0.2; the other way it cannot be nearer.
    assert!((p_value(&[true], &[0.2]) - 0.2).abs() < 0.01);
    assert_eq!(p_value(&[false], &[0.2]), 1.0);
    // Two coins of 0.9 in one bin: both fall wrong with probability 0.01, at least one does with 0.19.
    assert!((p_value(&[false, false], &[0.9, 0.9]) - 0.01).abs() < 0.003);
    assert!((p_value(&[true, false], &[0.9, 0.9]) - 0.19).abs() < 0.01);
    assert_eq!(p_value(&[true, true], &[0.9, 0.9]), 1.0);
    assert!(calibration_error_p_value(&[true], &[0.2], BINS, 0, 5).is_err());
    assert!(calibration_error_p_value(&[], &[], BINS, 10, 5).is_err());
    assert!(calibration_error_p_value(&[true], &[1.2], BINS, 10, 5).is_err());
}

#[test]
fn the_calibration_error_by_chance_is_that_of_coins() {
    // One coin: 0.2 away with probability 0.8, and 0.8 away with 0.2. Two fair ones: half the time 1 away, divided by 2.
    assert!((calibration_error_by_chance(&[0.2], BINS).unwrap() - 0.32).abs() < 1e-15);
    assert!((calibration_error_by_chance(&[0.5, 0.5], BINS).unwrap() - 0.25).abs() < 1e-15);
    // De Moivre's formula (1730): the mean deviation of n coins of p is 2(1 − p)^(n−m) p^(m+1) (m + 1) C(n, m + 1), with
    // m the whole part of np.
    let (n, p) = (600_usize, 0.83_f64);
    let m = (n as f64 * p).floor() as usize;
    let choose: f64 = (1..=m + 1).map(|k| ((n - m - 1 + k) as f64 / k as f64).ln()).sum();
    let logarithm = (n - m) as f64 * (1.0 - p).ln() + (m + 1) as f64 * p.ln() + ((m + 1) as f64).ln() + choose;
    let exact = 2.0 * logarithm.exp() / n as f64;
    let found = calibration_error_by_chance(&vec![p; n], BINS).unwrap();
    assert!((found / exact - 1.0).abs() < 1e-9, "{found}, De Moivre has {exact}");
    // Where the sum is taken for normal, the two ways agree.
    let [fewer, more] = [4_000, 4_001].map(|count| calibration_error_by_chance(&vec![p; count], BINS).unwrap());
    assert!((fewer / more - 1.0).abs() < 1e-3, "{fewer} and {more}");
    assert!(calibration_error_by_chance(&[], BINS).is_err());
}
