//! The fields of an index, read from its template.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field::Kind;

/// Field names with their kinds; `None` for a field that panels cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    fields: BTreeMap<String, Option<Kind>>,
}

impl Mapping {
    /// Reads `template.mappings.properties`, objects within objects included.
    pub fn of_template(template: &Value) -> Self {
        let mut mapping = Self::default();
        mapping.collect("", &template["template"]["mappings"]);
        mapping
    }

    fn collect(&mut self, prefix: &str, level: &Value) {
        for (name, field) in level["properties"].as_object().into_iter().flatten() {
            let path = format!("{prefix}{name}");
            if field["properties"].is_object() {
                self.collect(&format!("{path}."), field);
                continue;
            }
            // What is not indexed can be neither filtered nor aggregated.
            let usable = field["index"] != false && field["enabled"] != false;
            let kind = field["type"].as_str().and_then(Kind::of_mapping_type).filter(|_| usable);
            self.fields.insert(path, kind);
        }
    }

    /// The kind of a field; `None` if there is no such field, or none that a panel can use.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.fields.get(name).copied().flatten()
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}
