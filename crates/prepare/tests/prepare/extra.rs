//! Labelled sentences in `data/extra/`.

use std::fs;

use wellformed_core::dataset::Split;

use crate::support::{Project, stage, table};

fn put(project: &Project, name: &str, text: &str) {
    fs::create_dir_all(&project.places.extra).unwrap();
    fs::write(project.places.extra.join(name), text).unwrap();
}

#[test]
fn they_are_added_to_training_and_leave_every_other_split_as_it_was() {
    let project = Project::own(&table(60, 40));
    project.prepare(&stage()).unwrap();
    let without = Split::ALL.map(|split| project.ids(split));
    assert!(project.metrics()["extra"].is_null());

    put(
        &project,
        "2026-11.csv",
        "sentence,label,source,id\nThe tea was cold.,1,monitor,77\n\"The was, tea cold.\",0,,78\n",
    );
    put(&project, "older.tsv", "sentence\tlabel\nThe tea were cold.\t0\n");
    put(&project, "README.md", "Not read.");
    put(&project, ".gitignore", "/2026-11.csv\n");
    put(&project, "2026-11.csv.dvc", "outs:\n- path: 2026-11.csv\n");
    let lines = project.prepare(&stage()).unwrap();
    let with = Split::ALL.map(|split| project.ids(split));
    let train = Split::ALL.iter().position(|split| *split == Split::Train).unwrap();
    let mut expected = without.clone();
    expected[train].extend(["extra-2026-11-1", "extra-2026-11-2", "extra-older-1"].map(str::to_owned));
    assert_eq!(with, expected);
    let added: Vec<_> = project.read(Split::Train).into_iter().skip(without[train].len()).collect();
    assert_eq!(
        added.iter().map(|one| one.source.as_str()).collect::<Vec<_>>(),
        ["monitor", "extra-2026-11", "extra-older"]
    );
    assert_eq!(added.iter().map(|one| one.label.index()).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(project.metrics()["extra"]["added"], 3);
    assert!(lines.iter().any(|line| line.contains("added from data/extra: 3 sentences")), "{lines:?}");
}

#[test]
fn what_another_split_is_measured_on_is_not_trained_on() {
    let project = Project::own(&table(60, 40));
    project.prepare(&stage()).unwrap();
    let tune = project.read(Split::Tune);
    let validation = project.read(Split::Validation);
    let train = project.read(Split::Train);
    // In other letters, and with the other label; a duplicate; the same letters with the other label are no duplicate.
    let rows = [
        (tune[0].sentence.to_uppercase(), 1 - tune[0].label.index()),
        (validation[0].sentence.trim_end_matches('.').to_owned(), validation[0].label.index()),
        (train[0].sentence.clone(), train[0].label.index()),
        (train[0].sentence.clone(), 1 - train[0].label.index()),
        ("A sentence of its own.".to_owned(), 1),
        ("A sentence of its own.".to_owned(), 1),
    ];
    let rows: String = rows.iter().map(|(sentence, label)| format!("{sentence}\t{label}\n")).collect();
    put(&project, "more.tsv", &format!("sentence\tlabel\n{rows}"));
    project.prepare(&stage()).unwrap();
    assert_eq!(
        project.metrics()["extra"],
        serde_json::json!({ "added": 2, "duplicates": 2, "removed_for_other_splits": 2 })
    );
    assert_eq!(project.read(Split::Tune), tune);
    assert_eq!(project.read(Split::Validation), validation);
}

#[test]
fn a_row_nobody_has_labelled_yet_is_named() {
    let project = Project::own(&table(60, 40));
    put(&project, "to-label.csv", "sentence,label,source,id\nThe tea was cold.,1,,1\nThe tea was.,,,2\n");
    let said = project.refusal();
    assert!(said.contains("to-label.csv:3: the label is \"\", but must be 0 or 1"), "{said}");
}

#[test]
fn a_file_that_dvc_keeps_and_that_is_not_here_is_asked_for() {
    let project = Project::own(&table(60, 40));
    put(&project, "2026-11.csv.dvc", "outs:\n- path: 2026-11.csv\n");
    let said = project.refusal();
    assert!(said.contains("dvc pull") && said.contains("2026-11.csv.dvc"), "{said}");
}

#[test]
fn what_is_no_table_is_refused_and_so_are_two_of_one_name() {
    let project = Project::own(&table(60, 40));
    put(&project, "notes.txt", "what to do");
    let said = project.refusal();
    assert!(said.contains("notes.txt") && said.contains(".tsv, .csv or .parquet"), "{said}");
    fs::remove_file(project.places.extra.join("notes.txt")).unwrap();
    put(&project, "more.tsv", "sentence\tlabel\nA.\t1\n");
    put(&project, "more.csv", "sentence,label\nB.,1\n");
    let said = project.refusal();
    assert!(said.contains("more.csv") && said.contains("more.tsv") && said.contains("rename"), "{said}");
}
