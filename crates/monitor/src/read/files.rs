//! Lines of a file or of standard input, of whatever kind they are: a log, an export, a document that holds a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::Lines;
use crate::cloudwatch;

/// Bytes of a document that is read whole: what `CloudWatch` sends at once has 1 MB, packed; what its commands print
/// at once has some more.
const LARGEST_DOCUMENT: u64 = 512 << 20;
/// Bytes of a line: `CloudWatch` has 1 MiB at most. What is longer is no log.
const LONGEST_LINE: u64 = 16 << 20;

/// Lines of a file.
pub(super) struct FileLines {
    path: PathBuf,
    name: String,
    state: State,
    number: usize,
}

enum State {
    Closed,
    /// One line after another.
    Text(Box<dyn BufRead>),
    /// A document's lines.
    Document(VecDeque<String>),
    Finished,
}

impl FileLines {
    /// Lines of a file; `-` is standard input. It is opened with the first line that is asked for.
    pub(super) fn new(path: PathBuf) -> Self {
        let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        Self { path, name, state: State::Closed, number: 0 }
    }

    fn open(&mut self) -> Result<State> {
        let cannot = || format!("cannot read {}", self.name);
        let raw: Box<dyn Read> = if self.path.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(&self.path).with_context(cannot)?)
        };
        let mut reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, raw));
        if reader.fill_buf().with_context(cannot)?.starts_with(&[0x1f, 0x8b]) {
            reader = Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)));
        }
        let start = reader.fill_buf().with_context(cannot)?;
        if !starts_a_document(start) {
            return Ok(State::Text(reader));
        }
        let mut text = String::new();
        reader.take(LARGEST_DOCUMENT + 1).read_to_string(&mut text).with_context(cannot)?;
        ensure!(
            text.len() as u64 <= LARGEST_DOCUMENT,
            "{} is one JSON document of more than {} MiB; expected one record to a line",
            self.name,
            LARGEST_DOCUMENT >> 20
        );
        let mut lines = VecDeque::new();
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let value = value.map_err(|error| {
                anyhow::anyhow!(
                    "{} is not in the expected form: {}",
                    self.name,
                    crate::line::without_values(&error.to_string())
                )
            })?;
            lines.extend(cloudwatch::document(&value).with_context(|| {
                format!(
                    "{} is a JSON document, but none that CloudWatch sends or exports (with awslogs, requestPayload or \
                     events); expected that, or one record to a line",
                    self.name
                )
            })?);
        }
        Ok(State::Document(lines))
    }

    fn advance(&mut self) -> Result<Option<(String, String)>> {
        if matches!(self.state, State::Closed) {
            self.state = self.open()?;
        }
        self.number += 1;
        let place = format!("{}:{}", self.name, self.number);
        let line = match &mut self.state {
            State::Text(reader) => {
                let mut bytes = Vec::new();
                let count = reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes);
                let count = count.with_context(|| format!("cannot read {}", self.name))?;
                ensure!(
                    (count as u64) < LONGEST_LINE,
                    "{place} is longer than {} MiB: this is no log",
                    LONGEST_LINE >> 20
                );
                (count > 0).then(|| cloudwatch::without_prefix(&String::from_utf8_lossy(&bytes)).to_owned())
            }
            State::Document(lines) => lines.pop_front(),
            State::Closed | State::Finished => None,
        };
        if line.is_none() {
            self.state = State::Finished;
        }
        Ok(line.map(|line| (place, line)))
    }
}

impl Lines for FileLines {
    fn next_line(&mut self) -> Option<Result<(String, String)>> {
        self.advance().transpose()
    }
}

/// Whether a file that starts so is one JSON document rather than a record to a line: its first line either is not
/// complete, or holds a log.
fn starts_a_document(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start();
    let first = text.lines().next().unwrap_or_default().trim_end();
    if ["{\"type\"", "{\"refused\""].iter().any(|beginning| first.starts_with(beginning)) {
        return false;
    }
    let holds_a_log = || ["\"awslogs\"", "\"requestPayload\"", "\"events\""].iter().any(|key| first.contains(key));
    first == "{" || (first.starts_with('{') && holds_a_log())
}
