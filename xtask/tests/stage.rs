//! `scripts/stage`, which DVC calls for every stage, with real Cargo in a workspace of three small programs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use xtask::process::root;

/// What a stage of this workspace prints: its name, its arguments, and what Cargo or the environment made of it.
const PROGRAM: &str = r#"fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("NAME {} fast={}", arguments.join("|"), cfg!(feature = "fast"));
    println!("seen: {:?}", std::env::var("CARGO_PKG_VERSION_PRE").ok());
}
"#;

/// A workspace with the three stages that take features of the project, and the project's own script.
fn project() -> TempDir {
    let project = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = project.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n");
    write(".cargo/config.toml", "");
    let stages = ["eval", "export", "train"];
    for stage in stages {
        let package = format!("[package]\nname = \"wellformed-{stage}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        let binary = format!("[[bin]]\nname = \"{stage}\"\npath = \"main.rs\"\n[features]\nfast = []\n");
        write(&format!("crates/{stage}/Cargo.toml"), &(package + &binary));
        write(&format!("crates/{stage}/main.rs"), &PROGRAM.replace("NAME", stage));
    }
    let locked = stages.map(|stage| format!("\n[[package]]\nname = \"wellformed-{stage}\"\nversion = \"0.1.0\"\n"));
    write("Cargo.lock", &format!("version = 4\n{}", locked.concat()));
    fs::create_dir(project.path().join("scripts")).unwrap();
    // Not a copy: a program that this process has just written cannot be started while a test beside this one is
    // starting another.
    symlink(root().join("scripts/stage"), project.path().join("scripts/stage")).unwrap();
    project
}

/// A call of the script in a folder, outside any project of the caller's.
fn stage(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("scripts/stage");
    command.args(arguments).current_dir(folder);
    for name in ["CARGO_TARGET_DIR", "WELLFORMED_BINARIES", "WELLFORMED_FEATURES", "DVC_ROOT"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

/// The lines that a stage printed; the call must succeed.
fn printed(output: &Output) -> Vec<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_stage_is_built_and_run_with_its_arguments_by_hand_and_from_inside_cargo() {
    let project = project();
    let by_hand = stage(project.path(), &["train", "--set", "train.lr=1e-3 "], &[]);
    assert_eq!(printed(&by_hand)[0], "train --set|train.lr=1e-3  fast=false");

    // What a program that `cargo run` or `cargo test` started has, empty values and values of two lines among it. None
    // of it reaches Cargo or the stage, and the stage is still the one that was asked for.
    let variables = [
        ("CARGO_PKG_VERSION_PRE", ""),
        ("CARGO_PKG_DESCRIPTION", "one line\nCARGO_PKG_NAME=and another"),
        ("CARGO_MANIFEST_DIR", "/nowhere"),
    ];
    let inside = stage(project.path(), &["eval", "two words"], &variables);
    assert_eq!(printed(&inside), ["eval two words fast=false", "seen: None"]);
}

#[test]
fn features_and_the_build_folder_are_those_of_the_environment() {
    let project = project();
    let variables = [("WELLFORMED_FEATURES", "fast"), ("CARGO_TARGET_DIR", "elsewhere")];
    let output = stage(project.path(), &["export"], &variables);
    assert_eq!(printed(&output)[0], "export  fast=true");
    assert!(project.path().join("elsewhere/release/export").is_file());
    assert!(!project.path().join("target").exists());
}

#[test]
fn binaries_that_are_given_are_run_and_nothing_is_built() {
    let project = project();
    printed(&stage(project.path(), &["train"], &[]));
    let binaries = project.path().join("given");
    fs::rename(project.path().join("target/release"), &binaries).unwrap();
    fs::remove_dir_all(project.path().join("target")).unwrap();

    let output = stage(project.path(), &["train", "again"], &[("WELLFORMED_BINARIES", binaries.to_str().unwrap())]);
    assert_eq!(printed(&output)[0], "train again fast=false");
    assert!(!project.path().join("target").exists());
}

#[test]
fn a_copy_of_the_project_is_served_by_its_build_unless_its_code_is_another() {
    let project = project();
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").args(["-a", "."]).arg(copy.path()).current_dir(project.path()).status().unwrap();
    assert!(copied.success());
    let variables = [("DVC_ROOT", project.path().to_str().unwrap())];

    assert_eq!(printed(&stage(copy.path(), &["train"], &variables))[0], "train  fast=false");
    assert!(!copy.path().join("target").exists(), "the same code is built once, in the project");

    fs::write(copy.path().join("crates/train/main.rs"), PROGRAM.replace("NAME", "another train")).unwrap();
    let output = stage(copy.path(), &["train"], &variables);
    assert_eq!(printed(&output)[0], "another train  fast=false");
    assert!(String::from_utf8_lossy(&output.stderr).contains("so it is built apart"));
    assert_eq!(printed(&stage(project.path(), &["train"], &[]))[0], "train  fast=false", "the project's own stays");
}
