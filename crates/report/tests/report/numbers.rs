//! The statistics against statsmodels, scipy and scikit-learn.

use serde_json::Value;
use wellformed_core::label::Label;
use wellformed_report::predictions::{self, Prediction};
use wellformed_report::significance::{McNemar, Pair, SAMPLES, mcc_difference, mcnemar, wilson};

use crate::support::{expected, fixture};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Pairs with so many that only one of the models gets right.
fn discordant(improved: u64, worsened: u64) -> Vec<Pair> {
    let pair = |before, after| Pair { label: true, before, after };
    let mut pairs = vec![pair(true, true); 10];
    pairs.extend((0..improved).map(|_| pair(false, true)));
    pairs.extend((0..worsened).map(|_| pair(true, false)));
    pairs
}

fn runs() -> [Vec<Prediction>; 2] {
    ["before", "after"]
        .map(|run| predictions::read(&fixture(&format!("runs/{run}/reports/eval/predictions.parquet"))).unwrap())
}

fn pairs(split: &str) -> Vec<Pair> {
    let [before, after] = runs();
    let is = |one: &Prediction| one.decision() == Label::Acceptable;
    before
        .iter()
        .zip(&after)
        .filter(|(old, _)| old.split == split)
        .map(|(old, new)| Pair { label: old.label == Label::Acceptable, before: is(old), after: is(new) })
        .collect()
}

#[test]
fn mcnemars_test_is_that_of_statsmodels_from_no_difference_to_thousands() {
    for row in expected()["mcnemar"].as_array().unwrap() {
        let (improved, worsened) = (row[0].as_u64().unwrap(), row[1].as_u64().unwrap());
        let found = mcnemar(&discordant(improved, worsened));
        let close = |found: f64, wanted: f64| (found - wanted).abs() < 1e-9 * wanted.max(1e-3);
        assert!(close(found.exact, number(&row[2])), "{row}: {found:?}");
        assert!(close(found.mid_p, number(&row[3])), "{row}: {found:?}");
        assert_eq!((found.improved, found.worsened), (improved, worsened));
    }
}

#[test]
fn mcnemars_test_of_two_runs_is_that_of_statsmodels() {
    for split in ["validation", "tune", "phenomena"] {
        let wanted = &expected()["parts"][split];
        let McNemar { improved, worsened, exact, mid_p } = mcnemar(&pairs(split));
        assert_eq!(improved, wanted["improved"].as_u64().unwrap(), "{split}");
        assert_eq!(worsened, wanted["worsened"].as_u64().unwrap(), "{split}");
        assert!((exact - number(&wanted["exact"])).abs() < 1e-12, "{split}: {exact}");
        assert!((mid_p - number(&wanted["mid_p"])).abs() < 1e-12, "{split}: {mid_p}");
    }
}

#[test]
fn the_difference_of_mcc_and_its_interval_are_those_of_scipys_paired_bootstrap() {
    for split in ["validation", "tune", "phenomena"] {
        let wanted = &expected()["parts"][split];
        let found = mcc_difference(&pairs(split), SAMPLES, 0.95, 7).unwrap();
        assert!((found.before - number(&wanted["mcc"][0])).abs() < 1e-12, "{split}");
        assert!((found.after - number(&wanted["mcc"][1])).abs() < 1e-12, "{split}");
        // Two sets of 10,000 resamples: their ends differ by chance, here by less than a thousandth times six.
        assert!((found.interval.low - number(&wanted["interval"][0])).abs() < 0.006, "{split}: {found:?}");
        assert!((found.interval.high - number(&wanted["interval"][1])).abs() < 0.006, "{split}: {found:?}");
        assert!((found.p - number(&wanted["p"])).abs() < 0.01, "{split}: {found:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_interval_and_equal_runs_differ_by_nothing() {
    let pairs = pairs("validation");
    assert_eq!(mcc_difference(&pairs, 500, 0.95, 3), mcc_difference(&pairs, 500, 0.95, 3));
    assert_ne!(mcc_difference(&pairs, 500, 0.95, 3), mcc_difference(&pairs, 500, 0.95, 4));
    let same: Vec<Pair> = pairs.iter().map(|pair| Pair { after: pair.before, ..*pair }).collect();
    let found = mcc_difference(&same, 500, 0.95, 3).unwrap();
    assert_eq!((found.difference(), found.interval.low, found.interval.high, found.p), (0.0, 0.0, 0.0, 1.0));
    assert_eq!(mcc_difference(&[], 500, 0.95, 3), None);
}

#[test]
fn wilsons_interval_is_that_of_statsmodels() {
    for row in expected()["wilson"].as_array().unwrap() {
        let found = wilson(row[0].as_u64().unwrap(), row[1].as_u64().unwrap());
        assert!((found.low - number(&row[2])).abs() < 1e-9, "{row}: {found:?}");
        assert!((found.high - number(&row[3])).abs() < 1e-9, "{row}: {found:?}");
    }
}
