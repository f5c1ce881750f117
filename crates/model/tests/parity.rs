//! The classifier answers as Hugging Face transformers does, in every family; fixtures by `fixtures/make_bert.py`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::Deserialize;
use wellformed_core::params::{DeviceKind, ModelParams, Pooling, TrainPrecision};
use wellformed_model::batch::Batch;
use wellformed_model::checkpoint::{Checkpoint, Origin};
use wellformed_model::classifier::{Architecture, Classifier, Mode};
use wellformed_model::config::BertConfig;
use wellformed_model::device::{available, open};
use wellformed_model::follow_path;
use wellformed_model::names::{FileNames, ParameterPath};
use wellformed_model::weights;

#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    pooling: Option<Pooling>,
    sequences: Vec<Vec<i32>>,
    logits: Vec<[f32; 2]>,
    #[serde(default)]
    layers: BTreeMap<String, Vec<[f32; 2]>>,
    #[serde(default)]
    gradient_norms: BTreeMap<String, f64>,
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

/// The devices of this build that can be had on any machine: `wgpu` where it is asked for, with Mesa's driver for the CPU.
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
    let names = architecture.file_names();
    tensors.extend(weights::read(head).unwrap().into_iter().map(|(name, tensor)| (names.ours(&name).unwrap(), tensor)));
    Classifier::from_tensors(tensors, head, architecture, &chosen).unwrap()
}

fn largest_difference(classifier: &Classifier, sequences: &[Vec<i32>], expected: &[[f32; 2]]) -> f32 {
    // All in one batch: padding, or packing, must not change an answer.
    let batch = Batch::new(sequences.iter().map(|ids| &ids[..]));
    let logits = classifier.logits(&batch).unwrap();
    let pairs = logits.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

fn agrees_on_every_cpu_device(name: &str) {
    let folder = fixture(name);
    let expected = expected(&folder);
    let params = params(expected.pooling.unwrap(), 0);
    for kind in devices() {
        let classifier = load(&folder, &folder.join("classifier.safetensors"), &params, kind);
        let difference = largest_difference(&classifier, &expected.sequences, &expected.logits);
        assert!(difference < 1e-4, "{name} on {}: {difference}", kind.name());
    }
}

#[test]
fn random_berts_agree_with_transformers_on_every_cpu_device() {
    ["gelu-mean", "gelu-new-cls", "relu-mean"].into_iter().for_each(agrees_on_every_cpu_device);
}

#[test]
fn electras_agree_with_transformers_with_and_without_a_projection_and_under_their_own_head() {
    ["electra-cls", "electra-mean", "electra-wide"].into_iter().for_each(agrees_on_every_cpu_device);
}

/// The norm of each parameter's gradient, under the name that the family's own class has for the parameter.
struct Norms {
    path: ParameterPath,
    names: FileNames,
    grads: GradientsParams,
    found: BTreeMap<String, f64>,
}

impl ModuleVisitor for Norms {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.grads.remove::<D>(param.id).unwrap();
        let values = gradient.into_data().try_into_vec::<f32>().unwrap();
        let norm = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let name = self.names.theirs(&self.path.name(self.names.pooling).0);
        let prefix = format!("{}.", self.names.family);
        self.found.insert(name.strip_prefix(&prefix).unwrap_or(&name).to_owned(), norm);
    }
}

#[test]
fn gradients_of_every_parameter_are_those_of_pytorch_on_every_cpu_device() {
    for name in ["electra-cls", "electra-wide", "roberta-cls"] {
        let folder = fixture(name);
        let expected = expected(&folder);
        let params = ModelParams {
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            classifier_dropout: 0.0,
            ..params(Pooling::Cls, 0)
        };
        for kind in devices() {
            let classifier = load(&folder, &folder.join("classifier.safetensors"), &params, kind).train(&params);
            let batch = Batch::new(expected.sequences.iter().map(|ids| &ids[..]));
            let logits = classifier.forward(&batch, Mode::Training { seed: 1, precision: TrainPrecision::Fp32 });
            let [zero, one] = [0, 1].map(|column| logits.clone().narrow(1, column, 1));
            let loss = (zero.clone().mul_scalar(0.7) - one.clone().mul_scalar(1.3) + zero * one).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &classifier.weights);
            let names = classifier.architecture.file_names();
            let mut norms = Norms { path: ParameterPath::default(), names, grads, found: BTreeMap::new() };
            classifier.weights.visit(&mut norms);
            let found = norms.found;
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.gradient_norms.keys().collect::<Vec<_>>(), "{name}");
            // Biases of keys have no gradient: they move all scores of a query alike.
            for (parameter, wanted) in &expected.gradient_norms {
                let difference = (found[parameter] - wanted).abs();
                let what = format!("{name} on {}, {parameter}", kind.name());
                assert!(difference < 1e-3 * wanted + 1e-4, "{what}: {} is not {wanted}", found[parameter]);
            }
        }
    }
}

