//! What `dvc exp show` knows, as a table and as parallel coordinates.

use std::fs;

use wellformed_report::sweep::Sweep;
use wellformed_report::sweep_page::sweep_markdown;

use crate::support::{Project, fixture, said};

fn read(by: &str) -> Sweep {
    Sweep::read(&fs::read(fixture("experiments.json")).unwrap(), by).unwrap()
}

#[test]
fn runs_are_ordered_by_the_metric_and_told_apart_by_what_was_varied() {
    let sweep = read("tune.mcc");
    assert_eq!(sweep.varied, ["train.epochs", "train.lr"]);
    assert_eq!(sweep.rows.len(), 7, "six experiments and the commit; the workspace is not a run");
    assert!((sweep.rows[0].number("tune.mcc").unwrap() - 0.43).abs() < 1e-9);
    assert_eq!(sweep.rows[6].name, "model-bice");
    assert_eq!(sweep.unfinished, ["unlucky-one"]);
    let text = sweep_markdown(&sweep);
    assert!(text.contains("| model-bice | 2            | 2e-4     | 0.370    |"), "{text}");
}

#[test]
fn of_a_loss_the_least_is_best_and_an_unknown_metric_is_refused_with_the_known_ones() {
    assert!(read("tune.log_loss").lower_is_better && !read("validation.mcc").lower_is_better);
    let refused = Sweep::read(&fs::read(fixture("experiments.json")).unwrap(), "tune.luck").unwrap_err().to_string();
    assert!(refused.contains("tune.luck") && refused.contains("tune.mcc, validation.accuracy"), "{refused}");
}

#[test]
fn the_binary_draws_a_line_for_every_run() {
    let project = Project::new();
    let dvc = project.dvc();
    let output = project.run(&["--sweep", "--dvc", dvc.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let page = project.read("report/sweep.html");
    assert_eq!(page.matches("<polyline class=\"seen\"").count(), 7);
    assert_eq!(page.matches("class=\"run best\"").count(), 1);
    assert!(page.contains("model-bice: train.epochs 2, train.lr 2e-4; tune.mcc 0.370"), "a line says what it is");
}
