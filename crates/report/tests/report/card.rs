//! The model card.

use std::fs;

use figment::providers::{Format, Yaml};
use serde_json::Value;
use wellformed_report::card::card;
use wellformed_report::run::Run;
use wellformed_report::tree::Tree;

use crate::support::{Project, fixture, said};

#[test]
fn the_card_is_the_golden_one() {
    let text = card(&Run::read(&Tree::working(&fixture("runs/after"))).unwrap());
    let golden = fixture("card.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap(), "UPDATE_GOLDEN=1 writes it; read what changed");
}

#[test]
fn its_front_matter_is_yaml_with_what_the_hub_asks_for() {
    let project = Project::new();
    let params = project.read("params.yaml");
    let hub =
        params.replace("source: random", "source: hf:google/bert-tiny@main").replace("source: starter", "source: cola");
    fs::write(project.path("params.yaml"), hub).unwrap();
    // As after a run of these parameters.
    let lock = project.read("dvc.lock").replace("source: random", "source: hf:google/bert-tiny@main");
    fs::write(project.path("dvc.lock"), lock.replace("source: starter", "source: cola")).unwrap();
    let text = card(&Run::read(&Tree::working(project.root())).unwrap());
    let front: Value = Yaml::from_str(text.split("---\n").nth(1).unwrap()).unwrap();
    assert_eq!(front["language"][0], "en");
    assert_eq!(front["base_model"][0], "google/bert-tiny");
    assert_eq!(front["datasets"][0], "nyu-mll/glue");
    assert_eq!(front["pipeline_tag"], "text-classification");
    let result = &front["model-index"][0]["results"][0];
    assert_eq!(result["dataset"]["config"], "cola");
    assert_eq!(result["metrics"][0]["type"], "matthews_correlation");
    assert!((result["metrics"][0]["value"].as_f64().unwrap() - 0.503_108).abs() < 1e-9, "{result}");
}

#[test]
fn check_fails_until_the_card_is_written_and_again_after_an_edit() {
    let project = Project::new();
    let missing = project.run(&["--check"]);
    assert!(!missing.status.success() && said(&missing).contains("there is no MODEL_CARD.md"), "{}", said(&missing));
    assert!(project.run(&[]).status.success());
    let current = project.run(&["--check"]);
    assert!(current.status.success() && said(&current).contains("is current"), "{}", said(&current));

    let edited = project.read("MODEL_CARD.md").replace("## Limits", "## Praise");
    fs::write(project.path("MODEL_CARD.md"), &edited).unwrap();
    let stale = project.run(&["--check"]);
    assert!(
        !stale.status.success() && said(&stale).contains("run `cargo xtask report` and commit it"),
        "{}",
        said(&stale)
    );
    assert_eq!(project.read("MODEL_CARD.md"), edited, "--check writes nothing");
}

#[test]
fn the_card_depends_on_committed_files_only() {
    let with = Project::with_data();
    let without = Project::new();
    fs::remove_file(without.path("reports/eval/predictions.parquet")).unwrap();
    let card_of = |project: &Project| card(&Run::read(&Tree::working(project.root())).unwrap());
    assert_eq!(card_of(&with), card_of(&without));
}
