//! The program in docs/bundle.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wellformed_infer::{Options, Predictor};

use crate::families;
use crate::support::fixture_bundle;

#[test]
#[ignore = "needs onnxruntime in .venv-onnx (bench/requirements-onnx.txt): cargo test --release -p wellformed-export -- --ignored"]
fn the_program_in_the_documentation_says_what_the_engine_says_of_a_bundle_of_every_family() {
    agree(&fixture_bundle().canonicalize().unwrap());
    for family in families::BASES {
        let project = families::project(family);
        project.export(&["export.precision=int8"]).unwrap();
        agree(&project.path("models/bundle"));
    }
}

fn agree(bundle: &PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/bundle.md")).unwrap();
    let program = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("models")).unwrap();
    std::os::unix::fs::symlink(bundle, folder.path().join("models/bundle")).unwrap();
    let python = std::env::var_os("WELLFORMED_PYTHON").map_or_else(|| root.join(".venv-onnx/bin/python"), Into::into);
    let output = Command::new(python).args(["-c", program]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let predictor = Predictor::open(bundle, &Options::default()).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 2);
    for line in printed.lines() {
        let (verdict, sentence) = line.split_once(": ").unwrap();
        let (p, label) = verdict.split_once(' ').unwrap();
        let prediction = predictor.predict(sentence).unwrap();
        assert_eq!(label, prediction.label.name());
        assert!((p.parse::<f64>().unwrap() - prediction.probabilities[1]).abs() < 1e-3, "{line}");
    }
}
