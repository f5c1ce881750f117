//! Whole runs of the binary.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::dataset::{read_examples, write_examples};
use wellformed_core::label::Label;
use wellformed_model::weights;

use crate::support::{contents, cpu_devices, manifest, project};

/// Enough to learn the task; the parameters of the project for everything else.
const SETS: [&str; 7] = [
    "train.epochs=4",
    "train.batch_size=16",
    "train.lr=3e-3",
    "train.pairs_epochs=0",
    "model.layers=0",
    "compute.device=flex",
    "seed=3",
];

fn command(folder: &Path, sets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.arg("--params").arg(manifest().join("../../params.yaml")).current_dir(folder);
    for set in SETS.iter().chain(sets) {
        command.args(["--set", set]);
    }
    command
}

fn train(folder: &Path, sets: &[&str]) -> Output {
    command(folder, sets).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn trained(sets: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let output = train(folder.path(), sets);
    assert!(output.status.success(), "{}", text(&output));
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The outputs of a run, with their bytes.
fn outputs(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = contents(&folder.join("models/checkpoint"));
    all.extend(contents(&folder.join("reports/train")));
    all
}

#[test]
fn an_easy_task_is_learned_and_told() {
    let folder = trained(&[]);
    let metrics = json(&folder.path().join("reports/train/metrics.json"));
    assert!(metrics["tune_mcc"].as_f64().unwrap() > 0.9, "{metrics}");
    let history = json(&folder.path().join("reports/train/history.json"));
    assert_eq!(history.as_array().unwrap().len(), 4);
    let steps = fs::read_to_string(folder.path().join("reports/train/steps.csv")).unwrap();
    assert_eq!(steps.lines().count(), 1 + 4 * 25);
    assert!(!folder.path().join("models/train-state").exists(), "a finished run leaves no state");
}

#[test]
fn a_run_says_what_it_computed_in_which_is_32_bits_wherever_nothing_else_can_be_had() {
    for (device, precision, said) in [
        ("flex", "bf16", "trained on flex in bf16 "),
        ("flex", "fp32", "trained on flex in fp32 "),
        ("ndarray", "bf16", "trained on ndarray in fp32 "),
        ("libtorch", "bf16", "trained on libtorch in bf16 "),
    ] {
        if !cpu_devices().any(|kind| kind.name() == device) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        project(folder.path());
        let sets = [format!("compute.device={device}"), format!("train.precision={precision}")];
        let output = train(folder.path(), &[&sets[0], &sets[1], "train.epochs=1", "train.limit_train_batches=2"]);
        assert!(output.status.success() && text(&output).contains(said), "{}", text(&output));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
    let one = trained(&["train.epochs=2"]);
    let again = trained(&["train.epochs=2"]);
    assert!(outputs(one.path()) == outputs(again.path()));
    let other = trained(&["train.epochs=2", "seed=4"]);
    assert!(outputs(one.path()) != outputs(other.path()));
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let one = trained(&["train.epochs=2", "compute.threads=1"]);
    let two = trained(&["train.epochs=2", "compute.threads=2"]);
    assert!(outputs(one.path()) == outputs(two.path()));
}

#[test]
fn two_devices_give_the_same_bytes_every_time_and_with_any_number_of_threads() {
    let sets = ["train.epochs=2", "train.devices=2"];
    let one = trained(&sets);
    let again = trained(&sets);
    assert!(outputs(one.path()) == outputs(again.path()));
    for threads in ["compute.threads=1", "compute.threads=2", "compute.threads=5"] {
        let other = trained(&[&sets[..], &[threads]].concat());
        assert!(outputs(one.path()) == outputs(other.path()), "{threads}");
    }
}

#[test]
fn three_devices_learn_what_one_does() {
    // The last batch of an epoch has one sentence: nothing for two of the devices.
    let sets = ["train.batch_size=19", "train.devices=3", "train.accumulate=2", "train.epochs=10"];
    let folder = trained(&sets);
    let metrics = json(&folder.path().join("reports/train/metrics.json"));
    assert!(metrics["tune_mcc"].as_f64().unwrap() > 0.9, "{metrics}");
    assert_eq!(metrics["steps"], 10 * 400_usize.div_ceil(19).div_ceil(2));
}

#[test]
fn more_devices_than_there_are_sentences_in_a_batch_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    for (devices, found) in [("train.devices=17", "train.devices is 17"), ("train.devices=0", "train.devices is 0")] {
        let output = train(folder.path(), &[devices]);
        assert!(!output.status.success());
        assert!(text(&output).contains(&format!("{found}, but must be from 1 to train.batch_size, which is 16")));
    }
}

/// A project with a teacher that knows the task, in which every label of the training data is wrong.
fn taught() -> TempDir {
    let folder = trained(&[]);
    fs::rename(folder.path().join("models/checkpoint"), folder.path().join("models/teacher")).unwrap();
    let path = folder.path().join("data/prepared/train.parquet");
    let mut examples = read_examples(&path).unwrap();
    for example in &mut examples {
        example.label = Label::from_index(1 - example.label.index()).unwrap();
    }
    write_examples(&path, &examples).unwrap();
    folder
}

#[test]
fn what_is_learned_from_the_teacher_and_from_the_labels_is_as_the_weight_says() {
    let folder = taught();
    let mcc = |weight: &str| {
        let output = train(folder.path(), &[weight]);
        assert!(output.status.success(), "{}", text(&output));
        let metrics = json(&folder.path().join("reports/train/metrics.json"));
        assert_eq!(metrics["teacher"].is_null(), weight.ends_with("=0.0"), "{metrics}");
        if let Some(teacher) = metrics["teacher"]["tune_mcc"].as_f64() {
            assert!(teacher > 0.9, "{metrics}");
        }
        let history = json(&folder.path().join("reports/train/history.json"));
        history.as_array().unwrap().last().unwrap()["tune_mcc"].as_f64().unwrap()
    };
    assert!(mcc("train.teacher_weight=1.0") > 0.9);
    assert!(mcc("train.teacher_weight=0.0") < -0.9);
}

#[test]
fn a_teacher_that_is_not_there_or_reads_other_tokens_is_refused_with_what_to_do() {
    let folder = taught();
    let refused = || {
        let output = train(folder.path(), &["train.teacher_weight=0.5"]);
        assert!(!output.status.success());
        assert!(!folder.path().join("models/checkpoint").exists());
        text(&output)
    };
    fs::write(folder.path().join("models/teacher/tokenizer.json"), "[]").unwrap();
    let said = refused();
    assert!(said.contains("models/base/tokenizer.json and models/teacher/tokenizer.json differ"), "{said}");
    fs::remove_dir_all(folder.path().join("models/teacher")).unwrap();
    let said = refused();
    assert!(said.contains("models/teacher holds no teacher: copy models/checkpoint of a bigger model there"), "{said}");
}

#[test]
fn a_killed_run_goes_on_and_ends_exactly_as_an_uninterrupted_one() {
    kill_and_go_on(&["train.epochs=12", "train.batch_size=4"]);
}

#[test]
fn a_killed_run_on_two_devices_goes_on_and_ends_exactly_as_an_uninterrupted_one() {
    kill_and_go_on(&["train.epochs=12", "train.batch_size=4", "train.devices=2"]);
}

fn kill_and_go_on(sets: &[&str]) {
    let whole = trained(sets);
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    kill_at(folder.path(), sets, "models/train-state/epoch-2");
    assert!(!folder.path().join("models/checkpoint").exists());
    let output = train(folder.path(), sets);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("going on after epoch"), "{}", text(&output));
    assert!(outputs(folder.path()) == outputs(whole.path()));

    // One run, in which every step stands once; for W&B a folder for each process, with one id.
    let (id, steps) = tracked(folder.path());
    assert_eq!(steps, (1..=1200).collect::<Vec<u64>>());
    let folders: Vec<_> =
        fs::read_dir(folder.path().join("wandb")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(folders.len(), 2, "{folders:?}");
    assert!(folders.iter().all(|name| name.to_str().unwrap().ends_with(&id)), "{folders:?}");
    let record = json(&folder.path().join(format!("runs/{id}/run.json")));
    assert_eq!((&record["status"], &record["stages"][0]["outcome"]), (&"finished".into(), &"crashed".into()));
}

#[test]
fn training_begins_with_the_pairs_when_it_is_asked_to() {
    let folder = trained(&["train.pairs_epochs=8", "train.pairs_batch_size=5", "train.pairs_lr=3e-3"]);
    let metrics = json(&folder.path().join("reports/train/metrics.json"));
    assert_eq!(
        (&metrics["pairs"]["sentences"], &metrics["pairs"]["steps"], &metrics["steps"]),
        (&200.into(), &320.into(), &100.into())
    );
    assert!(!folder.path().join("models/pairs-state").exists(), "a finished run leaves no state");
    // They are of the same easy task, so that the first epoch on the training data is far ahead of one without them.
    let first = |folder: &Path| json(&folder.join("reports/train/history.json"))[0]["tune_loss"].as_f64().unwrap();
    let without = trained(&[]);
    let losses = (first(folder.path()), first(without.path()));
    assert!(losses.0 < 0.8 * losses.1, "{losses:?}");
    assert!(json(&without.path().join("reports/train/metrics.json"))["pairs"].is_null());
    // The base model is the base model, whatever came between.
    let origin =
        |folder: &Path| json(&folder.join("models/checkpoint/classifier.json"))["origin"]["base_sha256"].clone();
    assert_eq!(origin(folder.path()), origin(without.path()));
}

#[test]
fn what_the_pairs_taught_the_lower_layers_stays_when_it_is_frozen() {
    // Whatever the training data teach, at whatever rate, cannot be seen in what is frozen, and can in all the rest.
    let changed = |frozen: &str| -> Vec<(String, bool)> {
        let [one, other] = ["train.lr=3e-3", "train.lr=1e-3"].map(|lr| {
            let folder = trained(&["train.pairs_epochs=1", "train.epochs=1", "model.layers=2", frozen, lr]);
            weights::read(&folder.path().join("models/checkpoint/model.safetensors")).unwrap()
        });
        one.into_iter().map(|(name, tensor)| (name.clone(), tensor.values != other[&name].values)).collect()
    };
    let all = changed("train.pairs_freeze_layers=0");
    assert!(all.iter().all(|(_, changed)| *changed), "{all:?}");
    let above = changed("train.pairs_freeze_layers=1");
    let is_below = |name: &str| name.contains("embeddings.") || name.contains("layer.0.");
    assert!(above.iter().any(|(name, _)| is_below(name)));
    assert!(above.iter().all(|(name, changed)| *changed != is_below(name)), "{above:?}");
}

#[test]
fn more_layers_than_there_are_cannot_be_frozen() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let output = train(folder.path(), &["train.pairs_epochs=1", "train.pairs_freeze_layers=9"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("train.pairs_freeze_layers is 9, but only 2 layers are kept"), "{}", text(&output));
}

#[test]
fn a_run_killed_after_the_pairs_does_not_do_them_again_and_ends_the_same() {
    let sets = ["train.pairs_epochs=3", "train.pairs_batch_size=4", "train.batch_size=4", "train.epochs=12"];
    let whole = trained(&sets);
    for stop in ["models/pairs-state/epoch-1", "models/train-state/epoch-1"] {
        let folder = tempfile::tempdir().unwrap();
        project(folder.path());
        kill_at(folder.path(), &sets, stop);
        let output = train(folder.path(), &sets);
        assert!(output.status.success(), "{}", text(&output));
        let afresh = text(&output).contains("pairs, epoch 1/3:");
        assert!(!afresh, "{stop}: {}", text(&output));
        assert!(outputs(folder.path()) == outputs(whole.path()), "{stop}");
    }
}

#[test]
fn pairs_that_are_not_there_are_told_with_the_stage_that_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    fs::remove_file(folder.path().join("data/prepared/pairs.parquet")).unwrap();
    let output = train(folder.path(), &["train.pairs_epochs=1"]);
    assert!(!output.status.success() && text(&output).contains("data/prepared/pairs.parquet"), "{}", text(&output));
    assert!(train(folder.path(), &["train.epochs=1"]).status.success(), "without pairs nobody needs them");
}

/// Runs and kills the process as soon as `path` is there.
fn kill_at(folder: &Path, sets: &[&str], path: &str) {
    let mut child = command(folder, sets).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while !folder.join(path).exists() && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL: nothing can be tidied up.
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the run was over before it could be killed");
}

/// The one run that was tracked, and the steps whose loss is in its files.
fn tracked(folder: &Path) -> (String, Vec<u64>) {
    let entries = fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<_> = entries.filter(|path| path.join("run.json").exists()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let losses = fs::read_to_string(runs[0].join("plots/metrics/train/loss.tsv")).unwrap();
    let step = |line: &str| line.split('\t').next().unwrap().parse().unwrap();
    (runs[0].file_name().unwrap().to_str().unwrap().to_owned(), losses.lines().skip(1).map(step).collect())
}

#[test]
fn tracking_writes_every_step_and_epoch_and_changes_no_result() {
    let on = trained(&["train.epochs=2"]);
    let off = trained(&["train.epochs=2", "track.sinks=[]"]);
    assert!(outputs(on.path()) == outputs(off.path()));
    assert!(!off.path().join("runs").exists() && !off.path().join("wandb").exists());

    let (id, steps) = tracked(on.path());
    assert_eq!(steps, (1..=50).collect::<Vec<u64>>());
    let run = on.path().join("runs").join(&id);
    let metrics = json(&run.join("metrics.json"));
    let summary = json(&on.path().join("reports/train/metrics.json"));
    assert_eq!(metrics["best"]["tune_mcc"], summary["tune_mcc"]);
    let history = json(&on.path().join("reports/train/history.json"));
    assert_eq!(metrics["epochs"]["tune_loss"], history[1]["tune_loss"]);
    assert!(metrics["train"]["sentences_per_second"].as_f64().unwrap() > 1.0, "{metrics}");
    // A later stage finds the run by the weights.
    let weights = wellformed_core::files::sha256_file(&on.path().join("models/checkpoint/model.safetensors")).unwrap();
    assert_eq!(json(&on.path().join(format!("runs/checkpoints/{weights}.json")))["run"], id);
}

#[test]
fn a_run_that_fails_is_tracked_as_failed() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let output = train(folder.path(), &["train.lr=1.0", "train.clip_norm=0", "train.weight_decay=1e30"]);
    assert!(!output.status.success());
    let entries = fs::read_dir(folder.path().join("runs")).unwrap().map(|entry| entry.unwrap().path());
    let records: Vec<Value> = entries.map(|path| json(&path.join("run.json"))).collect();
    assert_eq!((records.len(), &records[0]["status"]), (1, &"failed".into()), "{records:?}");
}

#[test]
fn a_state_of_another_run_is_not_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    // Enough epochs for the run to be alive when it is killed.
    let mut child =
        command(folder.path(), &["train.epochs=500"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = folder.path().join("models/train-state/epoch-1");
    while !first.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = train(folder.path(), &["train.epochs=1"]);
    assert!(output.status.success() && text(&output).contains("starting afresh"), "{}", text(&output));
    let fresh = trained(&["train.epochs=1"]);
    assert!(outputs(folder.path()) == outputs(fresh.path()));
}

#[test]
fn a_damaged_state_is_told_and_training_starts_afresh() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let state = folder.path().join("models/train-state/epoch-1");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("state.json"), "{").unwrap();
    let output = train(folder.path(), &["train.epochs=1"]);
    assert!(output.status.success() && text(&output).contains("cannot be read"), "{}", text(&output));
}

