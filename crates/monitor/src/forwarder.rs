//! The function in AWS Lambda that delivers what `CloudWatch` sends.
//!
//! `CloudWatch` invokes it asynchronously. An invocation that fails is repeated by Lambda with the same payload, and then
//! kept whole by the function's on-failure destination. So whatever cannot be delivered makes the invocation fail, *after*
//! everything else was delivered: nothing is lost, and what was delivered already is there once.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use tokio::runtime::Builder;
use wellformed_core::record::Timestamp;

use crate::assets;
use crate::bulk::{Document, INDEX};
use crate::cloudwatch::Subscription;
use crate::cluster::{CA, CA_FILE, Cluster, Credentials, URL};
use crate::deliver::{DeliveryError, Patience, deliver};
use crate::line::Line;

/// The start of the names of the indices.
pub const INDEX_VARIABLE: &str = "WELLFORMED_INDEX";
/// What Lambda sets for every function, and what the runtime reads.
const REQUIRED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];
/// The log group of this function: never to be forwarded, because each forwarding would make a new line to forward.
const OWN_GROUP: &str = "AWS_LAMBDA_LOG_GROUP_NAME";
/// Time before Lambda's deadline that is kept for the answer.
const RESERVE: Duration = Duration::from_secs(3);

/// What became of a payload; the answer of the function, and its line in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forwarded {
    /// Records that were delivered and are new.
    pub created: u64,
    /// Records that were there already.
    pub already_there: u64,
    /// Lines that were never records.
    pub skipped: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Records that the cluster will never take.
    pub refused: u64,
    /// Requests that had to be repeated.
    pub repeated: u64,
}

/// Not everything was delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The cluster cannot be reached, or takes nothing: worth a repetition.
    #[error("{0}")]
    Undelivered(String),
    /// The event is none of a subscription.
    #[error("{0}")]
    NotALog(String),
    /// Some records will never be taken: the on-failure destination keeps the payload.
    #[error(
        "{damaged} records cannot be read and {refused} are refused by the cluster ({first}); everything else of the \
         payload is delivered"
    )]
    Unusable {
        /// Records that cannot be read.
        damaged: u64,
        /// Records that the cluster will never take.
        refused: u64,
        /// What is wrong with the first.
        first: String,
    },
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let error_type = match failure {
            Failure::Undelivered(_) => "Forwarder.Undelivered",
            Failure::NotALog(_) => "Forwarder.NotALog",
            Failure::Unusable { .. } => "Forwarder.Unusable",
        };
        Self { error_type: error_type.to_owned(), error_message: failure.to_string() }
    }
}

/// Delivers payloads, one after another.
#[derive(Debug)]
pub struct Forwarder {
    cluster: Cluster,
    index: String,
    own_group: Option<String>,
    installed: bool,
}

impl Forwarder {
    /// A forwarder into indices whose names start with `index`. Lines of the log group `own_group` are not forwarded.
    pub fn new(cluster: Cluster, index: String, own_group: Option<String>) -> Self {
        Self { cluster, index, own_group, installed: false }
    }

