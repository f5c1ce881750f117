//! What is said of windows.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_drift::{Area, Checker, Expected, Features, Observation, Outcome, Profile, Report, Settings, Verdict};
use wellformed_metrics::Confusion;
use wellformed_signals::Signals;

use common::{BUNDLE, observation, prediction, profile, window_of};

/// Sentences as they might come: everything depends on a common difficulty, as it does in life.
fn usual(count: usize, seed: u64) -> Vec<Features> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || {
        let hard: f64 = random.random();
        let tokens = 6 + (10.0 * hard * random.random::<f64>()) as u32;
        let mut features = prediction((0.95 - 0.6 * hard * random.random::<f64>()).clamp(0.0, 1.0), tokens);
        features.signals = Some(Signals {
            pieces_per_word: 1.0 + 0.3 * hard * random.random::<f64>(),
            frequent_share: 0.4 + 0.3 * random.random::<f64>(),
            surprise: 3.5 + hard + random.random::<f64>(),
        });
        features
    };
    (0..count).map(|_| one()).collect()
}

fn checker() -> Checker {
    checker_with(Settings::default())
}

fn checker_with(settings: Settings) -> Checker {
    let expected = Expected { bundle: Some(BUNDLE.to_owned()) };
    Checker::new(profile(&usual(600, 1), None), settings, expected).unwrap()
}

fn check(checker: &mut Checker, features: &[Features]) -> Report {
    let window = window_of(checker, features);
    checker.check(&window).unwrap()
}

fn codes(report: &Report) -> Vec<(Verdict, &str)> {
    report.reasons.iter().map(|reason| (reason.verdict, reason.code.as_str())).collect()
}

#[test]
fn unchanged_windows_alarm_no_more_often_than_configured() {
    // 300 windows: at a level of 5 % more than 9 % would be an accident of one in a thousand (binomial); at 1 %, more
    // than 3 %.
    let (mut warnings, mut alerts) = (0, 0);
    for trial in 0..300 {
        let mut checker =
            Checker::new(profile(&usual(300, 2 * trial + 100), None), Settings::default(), Expected::default())
                .unwrap();
        let report = check(&mut checker, &usual(200, 2 * trial + 101));
        warnings += usize::from(report.verdict >= Verdict::Warn);
        alerts += usize::from(report.verdict == Verdict::Alert);
    }
    assert!(warnings <= 27, "{warnings} of 300 unchanged windows were no longer ok");
    assert!(alerts <= 9, "{alerts} of 300 unchanged windows were an alert");
}

#[test]
fn a_changed_signal_is_an_alert_that_names_it_and_its_figures() {
    let mut changed = usual(500, 3);
    for one in &mut changed {
        one.signals = one.signals.map(|signals| Signals { surprise: signals.surprise + 0.5, ..signals });
    }
    let report = check(&mut checker(), &changed);
    assert_eq!(report.verdict, Verdict::Alert);
    assert_eq!(codes(&report), [(Verdict::Alert, "surprise")]);
    assert_eq!(report.reasons[0].area, Area::Drift);
    assert!(report.reasons[0].text.contains("mean 5.00 instead of 4.52"), "{}", report.reasons[0].text);
}

#[test]
fn a_certain_trifle_in_a_huge_window_is_no_alarm() {
    let mut changed = usual(100_000, 4);
    for one in &mut changed {
        one.p_acceptable = (one.p_acceptable - 0.002).max(0.0);
        one.label = if one.p_acceptable > 0.5 { Label::Acceptable } else { Label::Unacceptable };
    }
    let report = check(&mut checker(), &changed);
    let signal = report.signals.iter().find(|one| one.signal.name() == "p_acceptable").unwrap();
    assert!(signal.effect < 0.1);
    assert_ne!(report.verdict, Verdict::Alert, "{:?}", report.reasons);
}

#[test]
fn too_few_sentences_are_no_verdict_and_say_how_many_are_missing() {
    let report = check(&mut checker(), &usual(99, 5));
    assert_eq!(report.verdict, Verdict::InsufficientData);
    assert!(report.reasons[0].text.starts_with("99 different sentences"), "{}", report.reasons[0].text);
    assert!(report.reasons[0].text.contains("100 are needed"), "{}", report.reasons[0].text);
    assert!(report.signals.is_empty());
    assert_ne!(check(&mut checker(), &usual(100, 5)).verdict, Verdict::InsufficientData);
}

#[test]
fn another_bundle_is_an_alert_even_where_there_is_too_little_to_judge_and_its_sentences_do_not_count() {
    let mut checker = checker();
    let mut window = checker.window().unwrap();
    for one in usual(50, 6) {
        window.take(&Observation { bundle: Arc::from("bbbbbbbbbbbbbbbbbbbb"), ..observation(one) });
    }
    let report = checker.check(&window).unwrap();
    assert_eq!(codes(&report), [(Verdict::Alert, "other_bundle"), (Verdict::InsufficientData, "few_sentences")]);
    assert_eq!((report.records, report.counted), (50, 0));
    assert!(report.reasons[0].text.contains("bbbbbbbbbbbb (50 records)"), "{}", report.reasons[0].text);
}

