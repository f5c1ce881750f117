//! The binary, on a random checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::dataset::{Domain, Example, Split, write_examples};
use wellformed_core::family::Family;
use wellformed_core::label::Label;
use wellformed_core::params::{DeviceKind, Pooling};
use wellformed_model::checkpoint::{Checkpoint, Origin};
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::{Activation, BertConfig};
use wellformed_model::device;

use crate::support::{SECRET, files};

const VOCABULARY: usize = 50;

/// A project with prepared data, parameters and, perhaps, a checkpoint.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let params = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml");
        fs::copy(params, folder.path().join("params.yaml")).unwrap();
        let project = Self { folder };
        for (split, count) in [(Split::Tune, 40), (Split::Validation, 50), (Split::Phenomena, 24)] {
            let example = |index: usize| Example {
                id: format!("{}-{}", split.name(), index + 1),
                sentence: format!("The {SECRET} snores {index} times."),
                label: Label::from_index(usize::from(!index.is_multiple_of(3))).unwrap(),
                source: ["gj04", "ks08"][index % 2].to_owned(),
                domain: [Domain::In, Domain::Out][index % 2],
                input_ids: (0..3 + index % 9).map(|at| ((at * 7 + index) % VOCABULARY) as i32).collect(),
            };
            let examples: Vec<Example> = (0..count).map(example).collect();
            write_examples(&project.path(&format!("data/prepared/{}.parquet", split.name())), &examples).unwrap();
        }
        project
    }

    fn with_checkpoint() -> Self {
        let project = Self::new();
        let encoder = BertConfig {
            vocab_size: VOCABULARY,
            embedding_size: None,
            hidden_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 32,
            hidden_act: Activation::Gelu,
            max_position_embeddings: 32,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            initializer_range: 0.5,
            pad_token_id: Some(0),
            model_type: Family::Bert,
            position_embedding_type: "absolute".to_owned(),
        };
        let architecture = Architecture {
            encoder,
            pooling: Pooling::Mean,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: 0.1,
        };
        let chosen = device::open(DeviceKind::Flex).unwrap();
        let origin = Origin {
            epoch: 1,
            selected_by: "mcc".to_owned(),
            score: 0.0,
            seed: 1,
            device: "flex".to_owned(),
            base_sha256: None,
        };
        let classifier = Classifier::random(architecture, 5, &chosen);
        let folder = project.path("models/checkpoint");
        fs::create_dir_all(&folder).unwrap();
        let tokenizer = project.path("tokenizer.json");
        fs::write(&tokenizer, "{}").unwrap();
        Checkpoint { classifier, max_length: 16, origin }.save(&folder, &tokenizer).unwrap();
        project
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn eval(&self, sets: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eval"));
        command.current_dir(self.folder.path()).args(["--set", "compute.device=flex"]);
        for set in sets {
            command.args(["--set", set]);
        }
        command.output().unwrap()
    }

    fn fails(&self, sets: &[&str]) -> String {
        let output = self.eval(sets);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_checkpoint_is_evaluated_and_the_output_does_not_depend_on_threads_or_earlier_runs() {
    let project = Project::with_checkpoint();
    let mut results = Vec::new();
    for threads in ["compute.threads=1", "compute.threads=2", "compute.threads=2"] {
        let output = project.eval(&[threads, "eval.batch_size=8"]);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{stderr}");
        assert!(stdout.starts_with("validation: MCC "), "{stdout}");
        assert_eq!(stderr, "evaluating 114 sentences on flex\n", "no bar without a terminal");
        results.push((files(&project.path("reports")), files(&project.path("data/eval")), stdout.into_owned()));
    }
    assert!(results[0] == results[1], "one thread and two differ");
    assert!(results[1] == results[2], "a second run differs");

    let text = fs::read_to_string(project.path("reports/eval/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&text).unwrap();
    for part in ["validation", "in_domain", "out_of_domain", "tune"] {
        for name in ["mcc", "mcc_low", "mcc_high", "accuracy"] {
            assert!(metrics[part][name].is_f64(), "{part}.{name}");
        }
    }
    assert!(metrics["phenomena"]["by_phenomenon"]["gj04"].is_f64());
    let wrong = fs::read_to_string(project.path("data/eval/wrong.csv")).unwrap();
    assert_eq!(wrong.lines().next().unwrap(), "id,source,domain,label,predicted,p_acceptable,sentence");
}

#[test]
fn an_evaluation_is_told_to_the_run_of_its_checkpoint() {
    let project = Project::with_checkpoint();
    let weights = wellformed_core::files::sha256_file(&project.path("models/checkpoint/model.safetensors")).unwrap();
    fs::create_dir_all(project.path("runs/checkpoints")).unwrap();
    fs::write(project.path(&format!("runs/checkpoints/{weights}.json")), "{\"run\": \"ab12cd34\"}").unwrap();
    let output = project.eval(&["track.sinks=[files, wandb]"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let json =
        |path: &str| -> Value { serde_json::from_str(&fs::read_to_string(project.path(path)).unwrap()).unwrap() };
    let (told, reported) = (json("runs/ab12cd34/metrics.json"), json("reports/eval/metrics.json"));
    let (told, reported) = (&told["eval"]["validation"], &reported["validation"]);
    for name in ["mcc", "mcc_low", "accuracy", "ece"] {
        assert_eq!(told[name].as_f64().unwrap(), reported[name].as_f64().unwrap(), "{name}");
    }
    let rows = |path: &str| json(path).as_array().unwrap().len();
    assert_eq!(rows("runs/ab12cd34/plots/sklearn/confusion_matrix.json"), 50);
    let lines = |path: &str| fs::read_to_string(project.path(path)).unwrap().lines().count();
    assert_eq!(rows("runs/ab12cd34/plots/custom/roc.json"), lines("reports/eval/roc.csv") - 1);
    let curve = lines("reports/eval/precision_recall.csv") - 1;
    assert_eq!(rows("runs/ab12cd34/plots/custom/precision_recall.json"), curve);
    assert_eq!(rows("runs/ab12cd34/plots/custom/by_phenomenon.json"), 2);
    assert_eq!(lines("runs/ab12cd34/tables/wrong.tsv"), lines("data/eval/wrong.csv"));

    // Sentences are W&B's, where they are allowed, and nobody else's.
    let quotes = |folder: &str| {
        let all = files(&project.path(folder));
        all.values().any(|bytes| String::from_utf8_lossy(bytes).contains(SECRET))
    };
    assert!(!quotes("runs") && quotes("wandb"));
    fs::remove_dir_all(project.path("wandb")).unwrap();
    let output = project.eval(&["track.wandb.sentences=false"]);
    assert!(output.status.success() && !quotes("wandb") && !quotes("runs"));
}

#[test]
fn without_a_checkpoint_the_reader_is_sent_to_train() {
    let project = Project::new();
    let error = project.fails(&[]);
    assert!(error.contains("models/checkpoint") && error.contains("run the train stage first"), "{error}");
    assert!(!project.path("reports").exists(), "nothing is written");
    assert!(!project.path("runs").exists() && !project.path("wandb").exists(), "no run is begun");
}

#[test]
fn without_prepared_data_the_reader_is_sent_to_prepare() {
    let project = Project::with_checkpoint();
    fs::remove_file(project.path("data/prepared/phenomena.parquet")).unwrap();
    let error = project.fails(&[]);
    assert!(error.contains("phenomena.parquet") && error.contains("run the prepare stage first"), "{error}");
}

#[test]
fn tokens_of_another_vocabulary_are_refused() {
    let project = Project::with_checkpoint();
    let example = |input_ids| Example {
        id: "validation-1".to_owned(),
        sentence: "It snores.".to_owned(),
        label: Label::Acceptable,
        source: "gj04".to_owned(),
        domain: Domain::In,
        input_ids,
    };
    let path = project.path("data/prepared/validation.parquet");
    write_examples(&path, &[example(vec![1, 9000, 2])]).unwrap();
    let error = project.fails(&[]);
    assert!(error.contains("validation-1") && error.contains("token 9000") && error.contains("50 entries"), "{error}");
    write_examples(&path, &[example(vec![1; 40])]).unwrap();
    let error = project.fails(&[]);
    assert!(error.contains("40 tokens") && error.contains("at most 32"), "{error}");
}

#[test]
fn a_bad_parameter_is_named() {
    let error = Project::new().fails(&["eval.bootstrap_samples=5"]);
    assert!(error.contains("eval.bootstrap_samples is 5, but must be at least 100"), "{error}");
}
