//! What is written, and when nothing is.

use std::fs;

use serde_json::Value;
use wellformed_core::bundle::Manifest;
use wellformed_core::dataset::{Split, write_examples};
use wellformed_core::files::{read_json, sha256_file};
use wellformed_core::params::Pooling;
use wellformed_drift::{Profile, Signal};
use wellformed_infer::{Options, Precision, Predictor, verify};
use wellformed_model::config::Activation;

use crate::support::{MAX_LENGTH, Project, SECRET, examples, files, names};

#[test]
fn the_engine_says_of_every_kind_of_model_what_burn_says() {
    for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu] {
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let project = Project::new(activation, pooling);
            project.export(&["export.max_logit_diff=2e-5"]).unwrap();
            let metrics: Value = read_json(&project.path("reports/export/metrics.json")).unwrap();
            assert_eq!(metrics["changed_decisions"], 0, "{activation:?} {pooling:?}");
            let profile: Profile = read_json(&project.path("models/bundle/profile.json")).unwrap();
            let said = profile.column(Signal::PAcceptable).unwrap();
            let (low, high) = said.iter().fold((1.0_f64, 0.0_f64), |(low, high), &p| (low.min(p), high.max(p)));
            assert!(high - low > 0.05, "sentences must differ for this to mean something: from {low} to {high}");
        }
    }
}

#[test]
fn a_bundle_answers_for_itself() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    let lines = project.export(&["export.precision=fp32"]).unwrap();
    let bundle = project.path("models/bundle");
    assert_eq!(
        names(&bundle),
        ["bundle.json", "model.int8.onnx", "model.onnx", "profile.json", "signals.json", "tokenizer.json"]
    );
    let manifest: Manifest = verify(&bundle).unwrap();
    assert!(lines[2].contains(&manifest.digest[..12]) && lines[2].ends_with("served as fp32"), "{lines:#?}");
    assert_eq!(manifest.files.len(), 5);
    for (name, entry) in &manifest.files {
        assert_eq!(entry.sha256, sha256_file(&bundle.join(name)).unwrap());
        assert_eq!(entry.bytes, fs::metadata(bundle.join(name)).unwrap().len());
    }
    assert_eq!(
        (manifest.max_length, manifest.vocabulary, manifest.default_precision),
        (MAX_LENGTH, 500, Precision::Fp32)
    );
    assert_eq!(manifest.calibration.temperature, 1.25);
    let origin = &manifest.origin;
    assert_eq!(origin.checkpoint_sha256, sha256_file(&project.path("models/checkpoint/model.safetensors")).unwrap());
    assert_eq!(origin.base_model_sha256, Some("ab".repeat(32)));
    assert_eq!(origin.git_commit, None, "the project lies in no repository");
    assert_eq!(origin.data.len(), 4);
    let validation = sha256_file(&project.path("data/prepared/validation.parquet")).unwrap();
    assert_eq!(origin.data["data/prepared/validation.parquet"], validation);
    assert_eq!(origin.parameters["export"]["precision"], "fp32");
    assert_eq!(origin.parameters["prepare"]["max_length"], MAX_LENGTH);

    let metrics: Value = read_json(&project.path("reports/export/metrics.json")).unwrap();
    assert_eq!(metrics["mcc"], manifest.metrics.mcc);
    assert_eq!(metrics["int8"]["mcc"], manifest.metrics.int8_mcc);
    assert_eq!(metrics["bytes"], manifest.files["model.onnx"].bytes);
    assert_eq!(metrics["int8"]["bytes"], manifest.files["model.int8.onnx"].bytes);
}

#[test]
fn the_profile_is_what_the_served_model_sees_and_says() {
    for precision in [Precision::Fp32, Precision::Int8] {
        let project = Project::new(Activation::Gelu, Pooling::Mean);
        project.export(&[&format!("export.precision={}", precision.name())]).unwrap();
        let bundle = project.path("models/bundle");
        let profile: Profile = read_json(&bundle.join("profile.json")).unwrap();
        let predictor = Predictor::open(&bundle, &Options { precision: None, threads: 1 }).unwrap();
        let source = profile.source();
        assert_eq!((source.split.as_str(), source.precision, profile.sentences()), ("validation", precision, 120));
        assert_eq!(source.files[precision.file()], predictor.manifest().files[precision.file()].sha256);
        let column = |signal| profile.column(signal).unwrap();
        for (row, example) in examples().iter().enumerate() {
            let prediction = predictor.predict(&example.sentence).unwrap();
            let signals = prediction.signals.unwrap();
            assert_eq!(profile.labels().unwrap()[row], example.label);
            for (signal, live) in [
                (Signal::Tokens, prediction.tokens as f64),
                (Signal::Truncated, f64::from(u8::from(prediction.truncated))),
                (Signal::UnknownShare, prediction.unknown_tokens as f64 / prediction.tokens as f64),
                (Signal::PAcceptable, prediction.probabilities[1]),
                (Signal::PiecesPerWord, signals.pieces_per_word),
                (Signal::FrequentShare, signals.frequent_share),
                (Signal::Surprise, signals.surprise),
            ] {
                assert!((column(signal)[row] - live).abs() <= 5e-5, "{signal} of sentence {row}: {live}");
            }
        }
        let varied = |signal| column(signal).iter().any(|value| *value != column(signal)[0]);
        assert!(varied(Signal::UnknownShare) && varied(Signal::Truncated) && varied(Signal::NonAsciiShare));
    }
}

