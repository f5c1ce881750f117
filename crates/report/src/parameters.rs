//! The parameters of a run, in the order of params.yaml and with its comments.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use figment::providers::{Format, Yaml};
use serde_json::Value;

/// Flat parameters: `train.lr` and its value.
pub type Flat = BTreeMap<String, Value>;

/// A parameter of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// With its section: `train.lr`.
    pub key: String,
    /// What the run was made with.
    pub value: Value,
    /// The comment beside it in params.yaml; empty without one.
    pub meaning: String,
    /// The value that the last commit has in params.yaml, when it is another one.
    pub committed: Option<Value>,
}

/// Parses YAML into JSON's types.
///
/// # Errors
///
/// When it is no YAML; `place` is named.
pub fn yaml(text: &str, place: &str) -> Result<Value> {
    Yaml::from_str(text).with_context(|| format!("{place} is not the YAML that was expected"))
}

/// A tree of keys as flat parameters. An empty map is a value of its own.
pub fn flatten(value: &Value) -> Flat {
    fn walk(prefix: &str, value: &Value, flat: &mut Flat) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, flat);
                }
            }
            other => {
                flat.insert(prefix.to_owned(), other.clone());
            }
        }
    }
    let mut flat = Flat::new();
    walk("", value, &mut flat);
    flat.remove("");
    flat
}

/// Whether two values are the same; `1` and `1.0` are.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The keys of a YAML file of nested maps, in its order, with the comment behind each. A line scanner, because a parser
/// gives neither; what it does not understand it passes over.
pub fn outline(text: &str) -> Vec<(String, String)> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let body = line.trim_start();
        let Some((key, rest)) = body.split_once(':') else { continue };
        if body.starts_with(['#', '-']) || !(rest.is_empty() || rest.starts_with(' ')) {
            continue;
        }
        let indent = line.len() - body.len();
        open.retain(|&(outer, _)| outer < indent);
        open.push((indent, key.trim_matches(['"', '\''])));
        let path: Vec<&str> = open.iter().map(|&(_, key)| key).collect();
        let comment = rest.split_once(" # ").map_or("", |(_, comment)| comment.trim());
        found.push((path.join("."), comment.to_owned()));
    }
    found
}

/// The values of a run in the order of params.yaml. `committed` are the values of the last commit, if there is one.
pub fn arrange(values: &Flat, params_yaml: &str, committed: Option<&Flat>) -> Vec<Parameter> {
    let outline = outline(params_yaml);
    let place = |key: &str| outline.iter().position(|(path, _)| path == key);
    let mut keys: Vec<&String> = values.keys().collect();
    keys.sort_by_key(|key| (place(key).unwrap_or(usize::MAX), key.as_str()));
    let parameter = |key: &String| {
        let value = values[key].clone();
        let other = committed.and_then(|committed| committed.get(key)).filter(|other| !same(other, &value));
        Parameter {
            key: key.clone(),
            meaning: place(key).map(|at| outline[at].1.clone()).unwrap_or_default(),
            committed: other.cloned(),
            value,
        }
    };
    keys.into_iter().map(parameter).collect()
}

/// A preset, and how much of it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// `presets/NAME.yaml`.
    pub name: String,
    /// Its keys whose value the run has.
    pub in_force: usize,
    /// All its keys.
    pub keys: usize,
}

impl Preset {
    /// Holds a preset's values against a run's.
    pub fn of(name: &str, preset: &Flat, values: &Flat) -> Self {
        let has = |(key, value): &(&String, &Value)| values.get(*key).is_some_and(|other| same(other, value));
        Self { name: name.to_owned(), in_force: preset.iter().filter(has).count(), keys: preset.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a file
seed: 1                  # of everything
train:
  lr: 1.0e-4             # peak: highest
  deep:
    url: http://a.b/c    # where
model:
  layers: 4
";

    #[test]
    fn an_outline_has_the_files_order_and_comments() {
        let found = outline(TEXT);
        let found: Vec<(&str, &str)> = found.iter().map(|(key, comment)| (key.as_str(), comment.as_str())).collect();
        let expected = [
            ("seed", "of everything"),
            ("train", ""),
            ("train.lr", "peak: highest"),
            ("train.deep", ""),
            ("train.deep.url", "where"),
            ("model", ""),
            ("model.layers", ""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_differs_from_the_commit_is_marked_and_one_is_one_however_it_is_written() {
        let values = flatten(&yaml(TEXT, "here").unwrap());
        let mut committed = values.clone();
        committed.insert("model.layers".to_owned(), serde_json::json!(6));
        committed.insert("seed".to_owned(), serde_json::json!(1.0));
        let arranged = arrange(&values, TEXT, Some(&committed));
        let keys: Vec<&str> = arranged.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["seed", "train.lr", "train.deep.url", "model.layers"]);
        let marked: Vec<&str> =
            arranged.iter().filter(|one| one.committed.is_some()).map(|one| one.key.as_str()).collect();
        assert_eq!(marked, ["model.layers"]);
    }
}
