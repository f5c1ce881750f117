//! Documents into a cluster, each exactly once.
//!
//! A document is *created* under its own name. When an answer is lost, or this program is, everything is sent again, and
//! what is there already says so. So at least once, over names that do not change, is exactly once.

use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::bulk::{Document, Fate, body, fates};
use crate::cluster::{Answer, Cluster};

/// Documents in one request.
const DOCUMENTS: usize = 1000;
/// Bytes in one request; clusters take 100 MB by default (`http.max_content_length`), proxies often less.
const BYTES: usize = 4 << 20;

/// How long a cluster is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The pause after the first failure; it doubles with each further one in a row.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// When to give up; `None` is never.
    pub until: Option<Instant>,
}

impl Patience {
    /// Pauses that suit a cluster: from 0.5 s to 30 s.
    pub fn until(until: Option<Instant>) -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30), until }
    }

    /// The pause after so many failures in a row: half of it by chance, so that those who failed together do not come
    /// back together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015: "equal jitter").
    fn pause(&self, failures: u32) -> Duration {
        let whole = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        whole / 2 + whole.mul_f64(fastrand::f64() / 2.0)
    }
}

/// What became of documents that were delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// New ones.
    pub created: u64,
    /// Those that were there before.
    pub already_there: u64,
    /// Those that the cluster will never take.
    pub refused: Vec<Refused>,
    /// Requests that had to be repeated.
    pub repeated: u64,
}

/// A document that the cluster will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place among the documents.
    pub place: usize,
    /// The kind of error.
    pub kind: String,
    /// The cluster's own words, which can quote the document.
    pub reason: String,
}

/// Not everything was delivered. What was is there; everything can be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// The cluster was waited for in vain.
    #[error("{left} records could not be sent in time: {cause}")]
    OutOfPatience {
        /// How many.
        left: usize,
        /// What went wrong the last time.
        cause: String,
    },
    /// Trying again would change nothing.
    #[error("{left} records cannot be sent: {cause}")]
    Forbidden {
        /// How many.
        left: usize,
        /// What is wrong, and what to do.
        cause: String,
    },
}

/// Delivers documents, and waits for a cluster that cannot take them now. `notice` is told of each wait.
///
/// # Errors
///
/// When the patience ends, or the cluster will not take any document at all.
pub fn deliver(
    cluster: &Cluster,
    documents: &[Document],
    patience: &Patience,
    notice: &mut dyn FnMut(&str),
) -> Result<Delivered, DeliveryError> {
    let mut done = Delivered::default();
    let mut start = 0;
    while start < documents.len() {
        let mut bytes = 0;
        let fitting = documents[start..].iter().take(DOCUMENTS).take_while(|document| {
            bytes += document.bytes();
            bytes <= BYTES
        });
        // One document is sent however large it is.
        let end = start + fitting.count().max(1);
        let places: Vec<usize> = (start..end).collect();
        let left = documents.len() - start;
        Sending { cluster, documents, patience, notice, done: &mut done, left }.send(places)?;
        start = end;
    }
    Ok(done)
}

struct Sending<'a> {
    cluster: &'a Cluster,
    documents: &'a [Document],
    patience: &'a Patience,
    notice: &'a mut dyn FnMut(&str),
    done: &'a mut Delivered,
    left: usize,
}

impl Sending<'_> {
    /// Sends the documents at these places until each has its fate.
    fn send(&mut self, mut places: Vec<usize>) -> Result<(), DeliveryError> {
        let mut failures = 0;
        while !places.is_empty() {
            let sent = places.len();
            let body = body(places.iter().map(|place| &self.documents[*place]));
            let asked = self.cluster.ask_with("POST", "_bulk", Some(("application/x-ndjson", &body)));
            let (again, cause, pause) = match asked {
                Err(unreachable) if !unreachable.passing => {
                    return Err(DeliveryError::Forbidden { left: self.left, cause: unreachable.to_string() });
                }
                Err(unreachable) => (places, unreachable.to_string(), None),
                Ok(answer) if answer.status == 413 && places.len() > 1 => {
                    let second = places.split_off(places.len() / 2);
                    self.send(places)?;
                    places = second;
                    continue;
                }
                Ok(answer) => {
                    let (again, cause) = self.judge(places, &answer)?;
                    (again, cause, answer.retry_after)
                }
            };
            // Something got through: the cluster is there, it is merely busy.
            failures = if again.len() < sent { 1 } else { failures + 1 };
            places = again;
            if !places.is_empty() {
                self.wait(failures, &cause, pause)?;
            }
        }
        Ok(())
    }

    /// Notes the fates in an answer; the places to send again, and why.
    fn judge(&mut self, places: Vec<usize>, answer: &Answer) -> Result<(Vec<usize>, String), DeliveryError> {
        let kind = || answer.error_type().map(|kind| format!(" ({kind})")).unwrap_or_default();
        let url = self.cluster.url();
        let forbidden = |cause: String| DeliveryError::Forbidden { left: self.left, cause };
        match answer.status {
            200..300 => {}
            408 | 429 | 500.. => return Ok((places, format!("{url} answers with status {}{}", answer.status, kind()))),
            413 => {
                for place in places {
                    let reason = "too large for one request".to_owned();
                    self.done.refused.push(Refused { place, kind: "status 413".to_owned(), reason });
                }
                return Ok((Vec::new(), String::new()));
            }
            401 | 403 => {
                return Err(forbidden(format!(
                    "{url} answers with status {}{}: the credentials are missing, wrong, or may not write here",
                    answer.status,
                    kind()
                )));
            }
            status => {
                let what = "is this the address of Elasticsearch or OpenSearch?";
                return Err(forbidden(format!("{url} answers with status {status}{}: {what}", kind())));
            }
        }
        let Some(fates) = fates(&answer.body, places.len()) else {
            let what = "is this the address of Elasticsearch or OpenSearch?";
            return Err(forbidden(format!("{url} does not answer as the bulk API does: {what}")));
        };
        let (mut again, mut cause) = (Vec::new(), String::new());
        for (place, fate) in places.into_iter().zip(fates) {
            match fate {
                Fate::Created => self.done.created += 1,
                Fate::AlreadyThere => self.done.already_there += 1,
                Fate::Refused(kind, reason) => self.done.refused.push(Refused { place, kind, reason }),
                Fate::Later(kind) => {
                    again.push(place);
                    cause = format!("{url} puts records off ({kind})");
                }
                Fate::Forbidden(kind) => {
                    let index = &self.documents[place].index;
                    return Err(forbidden(format!("{url} does not let records into the index {index} ({kind})")));
                }
            }
        }
        Ok((again, cause))
    }

    fn wait(&mut self, failures: u32, cause: &str, asked: Option<Duration>) -> Result<(), DeliveryError> {
        let pause = self.patience.pause(failures).max(asked.unwrap_or_default().min(self.patience.longest));
        if self.patience.until.is_some_and(|until| Instant::now() + pause >= until) {
            return Err(DeliveryError::OutOfPatience { left: self.left, cause: cause.to_owned() });
        }
        self.done.repeated += 1;
        (self.notice)(&format!("{cause}; trying again in {:.1} s", pause.as_secs_f64()));
        thread::sleep(pause);
        Ok(())
    }
}
