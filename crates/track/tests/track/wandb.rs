//! W&B's run folders, read back and uploaded by W&B's own client.
//!
//! What needs the client is ignored by default; `cargo xtask test` makes `.venv-wandb` and runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wellformed_core::files::sha256_file;
use wellformed_track::Outcome;

use crate::support::{
    Server, bundle, charts, client, confusion, journal, json_file, log_evaluation, log_training, params, pretend, root,
    run_folders, said, training_rows, until, wait, within_limit, wrong,
};

/// The panels and tables that W&B's client writes for the same charts.
fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/panels.json")).unwrap()
}

/// Trains, evaluates and exports, as three stages of one run.
fn whole_run(folder: &Path, sets: &[&str]) -> Vec<PathBuf> {
    let journal = journal(folder, sets);
    let training = journal.start("train", "ab12cd34", None);
    log_training(&training);
    training.finish(Outcome::Finished);
    let evaluation = journal.start("eval", "ab12cd34", None);
    log_evaluation(&evaluation);
    evaluation.finish(Outcome::Finished);
    let export = journal.start("export", "ab12cd34", None);
    export.artifact(bundle(folder));
    export.finish(Outcome::Finished);
    let folders = run_folders(folder);
    assert_eq!(folders.len(), 3);
    folders
}

/// What `wandb leet inspect` makes of a log, a record a line.
fn inspect(folder: &Path) -> Vec<Value> {
    let output = within_limit(client("wandb").args(["leet", "inspect", "--json"]).arg(folder));
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn summary(folder: &Path) -> Value {
    let output = within_limit(client("wandb").args(["leet", "inspect", "--summary", "--json"]).arg(folder));
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A number as the client prints it.
fn printed(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        "Infinity".into()
    } else {
        json!(value)
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b)
}

/// The values of a row, less what W&B keeps in every row.
fn values(row: &Value) -> BTreeMap<String, Value> {
    let pairs = row.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with('_'));
    pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Checks rows against those of the training, in order.
fn check_rows<'a>(rows: impl IntoIterator<Item = &'a Value>) {
    let rows: Vec<_> = rows.into_iter().map(values).collect();
    let written = training_rows();
    assert_eq!(rows.len(), written.len());
    for (row, (step, written)) in rows.iter().zip(&written) {
        let names: BTreeSet<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(names, written.iter().map(|pair| pair.0).collect(), "step {step}");
        for (name, value) in written {
            assert!(is_same(&row[*name], &printed(*value)), "step {step}, {name}: {} for {value}", row[*name]);
        }
    }
}

/// Every table that a run writes, by its key, as W&B stores it.
fn tables() -> BTreeMap<String, Value> {
    let matrix = confusion();
    let mut rows = Vec::new();
    for (actual, counts) in matrix.classes.iter().zip(&matrix.counts) {
        for (predicted, count) in matrix.classes.iter().zip(counts) {
            rows.push(json!([actual, predicted, *count as f64]));
        }
    }
    let columns = ["Actual", "Predicted", "nPredictions"];
    let mut tables = BTreeMap::from([
        ("wrong".to_owned(), json!({"columns": wrong().columns, "data": wrong().rows})),
        ("confusion_matrix_table".to_owned(), json!({"columns": columns, "data": rows})),
    ]);
    for chart in charts() {
        tables.insert(format!("{}_table", chart.key), json!({"columns": chart.columns, "data": chart.rows}));
    }
    tables
}

#[test]
fn tables_are_those_that_the_client_writes_for_the_same_charts() {
    let fixture = fixture();
    let mut compared = 0;
    for (key, table) in fixture["tables"].as_object().unwrap() {
        assert_eq!(&tables()[&format!("{key}_table")], table, "{key}");
        compared += 1;
    }
    assert_eq!(compared, 3);
    let folder = tempfile::tempdir().unwrap();
    let folders = whole_run(folder.path(), &["track.sinks=[wandb]"]);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folders[1].join("files/media/table")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (front, digest) = name.strip_suffix(".table.json").unwrap().rsplit_once('_').unwrap();
        assert_eq!(sha256_file(&path).unwrap()[..20], *digest, "{name}");
        found.insert(front.rsplit_once('_').unwrap().0.to_owned(), json_file(&path));
    }
    assert_eq!(found, tables());
}