#[test]
fn a_corpus_that_is_too_small_to_watch_gives_a_bundle_without_reference_and_the_stage_says_so() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    write_examples(&project.path("data/prepared/train.parquet"), &[]).unwrap();
    let lines = project.export(&[]).unwrap();
    let told = lines.last().unwrap();
    assert!(told.starts_with("without signals.json: the corpus is too small"), "{told}");
    let bundle = project.path("models/bundle");
    assert!(!bundle.join("signals.json").exists());
    let predictor = Predictor::open(&bundle, &Options::default()).unwrap();
    assert_eq!(predictor.predict("The cat sleeps.").unwrap().signals, None);
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_a_second_run_replaces_the_first() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    project.export(&[]).unwrap();
    let written = || (files(&project.path("models")), files(&project.path("reports/export")));
    let first = written();
    fs::write(project.path("models/bundle/stray"), "of an earlier version").unwrap();
    project.export(&[]).unwrap();
    assert_eq!(first, written());
    assert_eq!(names(&project.path("models")), ["bundle", "checkpoint", "native"], "nothing else is left behind");
}

#[test]
fn no_output_quotes_a_sentence() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    project.export(&[]).unwrap();
    for folder in ["models/bundle", "models/native", "reports/export"] {
        for (path, bytes) in files(&project.path(folder)) {
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "{folder}/{} quotes a sentence", path.display());
        }
    }
}

#[test]
fn a_broken_bound_names_the_sentence_and_leaves_the_old_bundle() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    project.export(&[]).unwrap();
    let old = files(&project.path("models"));
    let error = project.fails(&["export.max_logit_diff=1e-12", "export.precision=fp32"]);
    assert!(
        error.contains("sentence validation-") && error.contains("export.max_logit_diff allows 1.00e-12"),
        "{error}"
    );
    assert!(!error.contains(SECRET), "{error}");
    assert_eq!(old, files(&project.path("models")));
}

#[test]
fn token_ids_of_another_tokenizer_are_noticed() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    let mut examples = examples();
    examples[4].input_ids[2] += 1;
    write_examples(&project.path("data/prepared/validation.parquet"), &examples).unwrap();
    let error = project.fails(&[]);
    assert!(error.starts_with("sentence validation-5 of validation: the engine makes "), "{error}");
    assert!(!error.contains(SECRET), "{error}");
    assert!(!project.path("models/bundle").exists());
}

#[test]
fn reports_on_another_checkpoint_are_noticed() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    let path = project.path("reports/eval/metrics.json");
    let mut metrics: Value = read_json(&path).unwrap();
    metrics["validation"]["mcc"] = 0.987.into();
    fs::write(&path, metrics.to_string()).unwrap();
    let error = project.fails(&[]);
    assert!(error.contains("metrics.json is of another checkpoint") && error.contains("0.987"), "{error}");
}

#[test]
fn missing_inputs_say_which_stage_writes_them() {
    let project = Project::new(Activation::Gelu, Pooling::Mean);
    fs::remove_file(project.path("reports/eval/calibration.json")).unwrap();
    assert!(project.fails(&[]).starts_with("run the eval stage first: cannot read "));
    fs::remove_dir_all(project.path("models/checkpoint")).unwrap();
    write_examples(&project.path("data/prepared/validation.parquet"), &[]).unwrap();
    assert_eq!(project.fails(&[]), "validation has no sentences; run the prepare stage again");
    fs::remove_file(project.path("data/prepared").join(format!("{}.parquet", Split::Validation.name()))).unwrap();
    assert!(project.fails(&[]).contains("run the prepare stage first"));
}
