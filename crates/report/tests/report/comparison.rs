//! Two runs beside one another, as Markdown.

use std::fs;

use wellformed_report::compare::compare;
use wellformed_report::diff_markdown::{Folded, MARKER, MOST_CHARACTERS, markdown};
use wellformed_report::predictions;
use wellformed_report::predictions::Predictions;
use wellformed_report::run::Run;
use wellformed_report::tree::Tree;

use crate::support::{Project, SECRET, examples, expected, fixture, said};

fn predictions(run: &str) -> Predictions {
    let path = fixture(&format!("runs/{run}/reports/eval/predictions.parquet"));
    predictions::read(&path).map_err(|error| error.to_string())
}

fn run(name: &str) -> Run {
    Run { name: name.to_owned(), ..Run::read(&Tree::working(&fixture(&format!("runs/{name}")))).unwrap() }
}

#[test]
fn the_comment_is_the_golden_one() {
    let comparison = compare(run("before"), run("after"), [&predictions("before"), &predictions("after")], &examples());
    let more = [Folded { title: "<code>dvc metrics diff</code>".to_owned(), body: "| Path |".to_owned() }];
    let text = markdown(&comparison, &more);
    let golden = fixture("diff.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap(), "UPDATE_GOLDEN=1 writes it; read what changed");
}

#[test]
fn the_workflow_finds_the_comment_by_its_marker() {
    let workflow = include_str!("../../../../.github/workflows/report.yml");
    assert!(workflow.contains(&format!("marker='{MARKER}'")));
}

#[test]
fn every_part_is_tested_as_the_oracle_tests_it_and_the_flips_are_the_right_ones() {
    let comparison = compare(run("before"), run("after"), [&predictions("before"), &predictions("after")], &examples());
    let wanted = expected();
    assert_eq!(comparison.parts.len(), 5);
    for part in &comparison.parts {
        let wanted = &wanted["parts"][part.name];
        let tested = part.tested.as_ref().unwrap();
        assert_eq!(tested.sentences as u64, wanted["sentences"].as_u64().unwrap(), "{}", part.name);
        assert_eq!(tested.mcnemar.improved, wanted["improved"].as_u64().unwrap(), "{}", part.name);
        assert_eq!(tested.mcnemar.worsened, wanted["worsened"].as_u64().unwrap(), "{}", part.name);
    }
    let mut flips: Vec<(String, bool)> = comparison.flips.iter().map(|flip| (flip.id.clone(), flip.is_right)).collect();
    flips.sort();
    let wanted: Vec<(String, bool)> = serde_json::from_value(wanted["flips"].clone()).unwrap();
    assert_eq!(flips, wanted);
    let changed: Vec<&str> = comparison.parameters.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(changed, ["model.layers", "train.lr"]);
    assert!(comparison.notes.is_empty(), "{:?}", comparison.notes);
}

#[test]
fn without_predictions_there_are_metrics_a_reason_and_no_test() {
    let missing = Err("they are in no cache.".to_owned());
    let comparison = compare(run("before"), run("after"), [&missing, &predictions("after")], &[]);
    let text = markdown(&comparison, &[]);
    assert!(text.contains("> No significance tests: they are in no cache."), "{text}");
    assert!(text.contains("| MCC | 0.354 | 0.503 | +0.149 |  |  |"), "{text}");
    assert!(text.contains("not tested"), "{text}");
    assert!(!text.contains("p =") && !text.contains("Flipped"), "{text}");
}

#[test]
fn predictions_of_another_run_than_the_metrics_are_not_tested() {
    let comparison = compare(run("before"), run("after"), [&predictions("after"), &predictions("after")], &[]);
    assert!(comparison.parts.iter().all(|part| part.tested.is_none()));
    assert!(comparison.notes[0].contains("the predictions of before have an MCC of 0.503"), "{:?}", comparison.notes);
}

#[test]
fn sentences_that_only_one_run_judged_are_left_out_of_the_tests_and_told_of() {
    let shorter: Predictions = predictions("before")
        .map(|list| list.into_iter().filter(|one| one.split != "tune" || one.id.ends_with('7')).collect());
    let comparison = compare(run("before"), run("after"), [&shorter, &predictions("after")], &[]);
    assert!(comparison.notes[0].contains("580 of 760 sentences"), "{:?}", comparison.notes);
    let tune = comparison.parts.iter().find(|part| part.name == "tune").unwrap();
    assert_eq!(tune.tested.as_ref().unwrap().sentences, 20);
}

#[test]
fn a_comment_stays_under_githubs_limit_and_names_what_it_leaves_out() {
    let comparison = compare(run("before"), run("after"), [&predictions("before"), &predictions("after")], &examples());
    let fold = |title: &str, size: usize| Folded { title: title.to_owned(), body: "×".repeat(size) };
    let text = markdown(&comparison, &[fold("small", 100), fold("huge", 80_000), fold("last", 100)]);
    assert!(text.chars().count() < MOST_CHARACTERS);
    assert!(text.contains("left out: huge."), "{}", &text[text.len() - 200..]);
    assert!(text.contains("<summary>last</summary>"));
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
}

#[test]
fn the_binary_compares_with_the_last_commit_and_quotes_sentences_in_the_page_only() {
    let project = Project::with_data();
    let dvc = project.dvc();
    let output = project.run(&["--diff", "--dvc", dvc.to_str().unwrap(), "--md", "report/diff.md"]);
    assert!(output.status.success(), "{}", said(&output));
    let (text, page) = (project.read("report/diff.md"), project.read("report/diff.html"));
    assert!(text.starts_with(MARKER), "{text}");
    let head = project.git(&["rev-parse", "--short=7", "HEAD"]);
    assert!(text.contains(&format!("### Runs: `{head}` → `working tree`")), "{text}");
    assert!(text.contains("+0.149") && text.contains("p < 0.001"), "{text}");
    assert!(text.contains("| Path | Metric |"), "what DVC says is in it, less its padding: {text}");
    assert!(page.contains(SECRET) && !text.contains(SECRET));
    assert!(
        !page.contains("<b>hums</b>") && !page.contains("</script><script>times"),
        "a sentence is text, never markup"
    );
    assert_eq!(
        project
            .git(&["status", "--porcelain", "--untracked-files=all"])
            .lines()
            .filter(|line| line.starts_with("??"))
            .count(),
        0
    );
}

#[test]
fn the_binary_says_why_there_is_no_test_and_which_revision_is_unknown() {
    let project = Project::new();
    let dvc = project.dvc_without_data();
    let output = project.run(&["--diff", "HEAD", "--dvc", dvc.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("are neither in DVC's cache nor in a remote"), "{}", said(&output));

    let output = project.run(&["--diff", "nowhere", "--dvc", dvc.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(said(&output).contains("there is no revision `nowhere`"), "{}", said(&output));
    let output = project.run(&["--diff=--all", "--dvc", dvc.to_str().unwrap()]);
    assert!(said(&output).contains("there is no revision `--all`"), "{}", said(&output));
}

#[test]
fn an_experiment_is_found_by_its_name() {
    let project = Project::with_data();
    let dvc = project.dvc();
    let head = project.git(&["rev-parse", "HEAD"]);
    let of_head = format!("refs/exps/{}/{}/fewer-layers", &head[..2], &head[2..]);
    project.git(&["update-ref", &of_head, "HEAD"]);
    let output = project.run(&["--diff", "fewer-layers", "--dvc", dvc.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("### Runs: `{}` → `working tree`", &head[..7])), "{}", said(&output));

    // The same name from elsewhere: the one that started from here is meant, and with neither from here nobody guesses.
    for started in ["aa", "bb"] {
        let elsewhere = format!("refs/exps/{started}/{}/fewer-layers", &head[2..]);
        project.git(&["update-ref", &elsewhere, "HEAD"]);
    }
    assert!(project.run(&["--diff", "fewer-layers", "--dvc", dvc.to_str().unwrap()]).status.success());
    project.git(&["update-ref", "-d", &of_head]);
    let output = project.run(&["--diff", "fewer-layers", "--dvc", dvc.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(said(&output).contains("2 experiments are called `fewer-layers`"), "{}", said(&output));
}
