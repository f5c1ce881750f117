//! Two runs in a git repository, and pages taken apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::dataset::{Domain, Example, write_examples};
use wellformed_core::label::Label;
use wellformed_report::predictions;

/// A word that stands in every sentence of the tests and in nobody's code.
pub(crate) const SECRET: &str = "quibblewort";

pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

pub(crate) fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

/// A project whose last commit is the run `before`, and whose working tree is the run `after`.
pub(crate) struct Project {
    folder: TempDir,
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(project.path("dvc.yaml"), "stages: {}\n").unwrap();
        fs::write(project.path(".gitignore"), "/data/\n/report/\npredictions.parquet\n/dvc*\n").unwrap();
        copy(&fixture("runs/before"), project.root());
        project.git(&["init", "--quiet", "--initial-branch", "main"]);
        project.git(&["add", "--all"]);
        project.git(&["commit", "--quiet", "--message", "before"]);
        copy(&fixture("runs/after"), project.root());
        project
    }

    /// With the sentences of validation, which are ours, and the wrong ones among them.
    pub(crate) fn with_data() -> Self {
        let project = Self::new();
        let examples = examples();
        write_examples(&project.path("data/prepared/validation.parquet"), &examples).unwrap();
        fs::create_dir_all(project.path("data/eval")).unwrap();
        let mut wrong = "id,source,domain,label,predicted,p_acceptable,sentence\n".to_owned();
        for (example, one) in examples.iter().zip(validation(&project.path("reports/eval/predictions.parquet"))) {
            if one.decision() != one.label {
                let (label, said) = (one.label.name(), one.decision().name());
                let _ = writeln!(
                    wrong,
                    "{},{},{},{label},{said},{:.6},\"{}\"",
                    one.id,
                    example.source,
                    example.domain.name(),
                    one.p_acceptable,
                    example.sentence.replace('"', "\"\"")
                );
            }
        }
        fs::write(project.path("data/eval/wrong.csv"), wrong).unwrap();
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.root()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.org");
            git.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A program that stands in for DVC: it has the predictions of the older run, and something to say of metrics.
    pub(crate) fn dvc(&self) -> PathBuf {
        self.script(&format!(
            "case \"$1\" in\n  get) for last; do :; done; cp '{}' \"$last\" ;;\n  metrics) printf '| Path   | Metric |\\n' ;;\n  \
             params) ;;\n  exp) cat '{}' ;;\n  *) exit 1 ;;\nesac\n",
            fixture("runs/before/reports/eval/predictions.parquet").display(),
            fixture("experiments.json").display()
        ))
    }

    /// A program that stands in for a DVC without cache and remote.
    pub(crate) fn dvc_without_data(&self) -> PathBuf {
        self.script("exit 255\n")
    }

    fn script(&self, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("dvc-stand-in");
        fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_report")).args(arguments).current_dir(self.root()).output().unwrap()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// The predictions of validation, in the order of the file.
pub(crate) fn validation(path: &Path) -> Vec<predictions::Prediction> {
    predictions::read(path).unwrap().into_iter().filter(|one| one.split == "validation").collect()
}

/// Sentences of our own for the ids of the fixture; some try to break out of the page.
pub(crate) fn examples() -> Vec<Example> {
    let labels: BTreeMap<String, Label> = validation(&fixture("runs/before/reports/eval/predictions.parquet"))
        .into_iter()
        .map(|one| (one.id, one.label))
        .collect();
    let rows = expected()["rows"].as_array().unwrap().clone();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter()
        .enumerate()
        .map(|(at, row)| Example {
            id: text(row, "id"),
            sentence: format!("The {SECRET} <b>hums</b> & \"sings\" {at} </script><script>times."),
            label: labels[&text(row, "id")],
            source: text(row, "source"),
            domain: Domain::from_name(&text(row, "domain")).unwrap(),
            input_ids: vec![101, 102],
        })
        .collect()
}

/// What the program printed, both streams.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
