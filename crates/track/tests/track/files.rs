//! Plain files.

use std::fs;
use std::process::Stdio;

use serde_json::json;
use wellformed_track::Outcome;

use crate::support::{
    bundle, journal, json_file, log_evaluation, log_training, params, pretend, said, training_rows, until, wait,
    within_limit,
};

const SETS: [&str; 1] = ["track.sinks=[files]"];

#[test]
fn every_row_is_in_the_file_of_its_metric() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = journal(folder.path(), &SETS).start("train", "ab12cd34", None);
    log_training(&tracker);
    tracker.finish(Outcome::Finished);
    let run = folder.path().join("runs/ab12cd34");
    let mut names: Vec<&str> =
        training_rows().iter().flat_map(|(_, values)| values.clone()).map(|pair| pair.0).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let text = fs::read_to_string(run.join(format!("plots/metrics/{name}.tsv"))).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), format!("step\t{}", name.rsplit('/').next().unwrap()));
        let read: Vec<(u64, f64)> = lines
            .map(|line| {
                line.split_once('\t').map(|(step, value)| (step.parse().unwrap(), value.parse().unwrap())).unwrap()
            })
            .collect();
        let written: Vec<(u64, f64)> = training_rows()
            .into_iter()
            .filter_map(|(step, values)| Some((step, values.into_iter().find(|pair| pair.0 == name)?.1)))
            .collect();
        // Infinities are equal to themselves, and what is no number stays none.
        let same = |(a, b): (&(u64, f64), &(u64, f64))| a.0 == b.0 && (a.1 == b.1 || (a.1.is_nan() && b.1.is_nan()));
        assert!(read.len() == written.len() && read.iter().zip(&written).all(same), "{name}");
    }
    let metrics = json_file(&run.join("metrics.json"));
    assert_eq!(metrics["best"], json!({"epoch": 3.0, "tune_mcc": 0.3}));
    assert_eq!(metrics["epochs"]["tune_mcc"].as_f64(), Some(0.1 * 3.0));
    let record = json_file(&run.join("run.json"));
    assert_eq!((&record["status"], &record["stages"][0]["job"]), (&json!("finished"), &json!("train")));
    assert!(!run.join("open.lock").exists());
}

#[test]
fn params_yaml_reads_as_the_parameters_that_were_used() {
    let folder = tempfile::tempdir().unwrap();
    let sets = &["track.sinks=[files]", "train.lr=3e-5", "data.source='file:a: b # c.tsv'", "base.sha256={}"];
    journal(folder.path(), sets).start("train", "ab12cd34", None).finish(Outcome::Finished);
    let path = folder.path().join("runs/ab12cd34/params.yaml");
    let read = wellformed_core::params::Params::load_with(&path, &[], []).unwrap();
    assert_eq!(read, params(sets));
}

#[test]
fn an_evaluation_joins_its_training_and_quotes_no_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), &SETS);
    let training = journal.start("train", "ab12cd34", None);
    log_training(&training);
    training.finish(Outcome::Finished);
    let evaluation = journal.start("eval", "ab12cd34", None);
    log_evaluation(&evaluation);
    evaluation.artifact(bundle(folder.path()));
    evaluation.finish(Outcome::Failed);
    let run = folder.path().join("runs/ab12cd34");
    let metrics = json_file(&run.join("metrics.json"));
    assert_eq!(metrics["eval"]["validation"]["mcc"], 0.5);
    assert_eq!(metrics["best"]["epoch"], 3.0, "what training said is still there");
    let confusion = json_file(&run.join("plots/sklearn/confusion_matrix.json"));
    let count = |actual: &str, predicted: &str| {
        let wanted = json!({"actual": actual, "predicted": predicted});
        confusion.as_array().unwrap().iter().filter(|row| **row == wanted).count()
    };
    let counts = [
        count("unacceptable", "unacceptable"),
        count("unacceptable", "acceptable"),
        count("acceptable", "unacceptable"),
        count("acceptable", "acceptable"),
    ];
    assert_eq!(counts, [11, 5, 3, 40]);
    let roc = json_file(&run.join("plots/custom/roc.json"));
    assert_eq!(roc[1], json!({"class": "acceptable", "fpr": 0.1, "tpr": 0.5}));
    let wrong = fs::read_to_string(run.join("tables/wrong.tsv")).unwrap();
    assert_eq!(wrong, "id\tp_acceptable\tnote\na-1\t0.9375\t\na-2\t0.25\t\n");
    let record = json_file(&run.join("run.json"));
    assert_eq!(record["status"], "failed");
    assert_eq!((&record["stages"][0]["outcome"], &record["stages"][1]["job"]), (&json!("finished"), &json!("eval")));
    assert_eq!(record["artifacts"][0]["name"], "wellformed");
}

#[test]
fn a_killed_run_is_found_by_the_next_and_goes_on_without_the_rows_that_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["ab12cd34", "--steps", "50", "--end", "wait", "--set", "track.sinks=[files]"];
    let mut child = pretend(folder.path(), &arguments).stdout(Stdio::null()).spawn().unwrap();
    let run = folder.path().join("runs/ab12cd34");
    let loss = run.join("plots/metrics/train/loss.tsv");
    let rows = || fs::read_to_string(&loss).map_or(0, |text| text.lines().count().saturating_sub(1));
    until("the fiftieth row", || rows() == 50);

    // A neighbour that starts meanwhile leaves the living alone.
    let output = within_limit(&mut pretend(folder.path(), &["other123", "--set", "track.sinks=[files]"]));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(json_file(&run.join("run.json"))["status"], "running");

    child.kill().unwrap();
    wait(&mut child).unwrap();
    within_limit(&mut pretend(folder.path(), &["other124", "--set", "track.sinks=[files]"]));
    assert_eq!(json_file(&run.join("run.json"))["status"], "crashed");

    let arguments = ["ab12cd34", "--first", "41", "--steps", "20", "--set", "track.sinks=[files]"];
    within_limit(&mut pretend(folder.path(), &arguments));
    assert_eq!(rows(), 60);
    let steps = fs::read_to_string(&loss).unwrap();
    let steps: Vec<u64> = steps.lines().skip(1).map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect();
    assert_eq!(steps, (1..=60).collect::<Vec<u64>>());
    let record = json_file(&run.join("run.json"));
    assert_eq!((&record["status"], &record["stages"][0]["outcome"]), (&json!("finished"), &json!("crashed")));
}
