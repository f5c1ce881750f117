//! The binary: what it prints, what it ends with, what it takes from the environment.

use std::process::{Command, Output};

use wellformed_core::files::sha256_bytes;

use crate::server::{HubServer, Server};
use crate::support::{Model, Project, cola_archive, params};

/// The binary in a project, with an environment that says nothing about hubs and parameters.
pub(crate) fn fetch(project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetch"));
    command.current_dir(project.root()).arg("--params").arg(params());
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("WELLFORMED_") || name_text.starts_with("HF_") {
            command.env_remove(&name);
        }
    }
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn both_parts_arrive_and_each_has_its_summary_line() {
    let (site, hub, project) = (Server::site(), HubServer::private("someone/tiny-bert", "hf_secret"), Project::new());
    let (archive, model) = (cola_archive(), Model::new());
    site.put("/cola.zip", &archive);
    hub.put_small("config.json", &model.config);
    hub.put_small("tokenizer.json", &model.tokenizer);
    hub.put_large("model.safetensors", &model.weights);
    let run = || {
        fetch(&project)
            .args(["--set", &format!("data.cola.url={}", site.url("/cola.zip"))])
            .args(["--set", &format!("data.cola.sha256='{}'", sha256_bytes(&archive))])
            .args([
                "--set",
                "base.source=hf:someone/tiny-bert@main",
                "--set",
                "base.folder=''",
                "--set",
                "base.sha256={}",
            ])
            .env("HF_ENDPOINT", hub.hub.url(""))
            .env("HF_TOKEN", "hf_secret\n")
            .output()
            .unwrap()
    };
    let output = run();
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stdout(&output);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("data/raw/corpus.zip: CoLA's archive ("), "{lines:?}");
    assert!(lines[1].starts_with("models/base: hf:someone/tiny-bert@main, commit "), "{lines:?}");
    let said = stderr(&output);
    assert!(said.contains("downloading model.safetensors"), "without a terminal, a line for each download: {said}");
    assert!(!said.contains("hf_secret") && !said.contains('\u{1b}'), "{said}");

    let again = run();
    assert!(stdout(&again).lines().all(|line| line.contains("is already here")), "{}", stdout(&again));
}

#[test]
fn only_one_of_the_two() {
    let project = Project::new();
    let output = fetch(&project).args(["--only", "data", "--set", "data.source=starter"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(project.places.corpus.exists() && !project.places.base.exists());
}

#[test]
fn out_of_reach_is_3_and_wrong_is_1() {
    let project = Project::new();
    let code = |sets: &[&str]| {
        let mut command = fetch(&project);
        for set in sets {
            command.args(["--set", set]);
        }
        let output = command.output().unwrap();
        assert!(stderr(&output).contains("error: "), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        output.status.code()
    };
    assert_eq!(code(&["data.cola.url=http://127.0.0.1:9/cola.zip"]), Some(3));
    assert_eq!(code(&["data.source=file:nothing.tsv"]), Some(1));
    assert_eq!(code(&["data.source=nothing"]), Some(1));
}

#[test]
fn a_variable_that_overrides_a_parameter_is_announced() {
    let project = Project::new();
    let output = fetch(&project).args(["--only", "data"]).env("WELLFORMED_DATA__SOURCE", "starter").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let warning = "warning: WELLFORMED_DATA__SOURCE overrides params.yaml; DVC does not know of it";
    assert!(stderr(&output).contains(warning), "{}", stderr(&output));
    assert!(stdout(&output).contains("the starter corpus"), "{}", stdout(&output));
}

#[test]
fn two_runs_at_once_do_not_get_in_each_others_way() {
    let (site, project, archive) = (Server::site(), Project::new(), cola_archive());
    site.put("/cola.zip", &archive);
    let start = || {
        fetch(&project)
            .args(["--only", "data", "--set", &format!("data.cola.url={}", site.url("/cola.zip"))])
            .args(["--set", &format!("data.cola.sha256='{}'", sha256_bytes(&archive))])
            .spawn()
            .unwrap()
    };
    let mut runs = [start(), start(), start()];
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
    assert_eq!(project.corpus(), archive);
    assert_eq!(site.log().len(), 1, "whoever waited found the file");
}
