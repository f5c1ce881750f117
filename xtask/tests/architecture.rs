//! The rules of the house, held by tests: who may import whom, and that dvc.yaml says what the code does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use figment::providers::{Format, Yaml};
use serde_json::Value;
use wellformed_core::params::{
    EvalStage, ExportStage, FetchStage, Params, PrepareStage, StageParams, TrainStage, UNTRACKED,
};
use xtask::process::{cargo, root};

/// What each crate may import of the project: the arrows of the README's picture. A new crate gets its line here.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("metrics", &["core"]),
    ("starter", &["core"]),
    ("model", &["core", "kernels"]),
    ("fetch", &["core", "starter"]),
    ("prepare", &["core", "starter"]),
    ("track", &["core"]),
    ("train", &["core", "kernels", "metrics", "model", "track"]),
    ("eval", &["core", "metrics", "model", "track"]),
    ("onnx", &["core"]),
    ("kernels", &[]),
    ("infer", &["core", "kernels", "metrics", "onnx", "signals"]),
    ("signals", &[]),
    ("drift", &["core", "metrics", "signals"]),
    ("export", &["core", "drift", "infer", "metrics", "model", "onnx", "signals", "track"]),
    ("predict", &["core", "infer"]),
    ("serve", &["core", "infer", "verdict"]),
    ("lambda", &["core", "infer"]),
    ("image", &["core", "infer"]),
    ("report", &["core", "metrics"]),
    ("kibana", &["core"]),
    ("verdict", &["core", "drift", "metrics", "signals"]),
    ("monitor", &["core", "drift", "kibana", "metrics", "verdict"]),
    ("release", &["core", "image", "infer", "report"]),
];

/// The crates that may use Burn, directly or through another crate.
const MAY_USE_BURN: &[&str] = &["model", "train", "eval", "export"];

/// The stages, and the parameters that their code reads.
const STAGES: &[(&str, &[&str])] = &[
    ("fetch", FetchStage::KEYS),
    ("prepare", PrepareStage::KEYS),
    ("train", TrainStage::KEYS),
    ("eval", EvalStage::KEYS),
    ("export", ExportStage::KEYS),
];

/// The workspace as Cargo sees it: packages by id, and by name the names of what they depend on.
struct Workspace {
    /// Crate folder (or `xtask`) -> every package it is built from, itself excluded.
    closures: BTreeMap<String, BTreeSet<String>>,
    /// Crate folder (or `xtask`) -> direct dependencies, by kind: `normal`, `dev`, `build`.
    direct: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Crate folder (or `xtask`) -> ordinary dependencies whose version is pinned with `=`.
    pinned: BTreeMap<String, BTreeSet<String>>,
}

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(|| {
    let output = cargo().args(["metadata", "--format-version", "1", "--all-features", "--locked"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut pinned = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        // Somebody else's package may be named as a folder is here, such as `image`.
        let name = if package["source"].is_null() { folder(name) } else { format!("{name} of others") };
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let exact = dependencies.filter(|one| one["kind"].is_null() && one["req"].as_str().unwrap().starts_with('='));
        if package["source"].is_null() {
            pinned.insert(name.clone(), exact.map(|one| one["name"].as_str().unwrap().to_owned()).collect());
        }
        names.insert(package["id"].as_str().unwrap(), name);
    }
    // Built from: ordinary and build dependencies; tests may bring more.
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut direct: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let id = node["id"].as_str().unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let to = dependency["pkg"].as_str().unwrap();
            for kind in dependency["dep_kinds"].as_array().unwrap() {
                let kind = kind["kind"].as_str().unwrap_or("normal");
                if kind != "dev" {
                    edges.entry(id).or_default().push(to);
                }
                let kinds = direct.entry(names[id].clone()).or_default();
                kinds.entry(kind.to_owned()).or_default().insert(names[to].clone());
            }
        }
    }
    let mut closures = BTreeMap::new();
    for member in metadata["workspace_members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            for next in edges.get(id).into_iter().flatten() {
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        closures.insert(names[member].clone(), seen.into_iter().map(|id| names[id].clone()).collect());
    }
    Workspace { closures, direct, pinned }
});