#[test]
fn training_stops_early_when_nothing_improves() {
    let folder = trained(&["train.lr=1e-9", "train.patience=2", "train.epochs=9"]);
    let metrics = json(&folder.path().join("reports/train/metrics.json"));
    assert_eq!((metrics["epochs"].as_u64(), metrics["best_epoch"].as_u64()), (Some(3), Some(1)), "{metrics}");
}

#[test]
fn accumulating_two_batches_is_a_step_of_twice_the_size() {
    let folder = trained(&["train.epochs=1", "train.batch_size=8", "train.accumulate=4"]);
    let metrics = json(&folder.path().join("reports/train/metrics.json"));
    assert_eq!(metrics["steps"], 400_usize.div_ceil(8).div_ceil(4));
}

#[test]
fn a_few_batches_can_be_overfitted() {
    let sets = ["train.overfit_batches=2", "train.epochs=60", "model.hidden_dropout=0", "model.attention_dropout=0"];
    let folder = trained(&sets);
    let history = json(&folder.path().join("reports/train/history.json"));
    let last = history.as_array().unwrap().last().unwrap()["train_loss"].as_f64().unwrap();
    assert!(last < 0.05, "{last}");
}

#[test]
fn the_checkpoint_is_one_that_transformers_knows_by_its_names() {
    let folder = trained(&["train.epochs=1"]);
    let checkpoint = folder.path().join("models/checkpoint");
    let names: Vec<_> = contents(&checkpoint).into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names, ["classifier.json", "config.json", "model.safetensors", "tokenizer.json"]);
    let bytes = fs::read(checkpoint.join("model.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..4096]).into_owned();
    assert!(header.contains("bert.encoder.layer.0.attention.self.query.weight"), "{header}");
    assert_eq!(json(&checkpoint.join("classifier.json"))["origin"]["epoch"], 1);
}

#[test]
fn a_missing_input_or_feature_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let said = text(&train(folder.path(), &[]));
    assert!(said.contains("models/base/config.json"), "{said}");
    project(folder.path());
    fs::remove_file(folder.path().join("data/prepared/tune.parquet")).unwrap();
    let said = text(&train(folder.path(), &[]));
    assert!(said.contains("tune.parquet") && said.contains("prepare stage"), "{said}");
    if !cfg!(feature = "cuda") {
        let said = text(&train(folder.path(), &["compute.device=cuda"]));
        assert!(said.contains("WELLFORMED_FEATURES=cuda"), "{said}");
    }
    let said = text(&train(folder.path(), &["model.layers=9"]));
    assert!(said.contains("model.layers is 9") && said.contains("at most 2"), "{said}");
}

#[test]
fn a_run_that_diverges_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let output = train(folder.path(), &["train.lr=1.0", "train.clip_norm=0", "train.weight_decay=1e30"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("diverged") && text(&output).contains("train.lr"), "{}", text(&output));
}