    /// A forwarder as the environment describes it.
    ///
    /// # Errors
    ///
    /// When a variable is missing or has an impossible value, or two of them contradict each other.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let given = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let url = given(URL).with_context(|| {
            format!("{URL} is not set; it must be the cluster's address, such as https://search.example.org:9200")
        })?;
        let credentials = Credentials::read(&variable)?;
        let cluster = match (given(CA_FILE), given(CA)) {
            (Some(_), Some(_)) => bail!("both {CA} and {CA_FILE} are set; leave one of them away"),
            (None, Some(pem)) => Cluster::trusting(&url, credentials, &pem, CA)?,
            (file, None) => Cluster::open(&url, credentials, file.as_deref().map(Path::new))?,
        };
        let index = given(INDEX_VARIABLE).unwrap_or_else(|| INDEX.to_owned());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        ensure!(
            index.starts_with(|c: char| c.is_ascii_lowercase()) && index.chars().all(plain),
            "{INDEX_VARIABLE} is {index:?}, but must be a name of lower-case letters, digits, - _ and ."
        );
        Ok(Self::new(cluster, index, given(OWN_GROUP)))
    }

    /// Delivers the records of a payload, and waits for the cluster until `until`.
    ///
    /// # Errors
    ///
    /// When a record was not delivered. Everything can be sent again.
    pub fn forward(&mut self, event: &Subscription, until: Instant) -> Result<Forwarded, Failure> {
        let data = event.open().map_err(|error| Failure::NotALog(error.to_string()))?;
        let mut done = Forwarded::default();
        if self.own_group.as_deref() == Some(data.log_group.as_str()) {
            eprintln!(
                "error: this function is subscribed to its own log group {}: remove that subscription filter; nothing is \
                 forwarded",
                data.log_group
            );
            done.skipped = data.log_events.len() as u64;
            return Ok(done);
        }
        let mut first = None;
        let mut documents = Vec::new();
        for line in data.lines() {
            let document = match Line::read(&line) {
                Line::Record(record) => Document::of(record, &self.index).map_err(|error| error.to_string()),
                Line::Damaged(reason) => Err(reason),
                Line::Other => {
                    done.skipped += 1;
                    continue;
                }
            };
            match document {
                Ok(document) => documents.push(document),
                Err(reason) => {
                    done.damaged += 1;
                    first.get_or_insert(reason);
                }
            }
        }
        if !documents.is_empty() {
            self.ensure_installed(until)?;
            let delivered = self.deliver(&documents, until)?;
            done.created = delivered.created;
            done.already_there = delivered.already_there;
            done.repeated = delivered.repeated;
            done.refused = delivered.refused.len() as u64;
            // The cluster's own words can quote the record.
            first = first.or_else(|| delivered.refused.into_iter().next().map(|refused| refused.kind));
        }
        match first {
            None => Ok(done),
            Some(first) => {
                report(&done);
                Err(Failure::Unusable { damaged: done.damaged, refused: done.refused, first })
            }
        }
    }

    fn deliver(&self, documents: &[Document], until: Instant) -> Result<crate::deliver::Delivered, Failure> {
        let patience = Patience::until(Some(until));
        let mut notice = |text: &str| eprintln!("warning: {text}");
        deliver(&self.cluster, documents, &patience, &mut notice).map_err(|error| match error {
            DeliveryError::OutOfPatience { .. } | DeliveryError::Forbidden { .. } => {
                Failure::Undelivered(error.to_string())
            }
        })
    }

    /// Once in the life of the process, before the first record goes out.
    fn ensure_installed(&mut self, until: Instant) -> Result<(), Failure> {
        while !self.installed {
            match assets::template_is_installed(&self.cluster) {
                Ok(true) => self.installed = true,
                Ok(false) => return Err(Failure::Undelivered(assets::missing(&self.cluster))),
                Err(unreachable) if unreachable.passing && Instant::now() + Duration::from_secs(1) < until => {
                    eprintln!("warning: {unreachable}; trying again in 0.5 s");
                    std::thread::sleep(Duration::from_millis(500));
                }
                Err(unreachable) => return Err(Failure::Undelivered(unreachable.to_string())),
            }
        }
        Ok(())
    }
}

/// Runs until Lambda ends the process.
///
/// # Errors
///
/// When the process was not started by a Lambda Runtime API, when a setting is missing or impossible, or when the Runtime
/// API goes away.
pub fn run() -> Result<()> {
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| env::var(name).is_err()).collect();
    ensure!(
        missing.is_empty(),
        "{} is not set: this program answers events of AWS Lambda's Runtime API, and is started by it; to send a log \
         file from here, use `monitor ship`",
        missing.join(", ")
    );
    let mut forwarder = Forwarder::read(|name| env::var(name).ok())?;
    // Lambda sends one event at a time to a process, so that nothing else waits while this one blocks.
    let tokio = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let service = service_fn(move |event: LambdaEvent<Subscription>| {
        let until = deadline(event.context.deadline);
        let done = forwarder.forward(&event.payload, until);
        if let Ok(done) = &done {
            report(done);
        }
        std::future::ready(done)
    });
    tokio.block_on(Runtime::new(service).run()).map_err(|error| anyhow!("the Runtime API went away: {error}"))
}

/// The last moment for an attempt, from Lambda's deadline in milliseconds since the start of 1970.
fn deadline(millis: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(millis).saturating_sub(now).saturating_sub(RESERVE);
    // Lambda lets no function run for longer.
    Instant::now() + left.min(Duration::from_mins(15))
}

/// The line in the function's log: counts, nothing of what was forwarded.
fn report(done: &Forwarded) {
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        timestamp: Timestamp,
        level: &'static str,
        #[serde(flatten)]
        done: &'a Forwarded,
    }
    let level = if done.damaged + done.refused > 0 { "ERROR" } else { "INFO" };
    let entry = Entry { kind: "forwarded", timestamp: Timestamp::now(), level, done };
    if let Ok(line) = serde_json::to_string(&entry) {
        println!("{line}");
    }
}
