//! Access logs: a line for each request, never a sentence and never a query string.
//!
//! A thread of its own writes them, so that a slow reader of standard output slows no answer. When it cannot keep up,
//! lines are lost rather than memory, and counted.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Lines that may wait to be written.
const WAITING: usize = 8192;

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
    writer: Option<Writer>,
}

struct Writer {
    sender: Mutex<Option<SyncSender<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        Self { format: LogFormat::Json, writer: None }
    }

    /// An access log into `output`.
    ///
    /// # Errors
    ///
    /// When the thread that writes cannot be started.
    pub fn to(format: LogFormat, output: impl Write + Send + 'static) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || write(&receiver, output)).context("cannot start the thread that logs")?;
        let writer = Writer { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) };
        Ok(Self { format, writer: Some(writer) })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Hands a line over; `false` when it is lost.
    pub(crate) fn request(&self, entry: &Entry<'_>) -> bool {
        let Some(writer) = &self.writer else { return true };
        let mut line = match self.format {
            LogFormat::Json => serde_json::to_string(entry).unwrap_or_default(),
            LogFormat::Text => text(entry),
        };
        line.push('\n');
        let sender = writer.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.try_send(line).is_ok())
    }

    /// Writes what waits, and takes no more.
    pub(crate) fn finish(&self) {
        let Some(writer) = &self.writer else { return };
        writer.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = writer.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
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

fn write(lines: &Receiver<String>, mut output: impl Write) {
    let mut failing = false;
    while let Ok(first) = lines.recv() {
        let mut block = first;
        // What has gathered meanwhile is written in one go.
        while block.len() < 1 << 16
            && let Ok(next) = lines.try_recv()
        {
            block += &next;
        }
        // A reader that has gone, such as the other end of a pipe, is no reason to stop serving.
        let written = output.write_all(block.as_bytes()).and_then(|()| output.flush());
        if let Err(error) = written
            && !failing
        {
            failing = true;
            eprintln!("warning: the access log cannot be written: {error}");
        }
    }
}