#[test]
fn sentences_stay_at_home_where_params_yaml_says_so() {
    let folder = tempfile::tempdir().unwrap();
    whole_run(folder.path(), &["track.sinks=[files, wandb]", "track.wandb.sentences=false"]);
    let mut open = vec![folder.path().to_owned()];
    let mut files = 0;
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            files += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("newt"), "{}", path.display());
        }
    }
    assert!(files > 30, "{files}");
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn the_client_reads_back_every_row_table_chart_and_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let folders = whole_run(folder.path(), &["track.sinks=[wandb]", "train.lr=3e-5", "track.wandb.entity=us"]);
    let training = inspect(&folders[0]);
    let of = |records: &[Value], kind: &str| -> Vec<Value> {
        let of_kind = records.iter().filter(|record| record["type"] == kind);
        of_kind.map(|record| record[kind].clone()).collect()
    };
    assert_eq!(training[0]["type"], "header");
    let history: Vec<Value> = of(&training, "history").iter().map(|row| row["item"].clone()).collect();
    check_rows(&history);
    let steps: Vec<u64> = history.iter().map(|row| row["_step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (0..123).collect::<Vec<u64>>(), "W&B wants every step once, and rising");
    let run = &of(&training, "run")[0];
    assert_eq!(
        (&run["run_id"], &run["project"], &run["entity"]),
        (&"ab12cd34".into(), &"wellformed".into(), &"us".into())
    );
    let config = &run["config"]["update"];
    assert_eq!(config["train"]["lr"], 3e-5);
    assert_eq!(config["export"]["precision"], "int8");
    let environment = &of(&training, "environment")[0];
    assert!(environment["cpu_count"].as_u64().unwrap() >= 1 && environment["memory"]["total"].is_string());
    let metrics: Vec<(Value, Value)> = of(&training, "metric")
        .iter()
        .map(|metric| (metric["glob_name"].clone(), metric["step_metric"].clone()))
        .collect();
    assert!(metrics.contains(&("train/*".into(), "step".into())), "{metrics:?}");
    assert!(metrics.contains(&("epochs/*".into(), "epoch".into())), "{metrics:?}");
    if cfg!(target_os = "linux") {
        let stats = of(&training, "stats");
        assert!(stats[0]["item"]["proc.memory.rssMB"].as_f64().unwrap() > 0.5, "{stats:?}");
    }
    let last = summary(&folders[0]);
    assert_eq!((&last["state"], &last["exit_code"]), (&"finished".into(), &0.into()));
    assert_eq!(last["summary"]["best/tune_mcc"], 0.3);
    assert!(is_same(&last["summary"]["train/loss"], &json!(0.7 / 120_f64.sqrt())));

    let evaluation = inspect(&folders[1]);
    let mut pointers: BTreeMap<String, Value> = BTreeMap::new();
    for row in of(&evaluation, "history") {
        for (name, value) in row["item"].as_object().unwrap() {
            if let Some((key, field)) = name.split_once('.') {
                pointers.entry(key.to_owned()).or_insert_with(|| json!({}))[field] = value.clone();
            }
        }
    }
    let written = tables();
    assert_eq!(pointers.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
    let artifacts = of(&evaluation, "artifact");
    for (key, pointer) in &pointers {
        assert_eq!(pointer["_type"], "table-file", "{key}");
        let path = folders[1].join("files").join(pointer["path"].as_str().unwrap());
        assert_eq!(json_file(&path), written[key], "{key}");
        assert_eq!(pointer["sha256"], sha256_file(&path).unwrap());
        assert_eq!(pointer["size"], fs::metadata(&path).unwrap().len());
        assert_eq!(pointer["nrows"], written[key]["data"].as_array().unwrap().len());
        let artifact = artifacts.iter().find(|one| one["name"] == format!("run-ab12cd34-{key}")).unwrap();
        let address = pointer["artifact_path"].as_str().unwrap();
        assert!(address.contains(artifact["client_id"].as_str().unwrap()), "{address}");
        let local = artifact["manifest"]["contents"][0]["local_path"].as_str().unwrap();
        assert_eq!(json_file(Path::new(local))["data"], written[key]["data"], "{key}");
    }
    let mut panels = json!({});
    for config in of(&evaluation, "config") {
        for (name, panel) in config["update"].as_object().unwrap() {
            panels[name.strip_prefix("_wandb.visualize.").unwrap()] = panel.clone();
        }
    }
    assert_eq!(panels, fixture()["panels"], "the panels of wandb.plot");
    assert_eq!(summary(&folders[1])["summary"]["eval/validation/mcc"], 0.5);
    assert_eq!(summary(&folders[1])["summary"]["best/epoch"], 3, "the summary of training is carried on");

    let model = &of(&inspect(&folders[2]), "artifact")[0];
    assert_eq!((&model["name"], &model["type"]), (&"wellformed".into(), &"model".into()));
    assert_eq!(model["aliases"], json!(["latest", "best"]));
    let names: Vec<&str> =
        model["manifest"]["contents"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["bundle.json", "onnx/model.onnx"]);
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn wandb_sync_makes_one_run_of_all_stages_with_every_row_file_and_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let folders = whole_run(folder.path(), &["track.sinks=[wandb]"]);
    let server = Server::start(&[]);
    server.sync(&folders);
    let state = server.state();
    assert_eq!(state["unknown"], json!([]), "the stand-in was asked what it does not know");
    let runs = state["runs"].as_object().unwrap();
    assert_eq!(runs.keys().collect::<Vec<_>>(), ["ab12cd34"]);
    let run = &runs["ab12cd34"];
    assert_eq!((&run["complete"], &run["exitcode"]), (&true.into(), &0.into()), "{}", run["offsets"]);
    assert_eq!(run["project"], "wellformed");

    // Rows follow each other without a gap, whatever part they come from.
    let rows = run["rows"].as_object().unwrap();
    let by_place: BTreeMap<u64, &Value> = rows.iter().map(|(place, row)| (place.parse().unwrap(), row)).collect();
    assert_eq!(by_place.len(), 123 + 6);
    for (place, row) in &by_place {
        assert_eq!(row["_step"].as_u64(), Some(*place));
    }
    check_rows(by_place.values().take(123).copied());
    let keys: BTreeSet<String> = by_place.values().skip(123).flat_map(|row| values(row).into_keys()).collect();
    assert_eq!(keys, tables().into_keys().collect());

    let summary = &run["summary"];
    assert_eq!((&summary["eval/validation/mcc"], &summary["best/tune_mcc"]), (&0.5.into(), &0.3.into()));
    assert!(summary["wrong"]["path"].is_string(), "{summary}");
    assert!(run["events"].as_array().unwrap().iter().any(|event| event["system.proc.memory.rssMB"].is_f64()));
    let config = &run["config"];
    assert_eq!(config["train"]["value"]["epochs"], params(&[]).train.epochs);
    assert_eq!(config["_wandb"]["value"]["visualize"], fixture()["panels"]);

    let files = state["files"].as_object().unwrap();
    for (key, table) in tables() {
        let found = files.iter().find(|(name, _)| name.starts_with(&format!("ab12cd34/media/table/{key}_")));
        let text = found.unwrap_or_else(|| panic!("{key} was not uploaded")).1["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), table, "{key}");
    }
    let artifacts = state["artifacts"].as_object().unwrap();
    assert!(artifacts.values().all(|artifact| artifact["committed"] == true));
    let (id, model) = artifacts.iter().find(|(_, artifact)| artifact["type"] == "model").unwrap();
    assert_eq!((&model["name"], &model["metadata"]), (&"wellformed".into(), &"{\"precision\":\"int8\"}".into()));
    assert_eq!(files[&format!("artifact-{id}/onnx/model.onnx")]["size"], 70_000);
    assert_eq!(artifacts.len(), 1 + tables().len());

    // What is uploaded is marked, so that a second call has nothing to do.
    let said = server.sync(&folders);
    assert!(server.state()["runs"]["ab12cd34"]["rows"].as_object().unwrap().len() == 129, "{said}");
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn a_killed_run_is_readable_is_marked_as_crashed_by_the_next_and_resumed_under_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["--set", "track.sinks=[wandb]"];
    let mut command = pretend(folder.path(), &["ab12cd34", "--steps", "50", "--end", "wait"]);
    let mut child = command.args(sets).stdout(Stdio::null()).spawn().unwrap();
    let rows = |folder: &Path| inspect(folder).iter().filter(|record| record["type"] == "history").count();
    until("the log", || folder.path().join("wandb").exists() && !run_folders(folder.path()).is_empty());
    let first = run_folders(folder.path())[0].clone();
    until("fifty rows", || first.join("run-ab12cd34.wandb").exists() && rows(&first) == 50);
    child.kill().unwrap();
    wait(&mut child).unwrap();
    // As the kill left it: every row, no end.
    assert_eq!(rows(&first), 50);
    assert_eq!(summary(&first)["exit_code"], Value::Null);
    // Torn in the middle of a record, as by a power cut.
    let log = fs::File::options().append(true).open(first.join("run-ab12cd34.wandb")).unwrap();
    log.set_len(log.metadata().unwrap().len() - 3).unwrap();

    let output = within_limit(pretend(folder.path(), &["ab12cd34", "--first", "41", "--steps", "20"]).args(sets));
    assert!(said(&output).contains("marked as crashed"), "{}", said(&output));
    let crashed = summary(&first);
    assert_eq!((&crashed["state"], &crashed["exit_code"]), (&"failed".into(), &255.into()), "{crashed}");
    let folders = run_folders(folder.path());
    assert_eq!((folders.len(), &summary(&folders[1])["state"]), (2, &"finished".into()));

    let server = Server::start(&[]);
    server.sync(&folders);
    let run = &server.state()["runs"]["ab12cd34"];
    assert_eq!((&run["complete"], &run["exitcode"]), (&true.into(), &0.into()));
    let mut steps: Vec<u64> =
        run["rows"].as_object().unwrap().values().filter_map(|row| row["step"].as_u64()).collect();
    assert_eq!(steps.len(), 50 + 20, "{steps:?}");
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps, (1..=60).collect::<Vec<u64>>());
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn a_run_that_panics_says_so_itself() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["ab12cd34", "--steps", "5", "--end", "panic", "--set", "track.sinks=[wandb]"];
    let output = within_limit(&mut pretend(folder.path(), &arguments));
    assert!(!output.status.success());
    assert_eq!(summary(&run_folders(folder.path())[0])["exit_code"], 255);
    let server = Server::start(&[]);
    server.sync(&run_folders(folder.path()));
    let run = &server.state()["runs"]["ab12cd34"];
    assert_eq!((run["rows"].as_object().unwrap().len(), &run["exitcode"]), (5, &255.into()));
}

/// A pretended training that uploads as it goes.
fn live(folder: &Path, server: &Server, arguments: &[&str]) -> Command {
    let mut command = pretend(folder, arguments);
    let programs = std::path::absolute(root().join(".venv-wandb/bin")).unwrap();
    let path = std::env::join_paths(
        std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    command.envs(server.environment()).env("PATH", path.unwrap()).env("WELLFORMED_UPLOAD_SECONDS", "5");
    command.args(["--set", "track.sinks=[wandb]", "--set", "track.wandb.mode=online"]);
    command
}

/// Processes that have a folder on their command line.
fn processes(folder: &Path) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    entries
        .filter(|path| {
            fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(folder.to_str().unwrap()))
        })
        .count()
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn online_rows_arrive_while_the_run_goes_on_and_all_of_them_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let arguments = ["ab12cd34", "--steps", "200", "--sleep-ms", "100"];
    let mut command = live(folder.path(), &server, &arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("a row", || !server.state()["runs"]["ab12cd34"]["rows"].as_object().is_none_or(serde_json::Map::is_empty));
    assert!(child.try_wait().unwrap().is_none(), "the run was over before its first row arrived");
    let status = wait(&mut child).unwrap();
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(status.success() && stderr.is_empty(), "{stderr}");
    let run = &server.state()["runs"]["ab12cd34"];
    assert_eq!((&run["complete"], &run["exitcode"]), (&true.into(), &0.into()));
    let mut steps: Vec<u64> =
        run["rows"].as_object().unwrap().values().map(|row| row["step"].as_u64().unwrap()).collect();
    steps.sort_unstable();
    assert_eq!(steps, (1..=200).collect::<Vec<u64>>());
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn a_network_that_is_lost_costs_one_warning_and_the_folder_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    // The client sends rows in batches some seconds apart, so the first arrives and no other.
    let server = Server::start(&["--offline-after", "1"]);
    let output = within_limit(&mut live(folder.path(), &server, &["ab12cd34", "--steps", "150", "--sleep-ms", "100"]));
    assert!(output.status.success(), "{}", said(&output));
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert!(warnings.contains("complete on disk") && warnings.contains("wandb sync"), "{warnings}");
    until("the end of the uploader", || processes(folder.path()) == 0);
    let arrived = server.state()["runs"]["ab12cd34"]["rows"].as_object().unwrap().len();
    assert!((1..150).contains(&arrived), "{arrived}");
    let run = &run_folders(folder.path())[0];
    assert_eq!(inspect(run).iter().filter(|record| record["type"] == "history").count(), 150);
    assert_eq!(summary(run)["state"], "finished");
    // Once the network is back: all rows, those that had arrived under the same numbers as before.
    server.bring_back();
    let told = server.sync(std::slice::from_ref(run));
    let uploaded = &server.state()["runs"]["ab12cd34"];
    assert_eq!((&uploaded["complete"], &uploaded["exitcode"]), (&true.into(), &0.into()), "{told}");
    let rows = uploaded["rows"].as_object().unwrap().values();
    let numbered: BTreeSet<(u64, u64)> =
        rows.map(|row| (row["_step"].as_u64().unwrap(), row["step"].as_u64().unwrap())).collect();
    assert_eq!(numbered, (1..=150).map(|step| (step - 1, step)).collect());
}

#[test]
#[ignore = "needs the client of W&B in .venv-wandb: `cargo xtask test`"]
fn the_uploader_of_a_killed_run_does_not_stay_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let mut command = live(folder.path(), &server, &["ab12cd34", "--steps", "20", "--end", "wait"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    until("a row", || !server.state()["runs"]["ab12cd34"]["rows"].as_object().is_none_or(serde_json::Map::is_empty));
    assert!(processes(folder.path()) > 1);
    child.kill().unwrap();
    wait(&mut child).unwrap();
    until("the end of the uploader", || processes(folder.path()) == 0);
}

#[test]
fn online_without_a_key_or_a_client_is_offline_with_one_warning() {
    for key in [None, Some("0123456789012345678901234567890123456789")] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["ab12cd34", "--set", "track.sinks=[wandb]", "--set", "track.wandb.mode=online"];
        let mut command = pretend(folder.path(), &arguments);
        if let Some(key) = key {
            // Only what the tracked process itself needs: no `wandb`.
            let tools = tempfile::tempdir_in(folder.path()).unwrap().keep();
            command.env("WANDB_API_KEY", key).env("PATH", tools);
        }
        let output = within_limit(&mut command);
        assert!(output.status.success(), "{}", said(&output));
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
        let reason = if key.is_some() { "no `wandb`" } else { "WANDB_API_KEY is not set" };
        assert!(warnings.contains(reason), "{warnings}");
        assert!(run_folders(folder.path())[0].join("run-ab12cd34.wandb").exists());
    }
}
