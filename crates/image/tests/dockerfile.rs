//! Dockerfile.lambda says what the code does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wellformed_image::{RUST_IMAGE, Target};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn dockerfile() -> String {
    std::fs::read_to_string(root().join("Dockerfile.lambda")).unwrap()
}

/// The project's crates that a program is built from, as folders.
fn built_from(target: Target) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--package", target.package(), "--edges", "normal,build", "--prefix", "none"]);
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let ours = tree.lines().filter_map(|line| line.strip_prefix("wellformed-"));
    ours.map(|line| format!("crates/{}", line.split(' ').next().unwrap())).collect()
}

/// The folders of crates that a stage copies, each to its own place.
fn copied(stage: &str) -> BTreeSet<String> {
    let text = dockerfile();
    let stage = text.split("\nFROM ").find(|it| it.lines().next().unwrap().ends_with(&format!(" AS {stage}"))).unwrap();
    let copies = stage.lines().filter_map(|line| line.strip_prefix("COPY crates/"));
    copies
        .map(|line| {
            let (from, to) = line.split_once(' ').unwrap();
            assert_eq!(format!("crates/{from}"), to);
            to.to_owned()
        })
        .collect()
}

#[test]
fn each_program_is_built_from_the_sources_of_its_crates_and_no_others() {
    assert_eq!(copied("bootstrap"), built_from(Target::Lambda));
    assert_eq!(copied("server"), built_from(Target::Serve));
    assert_eq!(copied("forwarding"), built_from(Target::Forwarder));
}

#[test]
fn the_default_image_of_rust_is_the_same_in_the_dockerfile_and_in_the_code() {
    assert!(dockerfile().contains(&format!("\nARG RUST_IMAGE={RUST_IMAGE}\n")));
}

#[test]
fn nothing_is_run_and_no_shell_is_there_in_what_ships() {
    let text = dockerfile();
    for stage in ["base", "lambda", "serve", "forwarder"] {
        let body =
            text.split("\nFROM ").find(|it| it.lines().next().unwrap().ends_with(&format!(" AS {stage}"))).unwrap();
        assert!(body.starts_with("scratch ") || body.starts_with("base "), "{stage}");
        assert!(!body.lines().any(|line| line.starts_with("RUN ")), "{stage}");
    }
    // Of builders' extensions, none that only one of them has.
    let instructions = || text.lines().filter(|line| !line.starts_with('#'));
    assert!(!instructions().any(|line| line.contains("--mount") || line.contains("<<")));
}
