//! Records from files, standard input and Elasticsearch, as a stream: memory stays flat however many there are.
//!
//! ```no_run
//! use wellformed_monitor::read::{Records, Span};
//!
//! let mut records = Records::of_files(&["records.jsonl".into()], Span::default());
//! for record in &mut records {
//!     println!("{}", record?.timestamp());
//! }
//! eprintln!("{}", records.tally());
//! # Ok::<(), anyhow::Error>(())
//! ```

mod cluster;
mod files;

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use wellformed_core::record::{Record, Timestamp};

use crate::bulk::INDEX;
use crate::cluster::ClusterArguments;
use crate::line::Line;

use self::cluster::Search;
use self::files::FileLines;

/// Damaged lines that are remembered with their place; more are only counted.
const REMEMBERED: usize = 10;

/// Where records come from, as options of a command.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordArguments {
    /// Files with records, `-` for standard input: logs of `lambda` and `serve`, what AWS CloudWatch Logs sends or
    /// exports, with or without gzip. Without any, the cluster is asked.
    #[arg(value_name = "FILE")]
    #[expect(clippy::doc_markdown, reason = "the comment is the option's help")]
    pub files: Vec<PathBuf>,
    /// Records from this time on: RFC 3339 in UTC, or how long ago, such as 24h or 7days.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Records")]
    pub since: Option<Timestamp>,
    /// Records before this time, in the same form.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Records")]
    pub until: Option<Timestamp>,
    /// The start of the names of the indices that records are in.
    #[arg(long, value_name = "NAME", default_value = INDEX, help_heading = "Cluster")]
    pub index: String,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

impl RecordArguments {
    /// The records.
    ///
    /// # Errors
    ///
    /// When neither a file nor a cluster is named, or the cluster's address or credentials are no good. Files are
    /// opened only when they are read.
    pub fn open(&self) -> Result<Records> {
        let span = Span { since: self.since, until: self.until };
        ensure!(
            !self.files.is_empty() || self.cluster.url.is_some(),
            "there are no records to read: name files, - for standard input, or a cluster with --url"
        );
        if !self.files.is_empty() {
            return Ok(Records::of_files(&self.files, span));
        }
        Ok(Records::of_cluster(self.cluster.open()?, &self.index, span))
    }
}

/// Reads RFC 3339 in UTC, or how long ago.
///
/// # Errors
///
/// When the text is neither.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(timestamp) = Timestamp::parse(text) {
        return Ok(timestamp);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.map(Timestamp::from)
        .ok_or_else(|| "expected a time in UTC such as 2026-09-22T09:14:22Z, or how long ago, such as 24h".to_owned())
}

/// From when to when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether a moment is in it.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.since.is_none_or(|since| moment >= since) && self.until.is_none_or(|until| moment < until)
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records, those outside the span excluded.
    pub records: u64,
    /// Records outside the span.
    pub outside: u64,
    /// Lines that were never records.
    pub others: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Where the first of those are: place and reason.
    pub first_damaged: Vec<(String, String)>,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records", self.records)?;
        for (count, what) in [
            (self.outside, "outside the time asked for"),
            (self.others, "other lines"),
            (self.damaged, "damaged records left out"),
        ] {
            if count > 0 {
                write!(formatter, ", {count} {what}")?;
            }
        }
        for (place, reason) in &self.first_damaged {
            write!(formatter, "\n  {place}: {reason}")?;
        }
        Ok(())
    }
}

/// Something with a name that gives one line after another.
trait Lines {
    /// The next line with its place, such as `records.jsonl:17`; an error ends the reading.
    fn next_line(&mut self) -> Option<Result<(String, String)>>;
}

/// A stream of records, file after file. Damaged lines are counted and left out.
pub struct Records {
    sources: VecDeque<Box<dyn Lines>>,
    span: Span,
    tally: Tally,
}

impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Records")
            .field("sources", &self.sources.len())
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Records {
    /// Records of files; `-` is standard input. Each is opened when its turn comes.
    pub fn of_files(files: &[PathBuf], span: Span) -> Self {
        let sources = files.iter().map(|path| Box::new(FileLines::new(path.clone())) as Box<dyn Lines>).collect();
        Self { sources, span, tally: Tally::default() }
    }

    /// Records in a cluster, in the order of their times.
    pub fn of_cluster(cluster: crate::cluster::Cluster, index: &str, span: Span) -> Self {
        let search: Box<dyn Lines> = Box::new(Search::new(cluster, index, span));
        Self { sources: VecDeque::from([search]), span, tally: Tally::default() }
    }

    /// What was read so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (place, line) = match self.sources.front_mut()?.next_line() {
                None => {
                    self.sources.pop_front();
                    continue;
                }
                Some(Err(error)) => {
                    self.sources.clear();
                    return Some(Err(error));
                }
                Some(Ok(line)) => line,
            };
            match Line::read(&line) {
                Line::Record(record) if self.span.contains(record.timestamp()) => {
                    self.tally.records += 1;
                    return Some(Ok(record));
                }
                Line::Record(_) => self.tally.outside += 1,
                Line::Other => self.tally.others += 1,
                Line::Damaged(reason) => {
                    self.tally.damaged += 1;
                    if self.tally.first_damaged.len() < REMEMBERED {
                        self.tally.first_damaged.push((place, reason));
                    }
                }
            }
        }
    }
}

/// A JSON document as an error for whoever asked for records.
fn not_a_page(url: &url::Url) -> anyhow::Error {
    anyhow!("{url} does not answer as a search does; is this the address of Elasticsearch or OpenSearch?")
}

/// Reads JSON out of an answer.
fn json(url: &url::Url, body: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(body).with_context(|| not_a_page(url).to_string())
}