#[test]
fn a_few_answers_of_the_bundle_before_are_a_warning() {
    let mut checker = checker();
    let mut window = window_of(&checker, &usual(500, 7));
    window.take(&Observation { bundle: Arc::from("bbbbbbbbbbbbbbbbbbbb"), ..observation(prediction(0.8, 9)) });
    assert_eq!(codes(&checker.check(&window).unwrap()), [(Verdict::Warn, "other_bundle")]);
}

#[test]
fn a_model_that_is_stuck_is_named_as_such() {
    let stuck: Vec<Features> =
        usual(200, 8).into_iter().map(|one| Features { p_acceptable: 0.7, label: Label::Acceptable, ..one }).collect();
    let report = check(&mut checker(), &stuck);
    assert!(codes(&report).contains(&(Verdict::Alert, "constant_probability")), "{:?}", report.reasons);

    let mut one_sided = usual(200, 9);
    for (at, one) in one_sided.iter_mut().enumerate() {
        (one.p_acceptable, one.label) = (0.1 + at as f64 / 1000.0, Label::Unacceptable);
    }
    let report = check(&mut checker(), &one_sided);
    assert!(codes(&report).contains(&(Verdict::Alert, "constant_label")), "{:?}", report.reasons);
}

#[test]
fn values_that_the_bundle_cannot_give_and_decisions_by_another_threshold_are_alerts() {
    let mut wrong = usual(200, 10);
    wrong[0].tokens = 129;
    wrong[1].p_acceptable = 1.5;
    wrong[2].label = Label::Unacceptable;
    wrong[2].p_acceptable = 0.9;
    wrong[3].precision = Some(Precision::Fp32);
    let found = check(&mut checker(), &wrong);
    let expected = [
        (Verdict::Alert, "impossible_values"),
        (Verdict::Alert, "other_threshold"),
        (Verdict::Warn, "other_precision"),
    ];
    assert_eq!(codes(&found), expected);
    assert!(found.reasons[0].text.starts_with("2 predictions"), "{}", found.reasons[0].text);
    assert_eq!(found.counted, 198);
}

#[test]
fn a_sentence_that_comes_again_counts_once_unless_the_settings_say_otherwise() {
    let mut repeated = usual(300, 11);
    for (at, one) in repeated.iter_mut().enumerate() {
        one.text_hash = Some(at as u64);
    }
    let again: Vec<Features> = std::iter::repeat_n(repeated[0].clone(), 1000).collect();
    repeated.extend(again);
    let report = check(&mut checker(), &repeated);
    assert_eq!((report.predictions, report.counted, report.repeated), (1300, 300, 1000));
    assert_eq!(report.verdict, Verdict::Ok, "{:?}", report.reasons);

    let mut settings = Settings::default();
    settings.drift.once_per_sentence = false;
    let report = check(&mut checker_with(settings), &repeated);
    assert_eq!(report.counted, 1300);
    assert_eq!(report.verdict, Verdict::Alert);
}

#[test]
fn the_service_is_held_against_its_limits() {
    let mut checker = checker();
    let mut features = usual(400, 12);
    for one in features.iter_mut().take(40) {
        one.latency_ms = Some(1500.0);
        one.cold_start = Some(true);
    }
    let mut window = window_of(&checker, &features);
    for code in ["internal", "empty_sentence"] {
        for _ in 0..40 {
            let outcome = Outcome::Problem { code: Arc::from(code), defect: code == "internal" };
            window.take(&Observation { time_ms: 0, bundle: Arc::from(BUNDLE), outcome });
        }
    }
    let report = checker.check(&window).unwrap();
    let expected = [
        (Verdict::Alert, "defect_share"),
        (Verdict::Alert, "latency_p95_ms"),
        (Verdict::Warn, "refused_share"),
        (Verdict::Warn, "cold_start_share"),
    ];
    assert_eq!(codes(&report), expected);
    assert!(report.reasons[0].text.contains("40 of 480 records"), "{}", report.reasons[0].text);
    assert_eq!(report.service.problems["internal"], 40);
}

#[test]
fn of_a_few_requests_with_many_sentences_the_service_is_not_judged() {
    let mut checker = checker();
    // Two requests of 200 sentences each, right after a start: the request's own figures are in its first record.
    let mut features = usual(400, 12);
    for (at, one) in features.iter_mut().enumerate() {
        let first = at % 200 == 0;
        one.latency_ms = first.then_some(1500.0);
        one.cold_start = first.then_some(at == 0);
    }
    let window = window_of(&checker, &features);
    let report = checker.check(&window).unwrap();
    assert_eq!(report.service.cold_start_share, Some(0.5), "it is told");
    assert_eq!(codes(&report), [], "but no reason for anything");
}

