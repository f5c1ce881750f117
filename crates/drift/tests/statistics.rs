//! Distances, p-values and the estimate without labels, against scipy, statsmodels and numpy
//! (`fixtures/make_drift.py`).
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use serde::Deserialize;
use wellformed_core::label::Label;
use wellformed_drift::performance::ExpectedConfusion;
use wellformed_drift::statistics::{chi_squared, holm, jensen_shannon, stability_index, total_variation};
use wellformed_drift::{Checker, Expected, Features, Settings, Signal};

use common::{prediction, profile, window_of};

#[derive(Deserialize)]
struct Fixture {
    two_samples: Vec<TwoSamples>,
    p_values: PValues,
    tables: Vec<Table>,
    holm: Vec<Holm>,
    cbpe: Vec<Cbpe>,
}

#[derive(Deserialize)]
struct TwoSamples {
    name: String,
    reference: Vec<f64>,
    window: Vec<f64>,
    ks: f64,
}

#[derive(Deserialize)]
struct PValues {
    reference: Vec<f64>,
    cases: Vec<PValue>,
}

#[derive(Deserialize)]
struct PValue {
    window: Vec<f64>,
    ks: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Table {
    reference: Vec<u64>,
    window: Vec<u64>,
    chi_squared: f64,
    jensen_shannon: f64,
    stability_index: f64,
    total_variation: f64,
}

#[derive(Deserialize)]
struct Holm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Cbpe {
    p: Vec<f64>,
    threshold: f64,
    mcc: f64,
    accuracy: f64,
    mcc_low: f64,
    mcc_high: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/drift.json")).unwrap()
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found} instead of {expected}");
}

/// Predictions whose surprise is the value: a signal that may be any number.
fn with_surprise(values: &[f64]) -> Vec<Features> {
    let one = |&value: &f64| {
        let mut features = prediction(0.7, 12);
        features.signals = features.signals.map(|signals| wellformed_signals::Signals { surprise: value, ..signals });
        features
    };
    values.iter().map(one).collect()
}

fn settings(resamples: usize) -> Settings {
    let mut settings = Settings::default();
    settings.drift.min_records = 30;
    settings.drift.resamples = resamples;
    settings
}

#[test]
fn the_ks_statistic_of_a_streamed_window_is_scipys() {
    for case in fixture().two_samples {
        let profile = profile(&with_surprise(&case.reference), None);
        let mut checker = Checker::new(profile, settings(1000), Expected::default()).unwrap();
        let window = window_of(&checker, &with_surprise(&case.window));
        let report = checker.check(&window).unwrap();
        let found = report.signals.iter().find(|one| one.signal == Signal::Surprise).unwrap();
        near(found.statistic, case.ks, &case.name);
        near(found.effect, case.ks, &case.name);
    }
}

#[test]
fn resampled_p_values_are_near_scipys_exact_ones_where_those_hold() {
    // Exact p-values are for samples without ties; four decimals tie a few of 400, so this is near, not equal. A
    // p-value of 4999 replicates has a standard error of at most 0.007; resampling a sample with replacement is a little
    // wider than drawing from a continuous distribution.
    let PValues { reference, cases } = fixture().p_values;
    let profile = profile(&with_surprise(&reference), None);
    let mut checker = Checker::new(profile, settings(4999), Expected::default()).unwrap();
    for case in cases {
        let window = window_of(&checker, &with_surprise(&case.window));
        let report = checker.check(&window).unwrap();
        let found = report.signals.iter().find(|one| one.signal == Signal::Surprise).unwrap();
        near(found.statistic, case.ks, "statistic");
        let tolerance = 0.01 + 0.15 * case.p;
        assert!((found.p - case.p).abs() < tolerance, "p {} instead of {}", found.p, case.p);
    }
}

#[test]
fn tables_give_scipys_chi_squared_and_jensen_shannon() {
    for case in fixture().tables {
        let what = format!("{:?} {:?}", case.reference, case.window);
        near(chi_squared(&case.reference, &case.window), case.chi_squared, &what);
        near(jensen_shannon(&case.reference, &case.window), case.jensen_shannon, &what);
        near(stability_index(&case.reference, &case.window), case.stability_index, &what);
        near(total_variation(&case.reference, &case.window), case.total_variation, &what);
    }
}

#[test]
fn holms_correction_is_that_of_statsmodels() {
    for case in fixture().holm {
        for (found, expected) in holm(&case.p).into_iter().zip(case.adjusted) {
            near(found, expected, &format!("{:?}", case.p));
        }
    }
}

#[test]
fn expected_mcc_and_accuracy_are_those_of_the_definition_and_the_interval_covers_what_comes_of_it() {
    for case in fixture().cbpe {
        let mut expected = ExpectedConfusion::default();
        let label = |p: f64| if p > case.threshold { Label::Acceptable } else { Label::Unacceptable };
        case.p.iter().for_each(|&p| expected.add(p, label(p)));
        near(expected.mcc(), case.mcc, "mcc");
        near(expected.accuracy(), case.accuracy, "accuracy");

        let features: Vec<Features> =
            case.p.iter().map(|&p| Features { label: label(p), ..prediction(p, 12) }).collect();
        let mut checker =
            Checker::new(common::profile_with(&features, None, case.threshold), settings(1000), Expected::default())
                .unwrap();
        let window = window_of(&checker, &features);
        let performance = checker.check(&window).unwrap().performance.unwrap();
        near(performance.estimated.mcc.value, case.mcc, "mcc");
        // Both ends are quantiles of a few thousand draws: half a percent of the draws is about this.
        let width = case.mcc_high - case.mcc_low;
        for (found, expected) in
            [(performance.estimated.mcc.low, case.mcc_low), (performance.estimated.mcc.high, case.mcc_high)]
        {
            assert!((found - expected).abs() < 0.08 * width, "{found} instead of {expected}");
        }
    }
}
