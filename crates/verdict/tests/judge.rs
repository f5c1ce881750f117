//! A reference out of a bundle, and the memory that judging takes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use wellformed_core::bundle::{Manifest, PROFILE};
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_drift::profile::Source;
use wellformed_drift::{Features, Observation, Outcome};
use wellformed_verdict::{Judge, Profile, ReferenceError, Settings, notice, policy};

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle")
}

fn features(index: usize) -> Features {
    let chance = (index as f64 * 0.618_033_988_75).fract();
    Features {
        tokens: 5 + (10.0 * chance) as u32,
        unknown_tokens: 0,
        truncated: false,
        characters: None,
        non_ascii_share: None,
        signals: None,
        p_acceptable: chance,
        label: if chance > 0.5 { Label::Acceptable } else { Label::Unacceptable },
        precision: Some(Precision::Int8),
        text_hash: None,
        latency_ms: None,
        cold_start: None,
    }
}

fn judge() -> Judge {
    let source = Source {
        split: "validation".to_owned(),
        precision: Precision::Int8,
        max_length: 128,
        threshold: 0.5,
        files: BTreeMap::new(),
    };
    let rows: Vec<Features> = (0..200).map(features).collect();
    Judge::new(Profile::build(source, &rows, None).unwrap(), Settings::default(), "bundle".to_owned()).unwrap()
}

#[test]
fn a_bundle_is_read_and_one_without_a_profile_is_told_from_one_that_is_damaged() {
    let judge = Judge::read(&fixture(), Settings::default()).unwrap();
    let manifest: Manifest = serde_json::from_str(&fs::read_to_string(fixture().join("bundle.json")).unwrap()).unwrap();
    assert_eq!((judge.digest(), judge.profile().sentences()), (&*manifest.digest, 256));

    let folder = tempfile::tempdir().unwrap();
    let write = |manifest: &Manifest| {
        fs::write(folder.path().join("bundle.json"), serde_json::to_vec(manifest).unwrap()).unwrap();
    };
    let read = || Judge::read(folder.path(), Settings::default()).unwrap_err();
    assert!(read().to_string().contains("is no bundle"), "{}", read());
    write(&manifest);
    let ReferenceError::Unusable(error) = read() else { panic!("{}", read()) };
    assert!(format!("{error:#}").contains("profile.json"), "{error:#}");
    fs::write(folder.path().join(PROFILE), "{}").unwrap();
    assert!(read().to_string().contains("its SHA-256 is"), "{}", read());
    let mut without = manifest.clone();
    without.files.remove(PROFILE);
    write(&without);
    assert!(read().to_string().contains("its digest is not that of its content"), "{}", read());
    write(&without.seal());
    assert!(matches!(read(), ReferenceError::NoProfile(path) if path == folder.path()));
}

#[test]
fn a_window_is_judged_alike_however_many_lengths_were_judged_before() {
    let mut judge = judge();
    let window = |judge: &Judge, length: usize| {
        let mut window = judge.window().unwrap();
        for index in 200..200 + length {
            let outcome = Outcome::Prediction(features(index));
            window.take(&Observation { time_ms: 0, bundle: Arc::from("bundle"), outcome });
        }
        window
    };
    let first = window(&judge, 150);
    let before = judge.check(&first).unwrap();
    assert!(!before.signals.is_empty());
    // More than the lengths whose thresholds are kept.
    for length in 100..140 {
        let window = window(&judge, length);
        judge.check(&window).unwrap();
    }
    assert_eq!(
        judge.check(&first).unwrap(),
        before,
        "also a window that was begun before the thresholds were forgotten"
    );
}

#[test]
fn a_notice_is_a_page_whose_policy_allows_its_own_style_only() {
    let page = notice("No <verdict>", "because & why", Some("/"));
    assert!(page.contains("<h1>No &lt;verdict&gt;</h1>") && page.contains("because &amp; why"), "{page}");
    assert!(page.contains(&format!("content=\"{}\"", policy())), "{page}");
    assert!(page.contains("<a href=\"/\">") && !notice("a", "b", None).contains("href=\"/\""));
}
