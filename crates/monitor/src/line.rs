//! A line of a log: a record, something else, or a record that is damaged.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wellformed_core::record::{Prediction, Problem, Record, Start};

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record.
    Record(Record),
    /// Something that was never a record: Lambda's `START`, `END` and `REPORT`, its platform events, an access log, a
    /// stack trace, an empty line.
    Other,
    /// What says that it is a record, but cannot be read as one; with the reason, in which values are left out.
    Damaged(String),
}

/// A line that could not be delivered, as [`crate::ship`] keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// Why.
    pub refused: String,
    /// The line as it was.
    pub line: String,
}

impl Line {
    /// Reads a line. White space at its ends does not count. A dead letter is opened.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        if !text.starts_with('{') {
            return Self::Other;
        }
        if let Ok(record) = serde_json::from_str(text) {
            return Self::Record(record);
        }
        if text.starts_with("{\"refused\":")
            && let Ok(letter) = serde_json::from_str::<DeadLetter>(text)
        {
            return Self::read(&letter.line);
        }
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(fields) => damage(fields).map_or(Self::Other, Self::Damaged),
            // A line that broke off still starts like a record.
            Err(error) if Record::TYPES.iter().any(|kind| text.starts_with(&format!("{{\"type\":\"{kind}\""))) => {
                Self::Damaged(without_values(&error.to_string()))
            }
            Err(_) => Self::Other,
        }
    }
}

/// What is wrong with a record, with the field's name; `None` if it is none of ours.
fn damage(mut fields: Map<String, Value>) -> Option<String> {
    fn of<T: DeserializeOwned>(fields: Map<String, Value>) -> Option<String> {
        let error = serde_path_to_error::deserialize::<_, T>(Value::Object(fields)).err()?;
        let reason = without_values(&error.inner().to_string());
        let field = error.path().to_string();
        Some(if field == "." { reason } else { format!("{field}: {reason}") })
    }
    match fields.remove("type")?.as_str()? {
        "start" => of::<Start>(fields),
        "prediction" => of::<Prediction>(fields),
        "problem" => of::<Problem>(fields),
        _ => None,
    }
}

/// A message without the values that it quotes, between double quotes or as a name that is not known: there may be a
/// piece of a sentence. The names of fields stay.
pub(crate) fn without_values(message: &str) -> String {
    let message = match message.split_once("unknown variant `") {
        Some((before, rest)) => {
            let rest = rest.split_once("`, expected").map_or("", |(_, rest)| rest);
            format!("{before}unknown variant, expected{rest}")
        }
        None => message.to_owned(),
    };
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}\"…\"{}", &message[..first], &message[last + 1..]),
        _ => message,
    }
}
