//! The classifier answers as Hugging Face transformers does; fixtures by `fixtures/make_bert.py`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wellformed_core::params::{DeviceKind, ModelParams, Pooling};
use wellformed_model::batch::Batch;
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::BertConfig;
use wellformed_model::device::{available, open};
use wellformed_model::weights;

#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    pooling: Option<Pooling>,
    sequences: Vec<Vec<i32>>,
    logits: Vec<[f32; 2]>,
    #[serde(default)]
    layers: std::collections::BTreeMap<String, Vec<[f32; 2]>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn params(pooling: Pooling, layers: usize) -> ModelParams {
    ModelParams {
        pooling,
        layers,
        freeze_embeddings: false,
        freeze_layers: 0,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        classifier_dropout: 0.1,
    }
}

/// The CPU devices of this build.
fn devices() -> Vec<DeviceKind> {
    available().into_iter().filter(|kind| !matches!(kind, DeviceKind::Cuda | DeviceKind::LibtorchCuda)).collect()
}

fn expected(folder: &Path) -> Expected {
    serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap()
}

/// The model of a fixture's folder with all of its weights, the head's too.
fn load(folder: &Path, head: &Path, params: &ModelParams, kind: DeviceKind) -> Classifier {
    let config = BertConfig::load(&folder.join("config.json")).unwrap();
    let architecture = Architecture::new(&config, params).unwrap();
    let chosen = open(kind).unwrap();
    let classifier = Classifier::from_base(folder, architecture.clone(), 1, &chosen).unwrap();
    // The base brings no head: put the fixture's into the model's own tensors.
    let mut tensors = classifier.tensors().unwrap();
    tensors.extend(weights::read(head).unwrap());
    Classifier::from_tensors(tensors, head, architecture, &chosen).unwrap()
}

fn largest_difference(classifier: &Classifier, sequences: &[Vec<i32>], expected: &[[f32; 2]]) -> f32 {
    // All in one batch: padding, or packing, must not change an answer.
    let batch = Batch::new(sequences.iter().map(|ids| &ids[..]));
    let logits = classifier.logits(&batch).unwrap();
    let pairs = logits.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

#[test]
fn random_berts_agree_with_transformers_on_every_cpu_device() {
    for name in ["gelu-mean", "gelu-new-cls", "relu-mean"] {
        let folder = fixture(name);
        let expected = expected(&folder);
        let params = params(expected.pooling.unwrap(), 0);
        for kind in devices() {
            let classifier = load(&folder, &folder.join("classifier.safetensors"), &params, kind);
            let difference = largest_difference(&classifier, &expected.sequences, &expected.logits);
            assert!(difference < 1e-4, "{name} on {}: {difference}", kind.name());
        }
    }
}

#[test]
fn a_truncated_bert_agrees_with_transformers() {
    let folder = fixture("gelu-mean");
    let expected = expected(&folder);
    for kind in devices() {
        let classifier = load(&folder, &folder.join("classifier.safetensors"), &params(Pooling::Mean, 2), kind);
        let difference = largest_difference(&classifier, &expected.sequences, &expected.layers["2"]);
        assert!(difference < 1e-4, "{}: {difference}", kind.name());
    }
}

#[test]
#[ignore = "needs models/base as `fetch` brings it by default; `cargo xtask test` runs it"]
fn minilm_agrees_with_transformers() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/base");
    let expected = expected(&fixture("minilm"));
    for kind in devices() {
        let classifier = load(&base, &fixture("minilm/head.safetensors"), &params(Pooling::Mean, 0), kind);
        let difference = largest_difference(&classifier, &expected.sequences, &expected.logits);
        assert!(difference < 1e-4, "{}: {difference}", kind.name());
    }
}