#[test]
fn labels_that_show_a_bad_model_are_an_alert_and_good_ones_are_not() {
    let features = usual(600, 13);
    let labels: Vec<Label> = features.iter().map(|one| one.label).collect();
    let profile = profile(&features, Some(&labels));
    let mut checker = Checker::new(profile, Settings::default(), Expected::default()).unwrap();
    let window = window_of(&checker, &usual(300, 14));
    let good = Confusion { true_negative: 90, false_positive: 1, false_negative: 1, true_positive: 208 };
    let report = checker.check_with_labels(&window, Some(&good)).unwrap();
    assert!(!codes(&report).iter().any(|(_, code)| *code == "measured_mcc"), "{:?}", report.reasons);
    let bad = Confusion { true_negative: 50, false_positive: 50, false_negative: 100, true_positive: 100 };
    let report = checker.check_with_labels(&window, Some(&bad)).unwrap();
    assert!(codes(&report).contains(&(Verdict::Alert, "measured_mcc")), "{:?}", report.reasons);
    let performance = report.performance.unwrap();
    assert_eq!(performance.reference_measured.unwrap().mcc.value, 1.0);
    assert_eq!(performance.measured.unwrap().mcc.value, 0.0);
}

#[test]
fn a_window_of_a_million_records_stays_small_and_counts_all_of_them() {
    let mut checker = checker();
    let mut window = checker.window().unwrap();
    let usual = usual(1000, 15);
    for at in 0..1_200_000_u64 {
        let mut one = usual[at as usize % 1000].clone();
        // Different texts, beyond what is remembered one by one.
        one.text_hash = Some(at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        one.latency_ms = Some((at % 1000) as f64);
        let mut observation = observation(one);
        observation.time_ms += at as i64 * 3_600_000;
        window.take(&observation);
    }
    assert_eq!(window.records(), 1_200_000);
    let error = (window.distinct() as f64 / 1_200_000.0 - 1.0).abs();
    assert!(error < 0.03, "{} different sentences", window.distinct());
    let (steps, length) = window.timeline();
    assert!(steps.len() <= 400 && length > 3_600_000);
    assert_eq!(steps.values().map(|step| step.predictions).sum::<u64>(), 1_200_000);
    let report = checker.check(&window).unwrap();
    let [median, p95, _] = report.service.latency_ms.unwrap();
    // A rank error of 1 %, three times over.
    assert!((median - 500.0).abs() < 30.0 && (p95 - 950.0).abs() < 30.0, "{median} {p95}");
}

#[test]
fn the_same_window_gives_the_same_report_whatever_the_number_of_threads() {
    let report = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| check(&mut checker(), &usual(250, 16)))
    };
    assert_eq!(report(1), report(3));
}

#[test]
fn a_profile_is_read_as_it_was_written_and_names_what_is_wrong_with_a_damaged_one() {
    let features = usual(150, 17);
    let labels: Vec<Label> = features.iter().map(|one| one.label).collect();
    let profile = profile(&features, Some(&labels));
    let text = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);

    let damaged = |change: fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        serde_json::from_value::<Profile>(value).unwrap_err().to_string()
    };
    let error = damaged(|value| value["format"] = 1.into());
    assert!(error.contains("format is 1, but must be 2"), "{error}");
    let error = damaged(|value| {
        value["columns"]["surprise"].as_array_mut().unwrap().pop();
    });
    assert!(error.contains("column surprise is 149 rows long, but must be 150"), "{error}");
    let error = damaged(|value| value["columns"]["p_acceptable"][3] = 1.2.into());
    assert!(error.contains("column p_acceptable is a list with 1.2"), "{error}");
    let error = damaged(|value| {
        value["columns"].as_object_mut().unwrap().remove("p_acceptable");
    });
    assert!(error.contains("column p_acceptable is missing"), "{error}");
    let error = damaged(|value| value["labels"][0] = 7.into());
    assert!(error.contains("labels is a list with 7"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let error = |yaml: &str| Settings::parse(yaml).unwrap_err().to_string();
    assert!(error("drift: {alert_levle: 0.01}").contains("alert_levle"), "{}", error("drift: {alert_levle: 0.01}"));
    assert!(
        error("drift: {alert_level: 0.2}").contains("drift.alert_level is 0.2, but must be at most drift.warn_level")
    );
    assert!(error("drift: {resamples: 500}").contains("drift.resamples is 500, but must be 1000 at least"));
    assert!(error("service: {latency_p95_ms: {warn: 9, alert: 3}}").contains("service.latency_p95_ms"));
    let settings = Settings::parse("drift:\n  min_records: 200\nservice:\n  latency_p95_ms: {warn: 20, alert: 50}\n");
    let settings = settings.unwrap();
    assert_eq!((settings.drift.min_records, settings.service.latency_p95_ms.alert), (200, 50.0));
    assert_eq!(settings.drift.alert_level, 0.01);
}

#[test]
fn the_settings_in_the_documentation_are_the_defaults() {
    let text = include_str!("../../../docs/drift.md");
    let (_, yaml) = text.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```").unwrap();
    assert_eq!(Settings::parse(yaml).unwrap(), Settings::default());
    // Every key of the defaults is there, so that nothing is missing in the documentation.
    let keys = serde_json::to_value(Settings::default()).unwrap();
    for (section, settings) in keys.as_object().unwrap() {
        for key in settings.as_object().unwrap().keys() {
            assert!(yaml.contains(&format!("{key}: ")), "{section}.{key}");
        }
    }
}
