//! Records of predictions, for whoever watches the model: where they go, and what the server puts into them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use prometheus_client::metrics::counter::Counter;
use wellformed_core::record::{
    Channel, Level, Prediction as RecordedPrediction, Problem, Record, Service, Start, TextFacts, TextPolicy,
    Timestamp, entropy_bits,
};
use wellformed_infer::Prediction;

use crate::lines::Lines;
use crate::model::Model;
use crate::monitor::Monitor;
use crate::observe::Context;

/// The version in records.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where records go, and what they may say of sentences.
pub struct Records {
    writer: Option<Lines>,
    monitor: Monitor,
    texts: TextPolicy,
    lost: Counter,
    cold: AtomicBool,
}

impl Records {
    /// Records that go nowhere yet; `texts` says what they may hold of a sentence.
    pub fn new(texts: TextPolicy) -> Self {
        let (lost, cold) = (Counter::default(), AtomicBool::new(true));
        Self { writer: None, monitor: Monitor::off(), texts, lost, cold }
    }

    /// Records for the server's own monitor too.
    #[must_use]
    pub fn watched_by(self, monitor: Monitor) -> Self {
        Self { monitor, ..self }
    }

    /// Records into `output` too, one JSON object to a line. They are written by a thread of its own: an answer never waits
    /// for them. What the thread cannot write in time is lost, and counted.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn to(self, output: impl Write + Send + 'static) -> Result<Self> {
        let counter = self.lost.clone();
        let writer = Lines::to(output, "records of predictions", move |lines| {
            counter.inc_by(lines);
        })?;
        Ok(Self { writer: Some(writer), ..self })
    }

    /// The server's own monitor.
    pub(crate) fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Whether sentences are kept, redacted.
    pub(crate) fn keep_texts(&self) -> bool {
        self.are_wanted() && self.texts.logs_text()
    }

    fn are_wanted(&self) -> bool {
        self.writer.is_some() || self.monitor.is_on()
    }

    /// How many records could not be written.
    pub(crate) fn lost(&self) -> Counter {
        self.lost.clone()
    }

    /// What may be said of the sentences of a request; nothing where there are no records.
    pub(crate) fn describe(&self, sentences: &[String]) -> Vec<TextFacts> {
        if !self.are_wanted() {
            return Vec::new();
        }
        sentences.iter().map(|sentence| self.texts.describe(sentence)).collect()
    }

    /// The server is ready.
    pub(crate) fn start(&self, model: &dyn Model, threads: usize, init: Duration) {
        self.send(|| {
            Record::Start(Start {
                timestamp: Timestamp::now(),
                level: Level::Info,
                service: Service::Serve,
                version: VERSION.to_owned(),
                bundle: model.digest().to_owned(),
                precision: model.precision(),
                threads: threads as u32,
                init_ms: milliseconds(init),
            })
        });
    }

    /// The sentences of a request were predicted, and are about to be answered; `texts` is what
    /// [`Records::describe`] said of them.
    pub(crate) fn predictions(
        &self,
        context: &Context,
        model: &dyn Model,
        predictions: &[Prediction],
        texts: Vec<TextFacts>,
        explained: bool,
    ) {
        if !self.are_wanted() {
            return;
        }
        let cold_start = self.cold.swap(false, Ordering::Relaxed);
        for (index, (prediction, text)) in predictions.iter().zip(texts).enumerate() {
            let p_acceptable = prediction.probabilities[1];
            self.send(|| {
                Record::Prediction(Box::new(RecordedPrediction {
                    timestamp: Timestamp::now(),
                    level: Level::Info,
                    service: Service::Serve,
                    version: VERSION.to_owned(),
                    request_id: context.id().to_owned(),
                    index: index as u32,
                    bundle: model.digest().to_owned(),
                    precision: model.precision(),
                    channel: channel(context),
                    label: prediction.label,
                    p_acceptable,
                    entropy: entropy_bits(p_acceptable),
                    tokens: prediction.tokens as u32,
                    truncated: prediction.truncated,
                    unknown_tokens: prediction.unknown_tokens as u32,
                    characters: text.characters,
                    non_ascii_share: text.non_ascii_share,
                    pieces_per_word: prediction.signals.map(|signals| signals.pieces_per_word),
                    frequent_share: prediction.signals.map(|signals| signals.frequent_share),
                    surprise: prediction.signals.map(|signals| signals.surprise),
                    text_hash: text.text_hash,
                    explained,
                    tokenization_ms: milliseconds(prediction.timing.tokenization),
                    inference_ms: milliseconds(prediction.timing.inference),
                    total_ms: milliseconds(context.elapsed()),
                    cold_start,
                    text: text.text,
                    aws: None,
                }))
            });
        }
    }

    /// A request was answered with an error.
    pub(crate) fn problem(&self, context: &Context, model: &dyn Model, status: u16, code: &str) {
        self.send(|| {
            Record::Problem(Problem {
                timestamp: Timestamp::now(),
                level: Level::of_status(status),
                service: Service::Serve,
                version: VERSION.to_owned(),
                request_id: context.id().to_owned(),
                bundle: model.digest().to_owned(),
                channel: channel(context),
                status,
                code: code.to_owned(),
                aws: None,
            })
        });
    }

    /// Writes what waits, and takes no more.
    pub(crate) fn finish(&self) {
        if let Some(writer) = &self.writer {
            writer.finish();
        }
    }

    fn send(&self, record: impl FnOnce() -> Record) {
        if !self.are_wanted() {
            return;
        }
        let record = record();
        if let Some(writer) = &self.writer {
            let line = record.to_line().ok().and_then(|line| String::from_utf8(line).ok());
            if !line.is_some_and(|line| writer.send(line)) {
                self.lost.inc();
            }
        }
        self.monitor.take(record);
    }
}

fn channel(context: &Context) -> Channel {
    if context.route() == "/" { Channel::Page } else { Channel::Http }
}

/// A duration in milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// A file that records are added to, for [`Records::to`].
///
/// Lines stay whole: where the last one is not, because a program was killed or a disk was full while it was written, the
/// next one starts on a new line.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    whole: bool,
    reopen: Arc<AtomicBool>,
}

/// Tells a [`RecordFile`] that its file was renamed.
#[derive(Debug, Clone)]
pub struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// The next record goes into a file of the old name, which is made if it is not there.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl RecordFile {
    /// Opens a file to add to, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// When the file can be neither opened nor made.
    pub fn open(path: &Path) -> Result<(Self, Reopen)> {
        let opened = open(path).with_context(|| format!("cannot add records to {}", path.display()));
        let (file, whole) = opened?;
        let reopen = Arc::new(AtomicBool::new(false));
        Ok((Self { path: path.to_owned(), file, whole, reopen: Arc::clone(&reopen) }, Reopen(reopen)))
    }
}

/// The file, and whether its last line is whole.
fn open(path: &Path) -> io::Result<(File, bool)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut last = [b'\n'];
    // A pipe or a device has no end to look at.
    if file.metadata()?.is_file() && file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((file, last == [b'\n']))
}

impl Write for RecordFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            match open(&self.path) {
                Ok(opened) => (self.file, self.whole) = opened,
                Err(error) => eprintln!(
                    "warning: cannot open {} again: {error}; records still go into the old file",
                    self.path.display()
                ),
            }
        }
        let written = if self.whole { Ok(()) } else { self.file.write_all(b"\n") };
        let written = written.and_then(|()| self.file.write_all(bytes));
        self.whole = written.is_ok();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
