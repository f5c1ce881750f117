//! What a cluster has to know before records come, made from the record's type: JSON Schema, index templates, lifecycle
//! policies.
//!
//! The files lie in `monitoring/`; `monitor schema` writes them, a test holds them against the type.

use anyhow::{Context, Result, bail, ensure};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use wellformed_core::record::Record;

use crate::bulk::INDEX;
use crate::cluster::{Cluster, Unreachable};

/// The name of the index template and of the lifecycle policy.
pub const NAME: &str = INDEX;
/// Days after which an index is deleted, counted from when it was made.
pub const DAYS_KEPT: u32 = 90;
/// The version of the index template; it rises with every change of the mapping.
const TEMPLATE_VERSION: u32 = 1;

/// Elasticsearch, or OpenSearch, which took another way with lifecycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Elasticsearch 8 or newer: index lifecycle management.
    Elasticsearch,
    /// OpenSearch 2 or newer: index state management.
    OpenSearch,
}

/// A generated file: its name in `monitoring/`, and its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    /// The name.
    pub name: &'static str,
    /// The content.
    pub content: Value,
}

/// Every generated file.
///
/// # Errors
///
/// When the record's type has a field that there is no Elasticsearch type for.
pub fn all() -> Result<Vec<Asset>> {
    let of = |name, content| Asset { name, content };
    Ok(vec![
        of("record.schema.json", record_schema()),
        of("index-template.json", index_template(Flavour::Elasticsearch)?),
        of("lifecycle-policy.json", lifecycle_policy(Flavour::Elasticsearch)),
        of("opensearch-index-template.json", index_template(Flavour::OpenSearch)?),
        of("opensearch-lifecycle-policy.json", lifecycle_policy(Flavour::OpenSearch)),
    ])
}

/// JSON Schema (draft 2020-12) of a record.
pub fn record_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Record>();
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!("Wellformed: a record of a prediction, a problem or a start"));
    }
    schema
}

/// The index template: which indices, and the type of every field. Fields that are not in it are refused.
///
/// # Errors
///
/// When the record's type has a field that there is no Elasticsearch type for.
pub fn index_template(flavour: Flavour) -> Result<Value> {
    let mut settings = json!({"index": {"number_of_shards": 1}});
    if flavour == Flavour::Elasticsearch {
        settings["index"]["lifecycle"] = json!({"name": NAME});
    }
    Ok(json!({
        "index_patterns": [format!("{INDEX}-*")],
        "priority": 200,
        "version": TEMPLATE_VERSION,
        "_meta": {"description": "Records of predictions; generated from the record's type by `monitor schema`"},
        "template": {
            "settings": settings,
            "mappings": {"dynamic": "strict", "properties": properties()?},
        },
    }))
}

/// When an index is deleted.
pub fn lifecycle_policy(flavour: Flavour) -> Value {
    let age = format!("{DAYS_KEPT}d");
    let description = format!("Records of predictions are deleted after {DAYS_KEPT} days");
    match flavour {
        // Indices stay writable all their life: a log can be sent late.
        Flavour::Elasticsearch => json!({
            "policy": {
                "_meta": {"description": description},
                "phases": {
                    "hot": {"min_age": "0ms", "actions": {}},
                    "delete": {"min_age": age, "actions": {"delete": {}}},
                },
            },
        }),
        Flavour::OpenSearch => json!({
            "policy": {
                "description": description,
                "default_state": "kept",
                "states": [
                    {
                        "name": "kept",
                        "actions": [],
                        "transitions": [{"state_name": "deleted", "conditions": {"min_index_age": age}}],
                    },
                    {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
                ],
                "ism_template": [{"index_patterns": [format!("{INDEX}-*")], "priority": 200}],
            },
        }),
    }
}

/// The Elasticsearch type of every field of a record.
///
/// # Errors
///
/// When there is none for a field, or two kinds of records have a field of the same name with different types.
pub fn properties() -> Result<Map<String, Value>> {
    let schema = record_schema();
    let kinds = schema["oneOf"].as_array().context("the schema of a record has no kinds")?;
    let mut properties = Map::new();
    for kind in kinds {
        let kind = resolve(&schema, kind)?;
        // The fields of a kind lie beside its `type`, or behind a reference.
        let referred = kind.get("$ref").is_some().then(|| reference(&schema, kind)).transpose()?;
        let fields = [Some(kind), referred].into_iter().flatten();
        for (name, field) in fields.filter_map(|part| part["properties"].as_object()).flatten() {
            let Some(mapped) = mapping(name, resolve(&schema, field)?)? else { continue };
            let known = properties.entry(name.clone()).or_insert_with(|| mapped.clone());
            ensure!(*known == mapped, "{name} is {known} in one kind of record and {mapped} in another");
        }
    }
    Ok(properties)
}

/// What a reference leads to, unless there are other things beside it; anything else is itself.
fn resolve<'a>(schema: &'a Value, part: &'a Value) -> Result<&'a Value> {
    match part.get("$ref") {
        Some(_) if part.get("properties").is_none() => reference(schema, part),
        _ => Ok(part),
    }
}

fn reference<'a>(schema: &'a Value, part: &Value) -> Result<&'a Value> {
    let path = part["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| schema.pointer(path)).context("the schema of a record refers to something that is not there")
}

fn mapping(name: &str, field: &Value) -> Result<Option<Value>> {
    let kind = match &field["type"] {
        // A field that can be left away is also null to the schema.
        Value::Array(kinds) => kinds.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
        kind => kind.as_str(),
    };
    let format = field["format"].as_str();
    let mapped = match (field["x-elasticsearch-type"].as_str(), kind, format) {
        (Some("none"), _, _) => return Ok(None),
        (Some(own), _, _) => own,
        (None, Some("string"), Some("date-time")) => "date",
        (None, Some("string"), _) => "keyword",
        (None, Some("boolean"), _) => "boolean",
        (None, Some("integer"), Some("uint8" | "int8" | "uint16" | "int16" | "int32")) => "integer",
        (None, Some("integer"), _) => "long",
        (None, Some("number"), _) => "double",
        _ if field.get("oneOf").is_some() || field.get("const").is_some() || field.get("enum").is_some() => "keyword",
        _ => bail!("there is no Elasticsearch type for the field {name}: {field}"),
    };
    Ok(Some(json!({"type": mapped})))
}

/// Whether a cluster has the index template: without it, fields would get types by their first value.
///
/// A login that may write records but not read templates is taken at its word.
///
/// # Errors
///
/// When the cluster does not answer, or not properly.
pub fn template_is_installed(cluster: &Cluster) -> Result<bool, Unreachable> {
    let answer = cluster.ask("GET", &format!("_index_template/{NAME}"), None)?;
    match answer.status {
        200..300 | 401 | 403 => Ok(true),
        404 => Ok(false),
        status => {
            let cause = format!("it answers with status {status}");
            Err(Unreachable { url: cluster.url().to_string(), cause, passing: true })
        }
    }
}

/// What to do about a template that is not there.
pub fn missing(cluster: &Cluster) -> String {
    format!(
        "{} has no index template {NAME}, so fields would get types by chance; put it there first: `monitor install`, \
         or PUT monitoring/index-template.json to _index_template/{NAME}",
        cluster.url()
    )
}
