//! Bundles of every family answer as transformers does; `fixtures/make_families.py` made the models and the answers.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wellformed_core::dataset::{Domain, Example};
use wellformed_core::label::Label;
use wellformed_core::params::{DeviceKind, Pooling};
use wellformed_infer::{Options, Perturbation, Precision, Predictor};
use wellformed_metrics::probability;
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::BertConfig;
use wellformed_model::{device, weights};
use wellformed_onnx::Pooling as Head;

use crate::support::{MAX_LENGTH, Project};

/// The folders of the fixtures.
pub(crate) const BASES: [&str; 2] = ["electra", "roberta"];

#[derive(Deserialize)]
struct Expected {
    max_length: usize,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    ids: Vec<i32>,
    logits: [f32; 2],
}

pub(crate) fn base(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn expected(name: &str) -> Expected {
    serde_json::from_str(&std::fs::read_to_string(base(name).join("expected.json")).unwrap()).unwrap()
}

/// The fixture's base model under the fixture's head, of the names that transformers gives them.
fn classifier(name: &str) -> Classifier {
    let config = BertConfig::load(&base(name).join("config.json")).unwrap();
    let architecture = Architecture {
        encoder: config,
        pooling: Pooling::Cls,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        classifier_dropout: 0.1,
    };
    let chosen = device::open(DeviceKind::Flex).unwrap();
    let bare = Classifier::from_base(&base(name), architecture.clone(), 1, &chosen).unwrap();
    let mut tensors = bare.tensors().unwrap();
    let names = architecture.file_names();
    let head = weights::read(&base(name).join("head.safetensors")).unwrap();
    let before = tensors.len();
    tensors.extend(head.into_iter().map(|(name, tensor)| (names.ours(&name).unwrap(), tensor)));
    assert_eq!(tensors.len(), before, "the head has the places that the model has for it");
    Classifier::from_tensors(tensors, &base(name), architecture, &chosen).unwrap()
}

/// A project after `eval`, with the fixture's model as checkpoint and its sentences, ten times each, as data.
pub(crate) fn project(name: &str) -> Project {
    let expected = expected(name);
    let example = |(index, sentence): (usize, &Sentence)| Example {
        id: format!("validation-{}", index + 1),
        sentence: sentence.text.clone(),
        label: Label::from_index(usize::from(!index.is_multiple_of(3))).unwrap(),
        source: "own".to_owned(),
        domain: Domain::In,
        input_ids: sentence.ids.clone(),
    };
    let repeated = (0..10).flat_map(|_| &expected.sentences).enumerate();
    let examples: Vec<Example> = repeated.map(example).collect();
    Project::of(classifier(name), &examples, &base(name).join("tokenizer.json"))
}

#[test]
fn a_bundle_of_every_family_has_the_token_ids_and_probabilities_of_transformers() {
    for name in BASES {
        let project = project(name);
        project.export(&["export.max_logit_diff=2e-5"]).unwrap();
        let options = Options { precision: Some(Precision::Fp32), threads: 1 };
        let predictor = Predictor::open(&project.path("models/bundle"), &options).unwrap();
        let expected = expected(name);
        assert_eq!(expected.max_length, MAX_LENGTH);
        assert!(expected.sentences.iter().any(|one| one.ids.len() == MAX_LENGTH), "one is cut");
        let mut said = Vec::new();
        for one in &expected.sentences {
            let ids: Vec<i32> = predictor.tokenize(&one.text).unwrap().ids.iter().map(|id| id.cast_signed()).collect();
            assert_eq!(ids, one.ids, "{name}: {:?}", one.text);
            let prediction = predictor.predict(&one.text).unwrap();
            for (found, wanted) in prediction.logits.iter().zip(one.logits) {
                assert!((found - wanted).abs() < 1e-4, "{name}, {:?}: {found} is not {wanted}", one.text);
            }
            let wanted = probability(one.logits, predictor.manifest().calibration.temperature);
            assert!((prediction.probabilities[1] - wanted).abs() < 1e-4, "{name}, {:?}", one.text);
            said.push(wanted);
        }
        let (low, high) = said.iter().fold((1.0_f64, 0.0_f64), |(low, high), &p| (low.min(p), high.max(p)));
        assert!(high - low > 0.05, "{name}: sentences must differ for this to mean something: from {low} to {high}");
    }
}

#[test]
fn a_bundle_says_which_graph_its_family_needs() {
    let of = |name| {
        let project = project(name);
        project.export(&[]).unwrap();
        let file = std::fs::read(project.path("models/bundle/model.onnx")).unwrap();
        wellformed_onnx::open(file.into()).unwrap()
    };
    let electra = of("electra");
    assert_eq!((electra.architecture.embedding, electra.architecture.pooling), (Some(16), Head::ClsGelu));
    assert_eq!(electra.architecture.positions, MAX_LENGTH);
    let roberta = of("roberta");
    assert_eq!((roberta.architecture.embedding, roberta.architecture.pooling), (None, Head::Cls));
    assert_eq!(roberta.architecture.positions, MAX_LENGTH);
    // Row 0 of the file is row 2 of the base's table, the type's row added.
    let tensors = weights::read(&base("roberta").join("model.safetensors")).unwrap();
    let row =
        |table: &str, row: usize| tensors[&format!("embeddings.{table}.weight")].values[row * 32..][..32].to_vec();
    let pairs = row("position_embeddings", 2).into_iter().zip(row("token_type_embeddings", 0));
    let wanted: Vec<f32> = pairs.map(|(position, kind)| position + kind).collect();
    assert_eq!(roberta.weights["embeddings.position"].f32_values()[..32], wanted);
}

#[test]
fn a_byte_level_sentence_is_explained_word_by_word_and_watched_like_any_other() {
    let project = project("roberta");
    project.export(&[]).unwrap();
    let predictor = Predictor::open(&project.path("models/bundle"), &Options::default()).unwrap();
    let sentence = " The cats, Zoë's 🙂  sleeps.";
    for perturbation in [Perturbation::Omit, Perturbation::Mask] {
        let explained = predictor.explain(sentence, perturbation).unwrap();
        let words: Vec<&str> = explained.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["The", "cats", ",", "Zoë's", "🙂", "sleeps", "."]);
        for word in &explained.words {
            assert_eq!(&sentence[word.start..word.end], word.text);
        }
    }
    // Learned whole from the fixture's sentences: every word is one token, the first one without a space before it.
    let signals = predictor.predict("The cat sleeps.").unwrap().signals.unwrap();
    assert_eq!(signals.pieces_per_word, 1.0);
    let apart = predictor.predict("The zyxwvut sleeps.").unwrap().signals.unwrap();
    assert!(apart.pieces_per_word > 1.5, "{apart:?}");
}
