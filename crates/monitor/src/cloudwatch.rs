//! Lines of a log out of what `CloudWatch` sends and exports.
//!
//! | what | where it comes from |
//! |---|---|
//! | `{"awslogs": {"data": …}}` | a subscription: gzip in base64; what [`crate::forwarder`] gets |
//! | `{"requestPayload": {"awslogs": …}, …}` | the same, kept by the on-failure destination of the forwarder |
//! | `{"events": [{"message": …}, …], …}` | `aws logs filter-log-events`, `aws logs get-log-events` |
//! | `2026-09-22T09:14:22.123Z {…}` | a line of an export to S3, of `aws logs tail` |

use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// The kind of payload with which `CloudWatch` tries whether a destination can be reached; there is no log in it.
const CONTROL_MESSAGE: &str = "CONTROL_MESSAGE";
/// Bytes of an unpacked payload: `CloudWatch` packs a megabyte at most, and text shrinks to a tenth.
const LARGEST: u64 = 256 << 20;

/// The event that a subscription invokes a function with.
///
/// Only what is needed is read, so that stand-ins for AWS are understood as well: moto's events have numbers for ids.
#[derive(Debug, Clone, Deserialize)]
pub struct Subscription {
    awslogs: Packed,
}

#[derive(Debug, Clone, Deserialize)]
struct Packed {
    data: String,
}

/// What is in the event of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// `DATA_MESSAGE` or `CONTROL_MESSAGE`.
    pub message_type: String,
    /// The log group that the lines come from.
    pub log_group: String,
    /// The lines.
    pub log_events: Vec<LogEvent>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogEvent {
    /// The line.
    pub message: String,
}

/// An event of a subscription cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the event is not one of a CloudWatch Logs subscription: awslogs.data is not {0}")]
pub struct PayloadError(&'static str);

impl Subscription {
    /// Unpacks the event.
    ///
    /// # Errors
    ///
    /// When it is not gzip in base64, or there is something else in it.
    pub fn open(&self) -> Result<Payload, PayloadError> {
        let packed = BASE64_STANDARD.decode(&self.awslogs.data).map_err(|_| PayloadError("base64"))?;
        let mut json = Vec::new();
        let unpacked = MultiGzDecoder::new(&*packed).take(LARGEST).read_to_end(&mut json);
        unpacked.map_err(|_| PayloadError("gzip"))?;
        serde_json::from_slice(&json).map_err(|_| PayloadError("what CloudWatch Logs sends"))
    }
}

impl Payload {
    /// The lines; none in a control message.
    pub fn lines(self) -> Vec<String> {
        if self.message_type == CONTROL_MESSAGE {
            return Vec::new();
        }
        self.log_events.into_iter().map(|event| event.message).collect()
    }
}

/// The lines in a document of one of the kinds above; `None` for anything else.
pub fn document(value: &Value) -> Option<Vec<String>> {
    if let Some(payload) = value.get("requestPayload") {
        return document(payload);
    }
    if value.get("awslogs").is_some() {
        return Subscription::deserialize(value).ok()?.open().ok().map(Payload::lines);
    }
    let events = Vec::<LogEvent>::deserialize(value.get("events")?).ok()?;
    Some(events.into_iter().map(|event| event.message).collect())
}

/// The line without the time, or time and stream, that exports put before it.
pub fn without_prefix(line: &str) -> &str {
    let prefixed = line.as_bytes().first().is_some_and(u8::is_ascii_digit);
    match line.find('{') {
        Some(start) if prefixed => &line[start..],
        _ => line,
    }
}