#[test]
fn robertas_agree_with_transformers_up_to_their_longest_sequence() {
    ["roberta-cls", "roberta-mean"].into_iter().for_each(agrees_on_every_cpu_device);
    let config = BertConfig::load(&fixture("roberta-cls/config.json")).unwrap();
    let longest = expected(&fixture("roberta-cls")).sequences.iter().map(Vec::len).max().unwrap();
    assert_eq!((config.max_position_embeddings, config.positions()), (16, longest));
    let error = config.check_sequence(&vec![5; longest + 1]).unwrap_err().to_string();
    assert_eq!(error, "it has 15 tokens, the model at most 14");
}

#[test]
fn a_checkpoint_has_the_names_of_the_familys_own_class_and_is_read_back() {
    for name in ["gelu-new-cls", "electra-cls", "electra-mean", "roberta-cls", "roberta-mean"] {
        let folder = fixture(name);
        let pooling = expected(&folder).pooling.unwrap();
        let params = params(pooling, 0);
        let classifier = load(&folder, &folder.join("classifier.safetensors"), &params, DeviceKind::Flex);
        let tensors = classifier.tensors().unwrap();
        let checkpoint = Checkpoint {
            classifier,
            max_length: 14,
            origin: Origin {
                epoch: 1,
                selected_by: "mcc".to_owned(),
                score: 0.0,
                seed: 1,
                device: "flex".to_owned(),
                base_sha256: None,
            },
        };
        let written = tempfile::tempdir().unwrap();
        checkpoint.save(written.path(), &folder.join("config.json")).unwrap();
        let bytes = std::fs::read(written.path().join("model.safetensors")).unwrap();
        let found = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut found: Vec<&str> = found.names().into_iter().filter(|name| !name.contains("layer.")).collect();
        found.sort_unstable();
        let family = name.split('-').next().unwrap().replace("gelu", "bert");
        let embeddings = ["LayerNorm.bias", "LayerNorm.weight", "position_embeddings.weight"];
        let embeddings = embeddings.into_iter().chain(["token_type_embeddings.weight", "word_embeddings.weight"]);
        let mut names: Vec<String> = embeddings.map(|part| format!("{family}.embeddings.{part}")).collect();
        let head: &[&str] = match (family.as_str(), pooling) {
            ("bert", _) => &["bert.pooler.dense", "classifier"],
            (_, Pooling::Cls) => &["classifier.dense", "classifier.out_proj"],
            (_, Pooling::Mean) => &["head.dense", "classifier"],
        };
        let projection = (family == "electra").then_some("electra.embeddings_project");
        let linear = head.iter().copied().chain(projection);
        names.extend(linear.flat_map(|place| [format!("{place}.bias"), format!("{place}.weight")]));
        names.sort_unstable();
        assert_eq!(found, names, "{name}");

        let read = Checkpoint::load(written.path(), &open(DeviceKind::Flex).unwrap()).unwrap();
        assert_eq!(read.classifier.architecture, checkpoint.classifier.architecture);
        assert!(read.classifier.tensors().unwrap() == tensors, "{name}");
    }
}

#[test]
fn a_model_of_another_family_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let refused = |from: &str, to: &str| {
        let text = std::fs::read_to_string(fixture("roberta-cls/config.json")).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        format!("{:#}", BertConfig::load(&path).unwrap_err())
    };
    let error = refused("\"roberta\"", "\"gpt2\"");
    assert!(error.contains("model_type is \"gpt2\", but must be \"bert\", \"electra\" or \"roberta\""), "{error}");
    let error = refused("\"max_position_embeddings\": 16", "\"max_position_embeddings\": 2");
    assert!(error.contains("max_position_embeddings is 2, but positions of a roberta start at 2"), "{error}");
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
