//! Conditions on documents, written once and given in both languages: KQL for saved objects, query DSL for searches.

use serde_json::{Value, json};

use crate::field::Field;

/// A condition on a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// True of every document.
    Everything,
    /// The keyword field has this value.
    Is(Field, &'static str),
    /// The keyword field has one of these values.
    OneOf(Field, &'static [&'static str]),
    /// The Boolean field has this value.
    Flag(Field, bool),
    /// The number is greater than this.
    Above(Field, f64),
    /// The number is this or less.
    AtMost(Field, f64),
    /// All of them are true.
    All(Vec<Filter>),
}

impl Filter {
    /// In Kibana's query language, as it is saved; empty for [`Filter::Everything`].
    pub fn kql(&self) -> String {
        match self {
            Self::Everything => String::new(),
            Self::Is(field, value) => format!("{} : \"{value}\"", field.name),
            Self::OneOf(field, values) => {
                let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
                format!("{} : ({})", field.name, values.join(" or "))
            }
            Self::Flag(field, value) => format!("{} : {value}", field.name),
            Self::Above(field, bound) => format!("{} > {bound}", field.name),
            Self::AtMost(field, bound) => format!("{} <= {bound}", field.name),
            Self::All(parts) => {
                let parts: Vec<String> = parts.iter().map(Self::kql).filter(|part| !part.is_empty()).collect();
                parts.join(" and ")
            }
        }
    }

    /// In Elasticsearch's query DSL, equivalent to what Kibana makes of [`Filter::kql`].
    pub fn dsl(&self) -> Value {
        match self {
            Self::Everything => json!({"match_all": {}}),
            Self::Is(field, value) => json!({"term": {field.name: {"value": value}}}),
            Self::OneOf(field, values) => json!({"terms": {field.name: values}}),
            Self::Flag(field, value) => json!({"term": {field.name: {"value": value}}}),
            Self::Above(field, bound) => json!({"range": {field.name: {"gt": bound}}}),
            Self::AtMost(field, bound) => json!({"range": {field.name: {"lte": bound}}}),
            Self::All(parts) => json!({"bool": {"filter": parts.iter().map(Self::dsl).collect::<Vec<_>>()}}),
        }
    }
}
