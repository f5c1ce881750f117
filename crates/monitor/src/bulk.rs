//! Records as documents, and what a cluster says of each.

use serde::Deserialize;
use serde_json::json;
use wellformed_core::record::Record;

/// The start of the names of the indices that records go into.
pub const INDEX: &str = "wellformed-records";

/// A record as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The index: of the day of the record, not of the day it is sent, so that a record that is sent again finds itself.
    pub index: String,
    /// The name, see [`Record::id`].
    pub id: String,
    /// The record as JSON, without what is meant for `CloudWatch`.
    pub source: Vec<u8>,
}

impl Document {
    /// The document of a record, in an index whose name starts with `prefix`.
    ///
    /// # Errors
    ///
    /// When the record cannot be written as JSON.
    pub fn of(record: Record, prefix: &str) -> serde_json::Result<Self> {
        let record = record.without_metrics();
        let index = format!("{prefix}-{}", record.timestamp().day("."));
        Ok(Self { index, id: record.id(), source: serde_json::to_vec(&record)? })
    }

    /// Bytes of the document in a request, a little too many.
    pub fn bytes(&self) -> usize {
        self.source.len() + self.index.len() + self.id.len() + 64
    }
}

/// The body of a `_bulk` request that creates documents; those that are there stay as they are.
pub fn body<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Vec<u8> {
    let mut body = Vec::new();
    for Document { index, id, source } in documents {
        body.extend(json!({"create": {"_index": index, "_id": id}}).to_string().as_bytes());
        body.push(b'\n');
        body.extend(source);
        body.push(b'\n');
    }
    body
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is there now.
    Created,
    /// It was there before.
    AlreadyThere,
    /// Not now; with the kind of error.
    Later(String),
    /// Never: the document does not fit the index; with the kind of error, and the cluster's own words.
    Refused(String, String),
    /// Not as long as the cluster or the credentials stay as they are; with the kind of error.
    Forbidden(String),
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    create: Item,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    #[serde(default)]
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

/// The fates of so many documents, in the order in which they were sent; `None` when this is no answer to that.
pub fn fates(answer: &[u8], sent: usize) -> Option<Vec<Fate>> {
    let Answer { items } = serde_json::from_slice(answer).ok()?;
    (items.len() == sent).then(|| items.into_iter().map(|action| fate(action.create)).collect())
}

/// Each document has an HTTP status of its own
/// (Elasticsearch guide, "Bulk API", section "Response body").
fn fate(Item { status, error }: Item) -> Fate {
    let (kind, reason) = match error {
        None => (format!("status {status}"), String::new()),
        Some(Problem { kind, reason }) => (kind, reason),
    };
    match status {
        200..300 => Fate::Created,
        409 => Fate::AlreadyThere,
        408 | 429 | 500.. => Fate::Later(kind),
        // A disk that is nearly full blocks writing until there is room; older versions say 403 to that.
        403 if kind == "cluster_block_exception" => Fate::Later(kind),
        400 | 413 => match kind.as_str() {
            // The index, not the document: it must not be made by itself, or there are too many.
            "index_not_found_exception" | "validation_exception" | "invalid_index_name_exception" => {
                Fate::Forbidden(kind)
            }
            _ => Fate::Refused(kind, reason),
        },
        _ => Fate::Forbidden(kind),
    }
}
