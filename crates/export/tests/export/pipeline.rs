//! The whole pipeline on base models of every family: the stages' own binaries, one after the other, in a new project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::bundle::Manifest;
use wellformed_core::files::read_json;
use wellformed_infer::verify;

use crate::families::{BASES, base};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A binary of another stage: where the pipeline looks for it, or where Cargo built this test.
fn binary(name: &str) -> PathBuf {
    let built = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let path = std::env::var_os("WELLFORMED_BINARIES").map_or_else(built, PathBuf::from).join(name);
    assert!(path.is_file(), "{} is not built: run `cargo build --release --bins`", path.display());
    path
}

struct Run {
    folder: TempDir,
}

impl Run {
    /// A project of the committed parameters and nothing else.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(root().join("params.yaml"), folder.path().join("params.yaml")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs one stage; what it printed.
    fn stage(&self, name: &str, sets: &[&str]) -> String {
        let mut command = Command::new(binary(name));
        command.current_dir(self.folder.path());
        for set in sets {
            command.args(["--set", set]);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{name}:\n{said}");
        said
    }
}

const SENTENCES: &str = "The cat sleeps.\nThe cats sleeps on the old mat.\nWho did she say that left?\n\
                         the teachers read the book that the girl bought\nNaïve Zoë doesn't know.\n";

#[test]
#[ignore = "needs the stages' binaries; `cargo xtask test` builds and runs it"]
fn every_stage_takes_a_base_of_every_family_to_a_bundle_that_answers_as_transformers_does() {
    // Both kinds of device, the fused one and plain operations.
    for (name, device) in BASES.into_iter().zip(["flex", "ndarray"]) {
        let run = Run::new();
        let source = format!("base.source='dir:{}'", base(name).display());
        let device = format!("compute.device={device}");
        let sets = [
            &source,
            "base.folder=''",
            "base.sha256={}",
            "data.source=starter",
            "data.starter.train_pairs=20",
            "data.starter.validation_pairs=10",
            "prepare.max_length=24",
            &device,
            "model.pooling=cls",
            "model.layers=0",
            "train.epochs=1",
            "train.batch_size=16",
            "train.limit_train_batches=12",
            "train.lr=1e-3",
            "train.layer_lr_decay=0.9",
            "eval.bootstrap_samples=100",
            "export.max_mcc_drop=1",
            "track.sinks=[]",
        ];
        for stage in ["fetch", "prepare", "train", "eval", "export"] {
            run.stage(stage, &sets);
        }
        let config: Value = read_json(&run.path("models/checkpoint/config.json")).unwrap();
        assert_eq!(config["model_type"], name);
        let metrics: Value = read_json(&run.path("reports/export/metrics.json")).unwrap();
        assert_eq!(metrics["changed_decisions"], 0);
        assert!(metrics["max_abs_logit_diff"].as_f64().unwrap() < 1e-4, "{metrics}");
        assert!(run.path("models/native/model.rs").is_file());
        let manifest: Manifest = verify(&run.path("models/bundle")).unwrap();
        assert_eq!(manifest.origin.base_model, format!("dir:{}", base(name).display()));

        fs::write(run.path("sentences.txt"), SENTENCES).unwrap();
        for precision in ["fp32", "int8"] {
            let mut predict = Command::new(binary("predict"));
            predict.current_dir(run.folder.path()).args(["--precision", precision, "--json", "--quiet"]);
            let output = predict.stdin(fs::File::open(run.path("sentences.txt")).unwrap()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said.lines().count(), SENTENCES.lines().count(), "{said}");
            fs::write(run.path(&format!("{precision}.jsonl")), said).unwrap();
        }
        compare_with_transformers(&run);
    }
}

/// By `fixtures/compare_with_transformers.py`, where its environment is.
fn compare_with_transformers(run: &Run) {
    let named = std::env::var_os("WELLFORMED_TRANSFORMERS");
    let python = named.map_or_else(|| root().join(".venv-bench/bin/python"), PathBuf::from);
    if !python.is_file() {
        eprintln!(
            "NOT TESTED: {} is not there (`cargo xtask bench train` makes it), so the trained model is not compared \
             with transformers here",
            python.display()
        );
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compare_with_transformers.py");
    let mut compare = Command::new(python);
    compare.arg(script).args([run.path("models/checkpoint"), run.path("models/bundle")]);
    compare.env("HF_HUB_OFFLINE", "1").stdin(fs::File::open(run.path("fp32.jsonl")).unwrap()).stderr(Stdio::inherit());
    let output = compare.output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success());
}
