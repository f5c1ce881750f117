//! A template of infra/, read as far as the tests need it.

use std::collections::BTreeMap;
use std::fs;

use figment::providers::{Format, Yaml};
use serde_json::Value;
use xtask::process::root;

/// A template as JSON. What refers to something else is a text with the name in `${…}`, whether the template says `!Ref`,
/// `!GetAtt` or `!Sub`; the other functions are lists of their arguments.
pub(crate) fn template(name: &str) -> Value {
    let text = fs::read_to_string(root().join("infra").join(name)).unwrap();
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('!') {
        let (before, tagged) = rest.split_at(at);
        plain += before;
        let word: String = tagged[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        rest = &tagged[1 + word.len()..];
        // A tag stands alone; anything else is an exclamation mark of a text.
        let is_tag = before.ends_with([' ', '[']) && word.starts_with(|c: char| c.is_ascii_uppercase());
        match word.as_str() {
            "Ref" | "GetAtt" if is_tag => {
                let name: String =
                    rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || ":.".contains(*c)).collect();
                rest = &rest[1 + name.len()..];
                plain = plain + "\"${" + &name + "}\"";
            }
            _ if is_tag => {}
            _ => plain = plain + "!" + &word,
        }
    }
    Yaml::from_str(&(plain + rest)).unwrap()
}

/// The resources of a kind, by name.
pub(crate) fn resources(template: &Value, kind: &str) -> BTreeMap<String, Value> {
    let all = template["Resources"].as_object().unwrap();
    let wanted = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    wanted.map(|(name, resource)| (name.clone(), resource["Properties"].clone())).collect()
}

/// A value with everything that it refers to put in. What then is a number is one.
pub(crate) fn resolved(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            for (name, value) in names {
                text = text.replace(&format!("${{{name}}}"), value);
            }
            assert!(!text.contains("${"), "{text} refers to something unknown");
            let was_number = value.as_str().is_some_and(|it| it.starts_with("${")) && text.parse::<u32>().is_ok();
            if was_number { serde_json::from_str(&text).unwrap() } else { text.into() }
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, names)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), resolved(field, names))).collect(),
        other => other.clone(),
    }
}
