//! What the documents say is true of the project.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Yaml};
use serde_json::Value;
use xtask::params_file::ParamsFile;
use xtask::process::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The project's own Markdown files, from the root.
fn documents() -> Vec<String> {
    let names = names_in(".").into_iter().chain(names_in("docs").into_iter().map(|name| format!("docs/{name}")));
    names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn the_readmes_picture_and_table_name_every_crate() {
    let readme = read("README.md");
    let picture = readme.split("## What is inside").nth(1).unwrap().split("```").nth(1).unwrap();
    let words: BTreeSet<&str> = picture.split(|c: char| !c.is_alphanumeric()).collect();
    for name in names_in("crates") {
        assert!(words.contains(name.as_str()), "the README's picture does not show crates/{name}");
        assert!(
            readme.contains(&format!("| [{name}](crates/{name}) |")),
            "the README's table has no row for crates/{name}"
        );
    }
}

#[test]
fn the_readmes_picture_shows_every_stage_and_what_it_writes() {
    let readme = read("README.md");
    let picture = readme.split("## What is inside").nth(1).unwrap().split("```").nth(1).unwrap();
    let pipeline: Value = Yaml::from_str(&read("dvc.yaml")).unwrap();
    for (stage, entry) in pipeline["stages"].as_object().unwrap() {
        assert!(picture.contains(stage.as_str()), "no stage {stage}");
        for out in entry["outs"].as_array().unwrap() {
            let path =
                out.as_str().map_or_else(|| out.as_object().unwrap().keys().next().unwrap().clone(), str::to_owned);
            let shown = path.split('/').take(2).collect::<Vec<_>>().join("/");
            assert!(picture.contains(&shown), "the picture does not show {shown}, which {stage} writes");
        }
    }
}

#[test]
fn every_parameter_has_its_row_in_configuration_md_and_every_row_its_parameter() {
    let params = ParamsFile::parse(&read("params.yaml")).unwrap();
    let keys: Vec<String> = params.values().unwrap().into_iter().map(|(key, _)| key).collect();
    let page = read("docs/configuration.md");
    let page = page.split("## Variables that are no parameters").next().unwrap();
    let rows: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .filter(|(_, meaning)| meaning.len() > 10)
        .map(|(key, _)| key)
        .collect();
    assert_eq!(rows, keys, "the rows of docs/configuration.md against params.yaml, in its order");
}

#[test]
fn commands_in_the_documents_are_commands_of_xtask() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let known: BTreeSet<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(known.contains("repro") && known.contains("test"), "{known:?}");
    for document in documents() {
        let text = read(&document).replace('\n', " ");
        for (at, _) in text.match_indices("cargo xtask ") {
            let word = text[at + 12..].split(|c: char| !c.is_ascii_lowercase()).next().unwrap();
            assert!(known.contains(word), "{document} speaks of `cargo xtask {word}`, which does not exist");
        }
    }
}

#[test]
fn presets_that_the_documents_use_exist() {
    for document in documents() {
        let text = read(&document);
        for marker in ["--preset ", "$(cargo xtask preset "] {
            for (at, _) in text.match_indices(marker) {
                let name =
                    text[at + marker.len()..].split(|c: char| c != '-' && !c.is_ascii_alphanumeric()).next().unwrap();
                let path = root().join("presets").join(format!("{name}.yaml"));
                assert!(name == "NAME" || path.is_file(), "{document} uses the preset `{name}`, which does not exist");
            }
        }
    }
}

#[test]
fn links_between_files_of_the_project_lead_somewhere() {
    let mut followed = 0;
    for document in documents() {
        let folder: PathBuf = root().join(&document).parent().map(Path::to_owned).unwrap();
        let text = read(&document);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap().split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{document} links to {target}, which is not there");
            followed += 1;
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}

#[test]
fn workflows_pin_every_action_to_a_commit_and_name_its_version() {
    let mut seen = 0;
    for name in names_in(".github/workflows") {
        let text = read(&format!(".github/workflows/{name}"));
        for line in text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")) {
            let (action, version) = line.split_once(" # ").unwrap_or((line, ""));
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit, "{name}: `{action}` is not pinned to a full commit");
            assert!(version.starts_with('v'), "{name}: `{action}` does not say which version that commit is");
            seen += 1;
        }
        let workflow: Value = Yaml::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{name}: nothing is permitted unless a job asks");
        for (job, entry) in workflow["jobs"].as_object().unwrap() {
            assert!(entry["permissions"].is_object(), "{name}: job {job} names its permissions");
            assert!(entry["timeout-minutes"].is_number(), "{name}: job {job} has a time limit");
        }
    }
    assert!(seen > 0);
}
