//! Access logs: a line for each request, never a sentence and never a query string.

use std::fmt::Write as _;
use std::io::Write;
use std::time::SystemTime;

use anyhow::Result;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;

use crate::lines::Lines;

/// The form of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line for people.
    Text,
}

/// Where access logs go.
pub struct Log {
    format: LogFormat,
    writer: Option<Lines>,
    lost: Counter,
}

/// A request, as it stands in the log.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) time: String,
    pub(crate) id: &'a str,
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    pub(crate) sentences: usize,
    pub(crate) tokens: usize,
    pub(crate) ms: Milliseconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
}

/// Durations in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Milliseconds {
    pub(crate) total: f64,
    pub(crate) tokenization: f64,
    pub(crate) queue: f64,
    pub(crate) inference: f64,
}

impl Log {
    /// No access log.
    pub fn off() -> Self {
        Self { format: LogFormat::Json, writer: None, lost: Counter::default() }
    }

    /// An access log into `output`.
    ///
    /// # Errors
    ///
    /// When the thread that writes cannot be started.
    pub fn to(format: LogFormat, output: impl Write + Send + 'static) -> Result<Self> {
        let lost = Counter::default();
        let counter = lost.clone();
        let writer = Lines::to(output, "access log", move |lines| {
            counter.inc_by(lines);
        })?;
        Ok(Self { format, writer: Some(writer), lost })
    }

    /// How many lines could not be written.
    pub(crate) fn lost(&self) -> Counter {
        self.lost.clone()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Hands a line over. It never waits; a line that is lost is counted.
    pub(crate) fn request(&self, entry: &Entry<'_>) {
        let Some(writer) = &self.writer else { return };
        let mut line = match self.format {
            LogFormat::Json => serde_json::to_string(entry).unwrap_or_default(),
            LogFormat::Text => text(entry),
        };
        line.push('\n');
        if !writer.send(line) {
            self.lost.inc();
        }
    }

    /// Writes what waits, and takes no more.
    pub(crate) fn finish(&self) {
        if let Some(writer) = &self.writer {
            writer.finish();
        }
    }
}

/// The time in RFC 3339, to the millisecond.
pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn text(entry: &Entry<'_>) -> String {
    let Entry { time, id, method, route, status, sentences, tokens, ms, error } = entry;
    let Milliseconds { total, tokenization, queue, inference } = ms;
    // Writing to a String cannot fail.
    let mut line = format!("{time} {status} {method} {route} {total:.2} ms");
    if *sentences > 0 {
        let _ = write!(
            line,
            " (tokenization {tokenization:.2}, queue {queue:.2}, inference {inference:.2}), {sentences} sentences, \
             {tokens} tokens"
        );
    }
    if let Some(error) = error {
        let _ = write!(line, ", {error}");
    }
    let _ = write!(line, ", id {id}");
    line
}
