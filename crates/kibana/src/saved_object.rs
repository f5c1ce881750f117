//! Saved objects, as Kibana and OpenSearch Dashboards export and import them: one JSON object a line.

use serde_json::{Value, json};

/// A pointer from one saved object to another. The object's attributes use the name; only this list has the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The id of the other object.
    pub id: String,
    /// What the attributes call it.
    pub name: String,
    /// The type of the other object.
    pub kind: &'static str,
}

/// Which release's form the attributes have, so that a newer program knows what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Kibana from 8.8 on: the form of the envelope, and that of the attributes.
    Kibana {
        /// The form of the envelope.
        core: &'static str,
        /// The form of the attributes.
        form: &'static str,
    },
    /// OpenSearch Dashboards, which keeps Kibana 7.10's way.
    OpenSearch {
        /// The form of the attributes.
        form: &'static str,
    },
}

/// A saved object.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedObject {
    /// What it is, in the form of its type.
    pub attributes: Value,
    /// Unique among the objects of its type.
    pub id: String,
    /// What it points to.
    pub references: Vec<Reference>,
    /// Its type.
    pub kind: &'static str,
    /// Which form it has.
    pub version: Version,
}

/// The envelope of Kibana 8.8 and newer.
const KIBANA_CORE: &str = "8.8.0";

impl Version {
    /// For a type of Kibana 8. Without it Kibana takes the object for one of 7.x and runs migrations that fail.
    pub(crate) fn kibana(kind: &str) -> Self {
        Self::Kibana { core: KIBANA_CORE, form: kibana_form(kind) }
    }

    /// For a type of OpenSearch Dashboards.
    pub(crate) fn open_search(kind: &str) -> Self {
        Self::OpenSearch { form: open_search_form(kind) }
    }
}

impl SavedObject {
    /// The object as the programs export it.
    pub fn to_json(&self) -> Value {
        let references: Vec<Value> =
            self.references.iter().map(|one| json!({"id": one.id, "name": one.name, "type": one.kind})).collect();
        let mut object = json!({
            "attributes": self.attributes,
            "id": self.id,
            "references": references,
            "type": self.kind,
        });
        match self.version {
            Version::Kibana { core, form } => {
                object["coreMigrationVersion"] = core.into();
                object["typeMigrationVersion"] = form.into();
            }
            Version::OpenSearch { form } => object["migrationVersion"] = json!({self.kind: form}),
        }
        object
    }
}

/// The form of a type's attributes that this crate writes for Kibana: what 8.9 exports, and newer releases import.
pub(crate) fn kibana_form(kind: &str) -> &'static str {
    match kind {
        "lens" | "dashboard" => "8.9.0",
        _ => "8.0.0",
    }
}

/// The form of a type's attributes that this crate writes for OpenSearch Dashboards: the last of Kibana 7.10.
pub(crate) fn open_search_form(kind: &str) -> &'static str {
    match kind {
        "index-pattern" => "7.6.0",
        "visualization" => "7.10.0",
        _ => "7.9.3",
    }
}

/// The objects as a file to import: a line each.
pub fn ndjson(objects: &[SavedObject]) -> String {
    objects.iter().fold(String::new(), |text, object| format!("{text}{}\n", object.to_json()))
}
