//! What the binary can be told.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderValue, Uri};
use clap::{Parser, ValueEnum};
use wellformed_core::record::TextPolicy;
use wellformed_infer::Precision;
use wellformed_serve::{AllowOrigin, Log, LogFormat, Monitor, RecordFile, Records, Reopen, Settings};
use wellformed_verdict::{Judge, ReferenceError};

/// Predictions that the monitor may have to judge: more take memory, and a signal's trifles become certain.
const LONGEST_WINDOW: u64 = 100_000;

/// How long the monitor rests after a verdict.
const REST: Duration = Duration::from_secs(5);

const MORE: &str = "\
Addresses:
  /              a page to try sentences on
  /predict       POST {\"sentence\": …} or {\"sentences\": […]}, or GET ?text=
  /explain       POST {\"sentence\": …, \"perturbation\": \"omit\" | \"mask\"}, or GET ?text=&perturbation=
  /docs          all of the API, from /openapi.json
  /monitor       whether the model still does as it did: the last predictions against the bundle's reference
  /info  /health/live  /health/ready  /metrics

Signals:
  SIGHUP           open the file of --records again, after it was renamed
  SIGTERM, SIGINT  take no new connection, answer what was accepted, end; a second one ends at once

Exit codes:
  0  stopped, with everything answered
  1  something is wrong: the bundle, the address, an option; or requests were left unanswered
  2  the command line cannot be read

Examples:
  serve
  serve --bundle models/bundle --address 0.0.0.0:8080 --precision fp32
  serve --threads 4 --log text
  serve --records /var/log/wellformed/records.jsonl
  curl -s localhost:8080/predict -H 'Content-Type: application/json' -d '{\"sentence\": \"It rains.\"}'";

/// Answer over HTTP whether English sentences are acceptable.
///
/// Sentences that arrive together are predicted together. What would wait too long is refused: memory stays bounded.
/// No sentence is logged unless `WELLFORMED_LOG_TEXT=1` asks for it.
#[derive(Parser)]
#[command(name = "serve", version, after_help = MORE)]
pub(crate) struct Arguments {
    /// The bundle: the folder that the stage `export` makes.
    #[arg(long, value_name = "PATH", default_value = "models/bundle")]
    pub(crate) bundle: PathBuf,
    /// Where to listen. 127.0.0.1 is heard on this machine only, 0.0.0.0 everywhere.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) address: SocketAddr,
    /// Which of the bundle's models; the bundle's own default if not given.
    #[arg(long)]
    precision: Option<Choice>,
    /// Threads that predict; 0 means one per core.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    threads: usize,
    /// The access log on standard output: one line for each request.
    #[arg(long, value_name = "FORM", default_value = "json")]
    log: Form,
    /// Where to write a record of every prediction: a file that is added to, or `-` for standard output.
    ///
    /// The file is opened again on SIGHUP. A record holds no sentence. With `WELLFORMED_HASH_KEY` in the environment it
    /// holds the sentence's hash under that key, with `WELLFORMED_LOG_TEXT=1` the sentence, redacted.
    #[arg(long, value_name = "PATH")]
    records: Option<PathBuf>,
    /// Whose pages may read the answers: scheme and host; `*` means everybody's. May be repeated.
    #[arg(long = "allow-origin", value_name = "SCHEME://HOST")]
    origins: Vec<String>,

    /// Tokens of a batch.
    #[arg(long, value_name = "TOKENS", default_value_t = Settings::default().batch_tokens, help_heading = "Batching")]
    batch_tokens: usize,
    /// The longest that a sentence waits for others while the server is busy, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1.0, help_heading = "Batching")]
    window: f64,
    /// Sentences that may wait; more are refused with 429.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().queue_sentences, help_heading = "Batching")]
    queue: usize,
    /// Tokens that may wait; more are refused with 429.
    #[arg(long, value_name = "TOKENS", default_value_t = Settings::default().queue_tokens, help_heading = "Batching")]
    queue_tokens: usize,

    /// How many of the last predictions /monitor judges; 0 switches it off. Each takes about 1 kB of memory.
    #[arg(long, value_name = "COUNT", default_value_t = 2000, help_heading = "Monitor")]
    monitor_window: usize,
    /// When /monitor speaks up, as docs/drift.md explains; monitor.yaml if it is there, or else the defaults.
    #[arg(long, value_name = "FILE", help_heading = "Monitor")]
    monitor_settings: Option<PathBuf>,

    /// Sentences of a request.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().max_sentences, help_heading = "Limits")]
    max_sentences: usize,
    /// Bytes of a request's body.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().max_body, help_heading = "Limits")]
    max_body: usize,
    /// Connections at once; others wait.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().max_connections, help_heading = "Limits")]
    max_connections: usize,
    /// Seconds from a request's head to its answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, help_heading = "Limits")]
    timeout: f64,
    /// Seconds to wait for a request's head on an open connection, between requests too.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, help_heading = "Limits")]
    head_timeout: f64,

    /// Seconds for which /health/ready says 503 before a stopping server takes no more connections.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, help_heading = "Stopping")]
    shutdown_delay: f64,
    /// Seconds that a stopping server has for what it has accepted.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, help_heading = "Stopping")]
    shutdown_timeout: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    Fp32,
    Int8,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Off,
    Json,
    Text,
}

impl Arguments {
    pub(crate) fn precision(&self) -> Option<Precision> {
        self.precision.map(|choice| match choice {
            Choice::Fp32 => Precision::Fp32,
            Choice::Int8 => Precision::Int8,
        })
    }

    /// The access log on standard output.
    pub(crate) fn log(&self) -> Result<Log> {
        match self.log {
            Form::Off => Ok(Log::off()),
            Form::Json => Log::to(LogFormat::Json, io::stdout()),
            Form::Text => Log::to(LogFormat::Text, io::stdout()),
        }
    }

    /// Where records go, to a file and to the monitor, and what asks for their file to be opened again.
    pub(crate) fn records(&self) -> Result<(Records, Option<Reopen>)> {
        let monitor = self.monitor()?;
        if self.records.is_none() && self.monitor_window == 0 {
            return Ok((Records::new(TextPolicy::default()), None));
        }
        let records = Records::new(TextPolicy::read(|name| std::env::var(name).ok())?).watched_by(monitor);
        let Some(path) = &self.records else { return Ok((records, None)) };
        if path.as_os_str() == "-" {
            return Ok((records.to(io::stdout())?, None));
        }
        let (file, reopen) = RecordFile::open(path)?;
        Ok((records.to(file)?, Some(reopen)))
    }

    /// The server's own monitor.
    fn monitor(&self) -> Result<Monitor> {
        if self.monitor_window == 0 {
            ensure!(
                self.monitor_settings.is_none(),
                "--monitor-settings is given, but --monitor-window is 0, so nothing is judged; leave one of them away"
            );
            return Ok(Monitor::off());
        }
        let settings = wellformed_verdict::settings(self.monitor_settings.as_deref())?;
        let least = settings.drift.min_records;
        ensure!(
            (least..=LONGEST_WINDOW).contains(&(self.monitor_window as u64)),
            "--monitor-window is {}; expected {least} (drift.min_records) to {LONGEST_WINDOW}, or 0 for no monitor",
            self.monitor_window
        );
        match Judge::read(&self.bundle, settings) {
            Ok(judge) => Monitor::start(judge, self.monitor_window, REST),
            Err(error @ ReferenceError::NoProfile(_)) => {
                eprintln!("warning: /monitor has no verdicts: {error}");
                Ok(Monitor::without_profile())
            }
            Err(ReferenceError::Unusable(error)) => {
                Err(error.context("predictions cannot be watched; --monitor-window 0 serves without"))
            }
        }
    }

    /// What is meant by what was typed.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let counts = [
            ("--batch-tokens", self.batch_tokens),
            ("--queue", self.queue),
            ("--queue-tokens", self.queue_tokens),
            ("--max-sentences", self.max_sentences),
            ("--max-body", self.max_body),
            ("--max-connections", self.max_connections),
        ];
        for (name, count) in counts {
            ensure!(count > 0, "{name} is 0, and nothing could be answered; expected 1 or more");
        }
        let threads = match self.threads {
            0 => std::thread::available_parallelism().context("cannot count the cores; say --threads")?.get(),
            threads => threads,
        };
        Ok(Settings {
            threads,
            batch_tokens: self.batch_tokens,
            window: seconds("--window", self.window / 1000.0)?,
            queue_sentences: self.queue,
            queue_tokens: self.queue_tokens,
            max_sentences: self.max_sentences,
            max_body: self.max_body,
            max_connections: self.max_connections,
            timeout: seconds("--timeout", self.timeout)?,
            head_timeout: seconds("--head-timeout", self.head_timeout)?,
            shutdown_delay: seconds("--shutdown-delay", self.shutdown_delay)?,
            shutdown_timeout: seconds("--shutdown-timeout", self.shutdown_timeout)?,
            allow_origin: self.allow_origin()?,
        })
    }

    fn allow_origin(&self) -> Result<AllowOrigin> {
        if self.origins.iter().any(|origin| origin == "*") {
            return Ok(AllowOrigin::Everybody);
        }
        let read = |origin: &String| {
            let uri: Option<Uri> = origin.parse().ok();
            let is_origin = uri.is_some_and(|uri| {
                let text = format!("{}://{}", uri.scheme_str().unwrap_or(""), uri.host().unwrap_or(""));
                origin.starts_with(&text) && uri.host().is_some() && uri.scheme().is_some() && !origin.ends_with('/')
            });
            ensure!(is_origin, "--allow-origin {origin}: expected a scheme and a host, such as https://example.org");
            HeaderValue::from_str(origin).with_context(|| format!("--allow-origin {origin}"))
        };
        let origins: Vec<HeaderValue> = self.origins.iter().map(read).collect::<Result<_>>()?;
        Ok(if origins.is_empty() { AllowOrigin::Nobody } else { AllowOrigin::These(origins) })
    }
}

fn seconds(name: &str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time < Duration::from_hours(24))
        .with_context(|| format!("{name}: expected a time of at least 0 and less than a day"))
}
