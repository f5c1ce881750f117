//! Small projects with a random checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use wellformed_core::dataset::{Domain, Example, Split, write_examples};
use wellformed_core::family::Family;
use wellformed_core::files::write_json;
use wellformed_core::label::Label;
use wellformed_core::params::{DeviceKind, ExportStage, Params, Pooling};
use wellformed_export::export;
use wellformed_export::places::Places;
use wellformed_infer::{Options, Predictor};
use wellformed_metrics::{Confusion, rounded};
use wellformed_model::checkpoint::{Checkpoint, Origin};
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::{Activation, BertConfig};
use wellformed_model::device;

/// A word that is in every sentence and must be in no output.
pub(crate) const SECRET: &str = "marmoset";

/// The longest sequence of the projects, and the positions that their models know.
pub(crate) const MAX_LENGTH: usize = 24;

pub(crate) fn fixture_bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle")
}

/// A project after `eval`.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new(activation: Activation, pooling: Pooling) -> Self {
        Self::of(classifier(activation, pooling), &examples(), &fixture_bundle().join("tokenizer.json"))
    }

    /// With a classifier of one's own, and sentences that its tokenizer has tokenised.
    pub(crate) fn of(classifier: Classifier, examples: &[Example], tokenizer: &Path) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml"), project.path("params.yaml")).unwrap();
        for split in Split::ALL {
            let path = project.path(&format!("data/prepared/{}.parquet", split.name()));
            let filled = matches!(split, Split::Train | Split::Validation);
            write_examples(&path, if filled { examples } else { &[] }).unwrap();
        }
        let origin = Origin {
            epoch: 1,
            selected_by: "mcc".to_owned(),
            score: 0.0,
            seed: 1,
            device: "flex".to_owned(),
            base_sha256: Some("ab".repeat(32)),
        };
        let checkpoint = Checkpoint { classifier, max_length: MAX_LENGTH, origin };
        let folder = project.path("models/checkpoint");
        fs::create_dir_all(&folder).unwrap();
        checkpoint.save(&folder, tokenizer).unwrap();

        let ids: Vec<&[i32]> = examples.iter().map(|example| example.input_ids.as_slice()).collect();
        let logits = checkpoint.logits(&ids, 8, &mut |_| {}).unwrap();
        let labels: Vec<bool> = examples.iter().map(|example| example.label == Label::Acceptable).collect();
        let decisions: Vec<bool> = logits.iter().map(|pair| pair[1] > pair[0]).collect();
        let mcc = rounded(Confusion::of(&labels, &decisions).unwrap().mcc());
        let validation = json!({
            "sentences": examples.len(), "mcc": mcc, "mcc_low": -0.5, "mcc_high": 0.5, "accuracy": 0.5, "ece": 0.1,
        });
        write_json(&project.path("reports/eval/metrics.json"), &json!({ "validation": validation })).unwrap();
        let calibration = json!({ "temperature": 1.25, "fitted": true, "threshold": 0.5, "tune_sentences": 10 });
        write_json(&project.path("reports/eval/calibration.json"), &calibration).unwrap();
        project
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the stage. What int8 costs a random model means nothing.
    pub(crate) fn export(&self, sets: &[&str]) -> Result<Vec<String>> {
        let mut all = vec!["compute.device=flex", "export.max_mcc_drop=1", "prepare.max_length=24"];
        all.extend(sets);
        let sets: Vec<String> = all.into_iter().map(str::to_owned).collect();
        let stage: ExportStage = Params::load_stage(&self.path("params.yaml"), &sets).unwrap();
        export(&stage, &Places::in_project(self.root()))
    }

    /// What goes wrong.
    pub(crate) fn fails(&self, sets: &[&str]) -> String {
        format!("{:#}", self.export(sets).unwrap_err())
    }
}

/// Sentences of all lengths, tokenised by the fixture bundle's own tokenizer.
pub(crate) fn examples() -> Vec<Example> {
    let predictor = Predictor::open(&fixture_bundle(), &Options::default()).unwrap();
    let example = |index: usize| {
        let more = " and the old teacher".repeat(index % 6);
        let strange = if index.is_multiple_of(7) { " 猫" } else { "" };
        let sentence = format!("The {SECRET}{more} sleeps {index} times{strange}.");
        let mut ids: Vec<i32> = predictor.tokenize(&sentence).unwrap().ids.iter().map(|id| id.cast_signed()).collect();
        if ids.len() > MAX_LENGTH {
            let end = ids[ids.len() - 1];
            ids.truncate(MAX_LENGTH - 1);
            ids.push(end);
        }
        Example {
            id: format!("validation-{}", index + 1),
            sentence,
            label: Label::from_index(usize::from(!index.is_multiple_of(3))).unwrap(),
            source: "gj04".to_owned(),
            domain: Domain::In,
            input_ids: ids,
        }
    };
    (0..120).map(example).collect()
}

fn classifier(activation: Activation, pooling: Pooling) -> Classifier {
    let encoder = BertConfig {
        vocab_size: 500,
        embedding_size: None,
        hidden_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        intermediate_size: 40,
        hidden_act: activation,
        max_position_embeddings: 40,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        // Wide, so that sentences differ.
        initializer_range: 0.3,
        pad_token_id: Some(0),
        model_type: Family::Bert,
        position_embedding_type: "absolute".to_owned(),
    };
    let architecture =
        Architecture { encoder, pooling, hidden_dropout: 0.1, attention_dropout: 0.1, classifier_dropout: 0.1 };
    Classifier::random(architecture, 3, &device::open(DeviceKind::Flex).unwrap())
}

/// Every file below a folder, by its path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