/// `wellformed-train` lives in `crates/train`; `xtask` keeps its name.
fn folder(package: &str) -> String {
    package.strip_prefix("wellformed-").unwrap_or(package).to_owned()
}

/// The crates of the project, `xtask` excluded.
fn crates() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("crates")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

impl Workspace {
    /// The crates of the project that a crate is built from, itself included.
    fn ours(&self, name: &str) -> BTreeSet<String> {
        let mut ours: BTreeSet<String> = self.closures[name].intersection(&crates()).cloned().collect();
        ours.insert(name.to_owned());
        ours
    }
}

fn pipeline() -> Value {
    Yaml::from_str(&fs::read_to_string(root().join("dvc.yaml")).unwrap()).unwrap()
}

/// The entries of a list in a stage of dvc.yaml; an entry with options gives its path.
fn listed(stage: &Value, list: &str) -> Vec<String> {
    let path = |entry: &Value| match entry {
        Value::String(path) => path.clone(),
        entry => entry.as_object().unwrap().keys().next().unwrap().clone(),
    };
    stage[list].as_array().into_iter().flatten().map(path).collect()
}

/// The modules that a source text names after a prefix: with `wellformed_core::`, `params` of
/// `use wellformed_core::params::Params` and of `use wellformed_core::{files, params::Params}`.
fn modules(text: &str, prefix: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.trim_start().split(|c: char| c != '_' && !c.is_alphanumeric()).next().map(str::to_owned);
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut entry = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    found.extend(word(&group[entry..at]));
                    entry = at + 1;
                }
                _ => {}
            }
            if entry > at && c == '}' {
                break;
            }
        }
    }
    found.remove("");
    found
}

fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

#[test]
fn every_crate_imports_only_what_the_picture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    for name in crates() {
        let may = allowed.get(name.as_str()).unwrap_or_else(|| {
            panic!(
                "crates/{name} has no line in MAY_IMPORT: say there, and in the README's picture, what it may import"
            )
        });
        let direct = WORKSPACE.direct.get(&name).cloned().unwrap_or_default();
        let imports: BTreeSet<String> =
            ["normal", "build"].iter().filter_map(|kind| direct.get(*kind)).flatten().cloned().collect();
        for import in imports.intersection(&crates()) {
            assert!(may.contains(&import.as_str()), "crates/{name} may import {may:?}, but imports {import}");
        }
    }
}

#[test]
fn no_stage_depends_on_another_stage_not_even_in_its_tests() {
    for (stage, _) in STAGES {
        for (other, _) in STAGES {
            let kinds = WORKSPACE.direct[*stage].values();
            assert!(
                !kinds.flatten().any(|name| name == other),
                "{stage} depends on {other}; stages speak through files"
            );
            assert!(!WORKSPACE.closures[*stage].contains(*other), "{stage} is built from {other}");
        }
    }
}

#[test]
fn burn_stays_in_the_crates_that_compute() {
    for name in crates() {
        let burn: Vec<&String> =
            WORKSPACE.closures[&name].iter().filter(|package| package.starts_with("burn")).collect();
        let may = MAY_USE_BURN.contains(&name.as_str());
        assert!(may || burn.is_empty(), "crates/{name} must build without Burn, but is built from {burn:?}");
    }
}

#[test]
fn tests_and_binaries_are_built_from_the_same_libraries() {
    let libraries = |edges: &str| -> BTreeSet<String> {
        let mut tree = cargo();
        tree.args(["tree", "--locked", "--workspace", "--prefix", "none", "--format", "{p} {f}", "--edges", edges]);
        let output = tree.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
    };
    // A feature that only a test asks for builds the library anew, and all that depends on it: Burn in nine minutes.
    let (binaries, tests) = (libraries("normal,build"), libraries("normal,build,dev"));
    let names: BTreeSet<&str> = binaries.iter().filter_map(|line| line.split(' ').next()).collect();
    let others: Vec<&String> =
        tests.difference(&binaries).filter(|line| names.contains(line.split(' ').next().unwrap_or(""))).collect();
    assert!(others.is_empty(), "with other features for tests than for binaries: {others:?}");
}

