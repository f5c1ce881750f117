//! Values laid over one another, and what is said when one of them does not fit.
//!
//! The lowest layer is the file; above it lie `--set section.key=value` and variables of the environment, each a layer
//! of its own that remembers where it came from, so that a mistake is reported where it was made.

use std::path::Path;

use figment::providers::{Format, Serialized, Yaml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, error};

/// One value laid over the file.
pub(crate) struct Layer {
    /// What a person typed, for messages.
    place: String,
    key: String,
    value: Value,
}

impl Layer {
    /// Reads a layer; `text` is YAML, as in the file. `None` when `key` is no `section.key` or `text` is no YAML.
    pub(crate) fn read(place: String, key: &str, text: &str) -> Option<Self> {
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return None;
        }
        // YAML reads nothing as null, but whoever writes `base.folder=` (and a shell that takes the quotes off
        // `base.folder=''`) means the empty text.
        let value = if text.trim().is_empty() { Value::from("") } else { Yaml::from_str(text).ok()? };
        Some(Self { place, key: key.to_owned(), value })
    }
}

/// The file with the layers over it, the last one on top.
pub(crate) fn lay(file: &Path, layers: Vec<Layer>) -> Figment {
    // Figment merges maps key by key. Whoever writes `--set base.sha256={}` means the whole map, so what lies under
    // a map is taken away first.
    let maps = |above: &[Layer]| -> Vec<String> {
        above.iter().filter(|layer| layer.value.as_dict().is_some()).map(|layer| layer.key.clone()).collect()
    };
    let mut figment = Figment::from(Without { provider: Yaml::file_exact(file), keys: maps(&layers), place: None });
    for (index, layer) in layers.iter().enumerate() {
        figment = figment.merge(Without {
            provider: Serialized::default(&layer.key, &layer.value),
            keys: maps(&layers[index + 1..]),
            place: Some(layer.place.clone()),
        });
    }
    figment
}

/// A provider less the keys that a layer above replaces whole, under the name that messages use.
struct Without<P> {
    provider: P,
    keys: Vec<String>,
    place: Option<String>,
}

impl<P: Provider> Provider for Without<P> {
    fn metadata(&self) -> Metadata {
        match &self.place {
            Some(place) => Metadata::named(place.clone()),
            None => self.provider.metadata(),
        }
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut data = self.provider.data()?;
        for dict in data.values_mut() {
            for key in &self.keys {
                remove(dict, key);
            }
        }
        Ok(data)
    }
}

fn remove(dict: &mut Dict, key: &str) {
    match key.split_once('.') {
        None => {
            dict.remove(key);
        }
        Some((first, rest)) => {
            if let Some(Value::Dict(_, inner)) = dict.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// One line a mistake: where it was made, the key, the value found and what is allowed.
pub(crate) fn describe(file: &Path, error: &figment::Error) -> String {
    let mut lines: Vec<String> = error.clone().into_iter().map(|one| describe_one(file, &one)).collect();
    lines.dedup();
    lines.join("\n")
}

fn describe_one(file: &Path, error: &figment::Error) -> String {
    use error::Kind;

    // Layers are named by what was typed; only the file has a source.
    let place = match &error.metadata {
        Some(metadata) if metadata.source.is_none() => metadata.name.to_string(),
        _ => file.display().to_string(),
    };
    let key = error.path.join(".");
    let under = |field: &str| if key.is_empty() { field.to_owned() } else { format!("{key}.{field}") };
    let wrong = |found: String, allowed: String| {
        if key.is_empty() {
            format!("the whole file is {found}, but must be {allowed}")
        } else {
            format!("{key} is {found}, but must be {allowed}")
        }
    };
    let problem = match &error.kind {
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => wrong(actual(found), expected(wanted)),
        Kind::UnknownVariant(found, allowed) => wrong(format!("\"{found}\""), alternatives(allowed)),
        // Here the path names the unknown key itself.
        Kind::UnknownField(_, allowed) => match key.rsplit_once('.') {
            Some((section, _)) => format!("there is no parameter {key}; {section} has {}", allowed.join(", ")),
            None => format!("there is no section {key}; the file has {}", allowed.join(", ")),
        },
        Kind::MissingField(field) => format!("{} is missing", under(field)),
        other if key.is_empty() => format!("this is not the YAML of parameters: {other}"),
        other => format!("{key}: {other}"),
    };
    format!("{place}: {problem}")
}

/// A value as it stands in YAML.
fn actual(found: &error::Actual) -> String {
    use error::Actual;

    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("\"{value}\""),
        Actual::Unit | Actual::Option => "empty".to_owned(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a group of keys".to_owned(),
        // Figment's words for a number beyond 64 bits: integer `123` as u128.
        Actual::Other(words) => words.split('`').nth(1).map_or(words.clone(), |number| format!("{number} (too large)")),
        other => other.to_string(),
    }
}

/// A type of Rust as a person would say it.
fn expected(wanted: &str) -> String {
    let words = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a map" => "a group of keys",
        other if other.starts_with("struct ") => "a group of keys",
        other if other.starts_with("enum ") => "one of the names beside it in params.yaml",
        other => other,
    };
    words.to_owned()
}

/// `a, b or c`.
pub(crate) fn alternatives(allowed: &[&str]) -> String {
    match allowed {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
