//! The binary: what it prints and what it ends with.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Project, table};

/// The binary in a project, with the parameters of the repository and an environment that changes none.
fn run(project: &Project, arguments: &[&str]) -> Output {
    let params = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_prepare"));
    command.current_dir(project.root()).arg("--params").arg(params).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WELLFORMED_") {
            command.env_remove(&name);
        }
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_split_has_its_line_and_no_sentence_is_printed() {
    let project = Project::own(&table(60, 40));
    let few = ["--set", "prepare.grammar_pairs=10", "--set", "prepare.construction_pairs=1"];
    let output = run(&project, &[&["--set", "prepare.max_length=8"][..], &few].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 6, "{said}");
    assert!(lines[0].starts_with("train: 81 sentences, "), "{said}");
    assert!(lines[1].starts_with("tune: 9 sentences, "), "{said}");
    assert!(lines[2].starts_with("validation: 10 sentences, 60.0 % acceptable, "), "{said}");
    assert!(lines[3].starts_with("phenomena: "), "{said}");
    assert!(lines[5].starts_with("pairs: 160 of the grammar, "), "{said}");
    assert!(!said.contains("mat") && output.stderr.is_empty(), "no bar without a terminal: {}", text(&output.stderr));
}

#[test]
fn a_refusal_goes_to_stderr_with_exit_code_1() {
    let project = Project::own("sentence\tlabel\nA cat.\tyes\n");
    let output = run(&project, &[]);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("error: a row of the corpus is wrong:\n  corpus/train.tsv:2: the label is \"yes\""),
        "{said}"
    );
    let output = run(&project, &["--set", "prepare.max_length=7"]);
    assert!(
        text(&output.stderr).starts_with("error: prepare.max_length is 7, but must be"),
        "{}",
        text(&output.stderr)
    );
}