#[test]
fn nothing_depends_on_xtask_and_xtask_is_built_from_no_crate_of_the_project() {
    for name in crates() {
        let kinds = WORKSPACE.direct.get(&name).into_iter().flat_map(BTreeMap::values);
        assert!(!kinds.flatten().any(|package| package == "xtask"), "crates/{name} depends on xtask");
    }
    let ours: Vec<String> = WORKSPACE.closures["xtask"].intersection(&crates()).cloned().collect();
    assert!(ours.is_empty(), "xtask is built before anything else, so it must not need {ours:?}");
}

#[test]
fn dvc_yaml_tracks_exactly_the_parameters_that_each_stage_reads() {
    let pipeline = pipeline();
    let stages: BTreeSet<&String> = pipeline["stages"].as_object().unwrap().keys().collect();
    assert_eq!(stages, STAGES.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>().iter().collect());
    for (stage, keys) in STAGES {
        let tracked: Vec<String> = listed(&pipeline["stages"][*stage], "params");
        let tracked: Vec<&str> = tracked.iter().map(String::as_str).filter(|name| *name != "Cargo.toml").collect();
        assert_eq!(tracked, *keys, "stage {stage}: `params:` of dvc.yaml against StageParams::KEYS");
    }
}

#[test]
fn sections_that_dvc_does_not_track_are_read_by_the_journal_and_by_nothing_that_computes() {
    let pipeline = pipeline();
    let stages = pipeline["stages"].as_object().unwrap();
    let params: Value = serde_json::to_value(Params::load_with(&root().join("params.yaml"), &[], []).unwrap()).unwrap();
    for section in UNTRACKED {
        assert!(params[section].is_object(), "{section} is no section of params.yaml");
        for (name, stage) in stages {
            assert!(!listed(stage, "params").iter().any(|key| key == section), "{name} tracks {section}");
        }
    }
    // Whoever reads a parameter has its type, or reaches it through `Params`; only the crate `track` may do so here.
    for name in crates().iter().filter(|name| !["core", "track"].contains(&name.as_str())) {
        let text = sources(&root().join("crates").join(name).join("src"));
        for word in ["params.track", "TrackParams", "WandbParams"] {
            assert!(!text.contains(word), "crates/{name} uses {word}: no result may depend on it");
        }
    }
}

#[test]
fn dvc_yaml_tracks_the_sources_that_each_stage_is_built_from() {
    let pipeline = pipeline();
    for (stage, _) in STAGES {
        let crates = WORKSPACE.ours(stage);
        let mut expected = BTreeSet::new();
        let mut text = String::new();
        for name in crates.iter().filter(|name| *name != "core") {
            expected.insert(format!("crates/{name}/src"));
            expected.insert(format!("crates/{name}/Cargo.toml"));
            text += &sources(&root().join("crates").join(name).join("src"));
        }
        // Of core, the modules that these crates use, and the modules that those use.
        let mut open = modules(&text, "wellformed_core::");
        let mut core = BTreeSet::new();
        while let Some(module) = open.pop_first() {
            let path = format!("crates/core/src/{module}.rs");
            if root().join(&path).is_file() && core.insert(path.clone()) {
                open.append(&mut modules(&fs::read_to_string(root().join(&path)).unwrap(), "crate::"));
            }
        }
        expected.extend(core);
        let tracked: BTreeSet<String> = listed(&pipeline["stages"][*stage], "deps")
            .into_iter()
            .filter(|path| path.starts_with("crates/"))
            .collect();
        assert_eq!(
            tracked, expected,
            "stage {stage}: code among `deps:` of dvc.yaml against what the stage is built from"
        );
    }
}

