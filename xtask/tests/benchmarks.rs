//! The page of benchmarks is what was measured.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::Command;

use xtask::bench::{SAME, page};
use xtask::params_file::ParamsFile;
use xtask::process::root;

#[test]
fn docs_benchmarks_md_is_what_the_reports_give() {
    if let Err(error) = page::check(&root()) {
        panic!("{error:#}");
    }
}

#[test]
fn bench_alone_teaches_and_the_page_is_written_or_checked_but_not_both() {
    let xtask = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("bench").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, help) = xtask(&[]);
    assert_eq!(code, Some(2));
    for word in ["train", "infer", "serve", "monitor", "cold-start", "release", "--write", "--check"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert_eq!(xtask(&["--write", "--check"]).0, Some(2));
    assert_eq!(xtask(&["--check", "train"]).0, Some(2));
    assert_eq!(xtask(&["--check"]).0, Some(0));
}

#[test]
fn a_shape_that_does_not_exist_is_refused_before_anything_runs() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.args(["bench", "train", "--shapes", "12x768"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("12x768") && said.contains("2x128, 3x384, 6x384"), "{said}");
}

#[test]
fn what_is_equal_on_both_sides_is_said_in_parameters_that_exist() {
    let params = ParamsFile::read(&root().join("params.yaml")).unwrap();
    for set in SAME {
        let (key, _) = set.split_once('=').unwrap();
        assert!(params.get(key).is_some(), "`cargo xtask bench train` sets {key}, which params.yaml does not have");
    }
}