#[test]
fn dvc_yaml_tracks_the_pinned_versions_that_each_stage_is_built_from() {
    let pipeline = pipeline();
    for (stage, _) in STAGES {
        let crates = WORKSPACE.ours(stage);
        let expected: BTreeSet<String> = crates.iter().flat_map(|name| WORKSPACE.pinned[name].clone()).collect();
        let params = pipeline["stages"][*stage]["params"].as_array().unwrap();
        let tracked = params.iter().filter_map(|entry| entry["Cargo.toml"].as_array()).flatten();
        let tracked: BTreeSet<String> = tracked
            .map(|key| key.as_str().unwrap().strip_prefix("workspace.dependencies.").unwrap())
            .map(|key| key.strip_suffix(".version").unwrap_or(key).to_owned())
            .collect();
        assert_eq!(
            tracked, expected,
            "stage {stage}: `params: Cargo.toml:` of dvc.yaml against the pinned dependencies"
        );
    }
}

/// What no stage writes, because people put it there, and the stage that reads it.
const BROUGHT: [(&str, &str); 3] =
    [("prepare", "data/extra"), ("fetch", "models/teacher"), ("train", "models/teacher")];

#[test]
fn stages_hand_data_on_through_files_and_nothing_else() {
    let pipeline = pipeline();
    let mut outs: Vec<String> = Vec::new();
    for (stage, _) in STAGES {
        let entry = &pipeline["stages"][*stage];
        assert_eq!(entry["cmd"], format!("scripts/stage {stage}"));
        for path in listed(entry, "deps").iter().filter(|path| !path.starts_with("crates/")) {
            let inside = |out: &String| path == out || path.strip_prefix(out).is_some_and(|rest| rest.starts_with('/'));
            assert!(
                outs.iter().any(inside) || BROUGHT.contains(&(*stage, path.as_str())),
                "{stage} reads {path}, which no earlier stage writes"
            );
        }
        outs.extend(["outs", "metrics"].into_iter().flat_map(|list| listed(entry, list)));
    }
    let unique: BTreeSet<&String> = outs.iter().collect();
    assert_eq!(unique.len(), outs.len(), "an output is written by one stage only");
}

#[test]
fn data_stays_out_of_git_and_reports_stay_in() {
    let pipeline = pipeline();
    let ignored = |path: &str| {
        let mut git = std::process::Command::new("git");
        git.args(["check-ignore", "--quiet", "--no-index", path]).current_dir(root());
        git.status().unwrap().success()
    };
    for (stage, _) in STAGES {
        let entry = &pipeline["stages"][*stage];
        for path in listed(entry, "outs") {
            assert!(ignored(&path), "{path} of {stage} is DVC's: git has to ignore it");
        }
        for list in ["metrics", "plots"] {
            for item in entry[list].as_array().into_iter().flatten() {
                let (path, options) = item.as_object().unwrap().iter().next().unwrap();
                assert_eq!(options["cache"], false, "{path} of {stage} is committed, so DVC must not take it over");
                assert!(
                    path.starts_with("reports/") && !ignored(path),
                    "{path} of {stage} is committed under reports/"
                );
            }
        }
    }
    assert!(ignored("models/train-state/x"), "what train keeps for a resumed run is not for git");
    assert!(ignored("runs/x") && ignored("wandb/x"), "where runs are written is not for git");
}

#[test]
fn module_names_are_found_in_every_way_of_importing() {
    let found = |text| modules(text, "wellformed_core::").into_iter().collect::<Vec<_>>();
    assert_eq!(found("use wellformed_core::params::Params;"), ["params"]);
    assert_eq!(found("fn a() { wellformed_core::files::write_json(x) }"), ["files"]);
    assert_eq!(found("use wellformed_core::{dataset::{Label, Split}, files};"), ["dataset", "files"]);
    assert_eq!(found("use wellformed_core::{\n    dataset::Label,\n    params::{A, B},\n};"), ["dataset", "params"]);
}
