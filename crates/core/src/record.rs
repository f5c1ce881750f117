//! What is written down of every prediction: one JSON object to a line, the same from AWS Lambda and from the HTTP
//! server, and what every part of monitoring reads.
//!
//! ```json
//! {"type":"prediction","timestamp":"2026-09-22T09:14:22.123Z","level":"INFO","service":"lambda", …}
//! ```
//!
//! `type` tells the three kinds apart. A record holds no sentence unless whoever runs the service asks for it
//! ([`TextPolicy`]). A field that is not known here is refused when a record is read, so that a reader that is older
//! than the writer says so rather than lose the field.
//!
//! With the feature `schema`, the types describe themselves as JSON Schema, from which the files in `monitoring/` are
//! made.

mod metrics;
mod text;
mod timestamp;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::metrics::{EmbeddedMetrics, MetricDirective, MetricName, NAMESPACE};
pub use self::text::{HASH_KEY, LOG_TEXT, TextFacts, TextPolicy, TextPolicyError, redact};
pub use self::timestamp::Timestamp;
use crate::label::Label;
use crate::precision::Precision;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A process is ready to predict.
    Start(Start),
    /// A sentence was predicted.
    Prediction(Box<Prediction>),
    /// A request was refused, or its prediction failed.
    Problem(Problem),
}

/// A process is ready to predict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// When, in UTC.
    pub timestamp: Timestamp,
    /// How grave it is: `INFO`.
    pub level: Level,
    /// Which program.
    pub service: Service,
    /// The version: of a Lambda function its number or `$LATEST`, of the server the crate's.
    pub version: String,
    /// The digest of the bundle's manifest: SHA-256 in lower-case hexadecimal.
    pub bundle: String,
    /// The numbers that the model computes with.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("enum" = ["fp32", "int8"])))]
    pub precision: Precision,
    /// Threads that predict.
    pub threads: u32,
    /// From the start of the program until it was ready, in milliseconds.
    pub init_ms: f64,
}

/// A sentence was predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// When, in UTC.
    pub timestamp: Timestamp,
    /// How grave it is: `INFO`.
    pub level: Level,
    /// Which program.
    pub service: Service,
    /// The version: of a Lambda function its number or `$LATEST`, of the server the crate's.
    pub version: String,
    /// The request that asked.
    pub request_id: String,
    /// The sentence's place in its request, from 0.
    pub index: u32,
    /// The digest of the bundle's manifest: SHA-256 in lower-case hexadecimal.
    pub bundle: String,
    /// The numbers that the model computes with.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("enum" = ["fp32", "int8"])))]
    pub precision: Precision,
    /// How the request came.
    pub channel: Channel,
    /// The decision.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("enum" = ["unacceptable", "acceptable"])))]
    pub label: Label,
    /// The calibrated probability that the sentence is acceptable, from 0 to 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub p_acceptable: f64,
    /// The entropy of the two probabilities in bits, from 0 (certain) to 1 (undecided).
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub entropy: f64,
    /// Tokens that the model saw, `[CLS]` and `[SEP]` included.
    pub tokens: u32,
    /// Whether the sentence was longer than the model takes, and was cut.
    pub truncated: bool,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: u32,
    /// Unicode scalar values of the sentence, without white space at its ends.
    pub characters: u32,
    /// The share of characters that are not ASCII, from 0 to 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub non_ascii_share: f64,
    /// Tokens for each word: 1 when no word had to be taken apart. This and the next two are absent where the bundle has
    /// no `signals.json`, or the sentence no word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub pieces_per_word: Option<f64>,
    /// The share of tokens that is among the training set's 60 most frequent, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub frequent_share: Option<f64>,
    /// How surprising the order of tokens is, in bits for each token, by that of the training set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub surprise: Option<f64>,
    /// The sentence under a secret key: the first 16 hexadecimal digits of HMAC-SHA-256. Absent where no key is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9a-f]{16}$")))]
    pub text_hash: Option<String>,
    /// Whether an explanation was asked for.
    pub explained: bool,
    /// From text to token ids, in milliseconds.
    pub tokenization_ms: f64,
    /// From token ids to logits, in milliseconds; of a batch, the time of the whole batch.
    pub inference_ms: f64,
    /// The whole request up to this record, all its sentences included, in milliseconds.
    pub total_ms: f64,
    /// Whether this was the first request of its process.
    pub cold_start: bool,
    /// The sentence, redacted; only where `WELLFORMED_LOG_TEXT` is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("x-elasticsearch-type" = "text")))]
    pub text: Option<String>,
    /// The metrics that `CloudWatch` makes of this line. It is not sent on to Elasticsearch.
    #[serde(rename = "_aws", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("x-elasticsearch-type" = "none")))]
    pub aws: Option<EmbeddedMetrics>,
}

/// A request was refused, or its prediction failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// When, in UTC.
    pub timestamp: Timestamp,
    /// How grave it is: `WARN` where the caller was wrong, `ERROR` where the program was.
    pub level: Level,
    /// Which program.
    pub service: Service,
    /// The version: of a Lambda function its number or `$LATEST`, of the server the crate's.
    pub version: String,
    /// The request that asked.
    pub request_id: String,
    /// The digest of the bundle's manifest: SHA-256 in lower-case hexadecimal.
    pub bundle: String,
    /// How the request came.
    pub channel: Channel,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The kind of error, as the answer names it.
    pub code: String,
    /// The metrics that `CloudWatch` makes of this line. It is not sent on to Elasticsearch.
    #[serde(rename = "_aws", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("x-elasticsearch-type" = "none")))]
    pub aws: Option<EmbeddedMetrics>,
}

/// How grave a record is; the names that Lambda's log filter knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// All is well.
    Info,
    /// The caller was wrong.
    Warn,
    /// The program was wrong, or cannot answer.
    Error,
}

impl Level {
    /// The level of an answer with this HTTP status.
    pub fn of_status(status: u16) -> Self {
        if status >= 500 { Self::Error } else { Self::Warn }
    }
}

/// Which program wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The function in AWS Lambda.
    Lambda,
    /// The HTTP server.
    Serve,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A Lambda function invoked by its name.
    Direct,
    /// API Gateway's payload format 1.0.
    Rest,
    /// HTTP: API Gateway's payload format 2.0 and function URLs, or the server's API.
    Http,
    /// An Application Load Balancer.
    Alb,
    /// The server's page for people.
    Page,
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lambda => "lambda",
            Self::Serve => "serve",
        })
    }
}

impl Record {
    /// The values of `type`.
    pub const TYPES: [&str; 3] = ["start", "prediction", "problem"];

    /// When.
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::Start(start) => start.timestamp,
            Self::Prediction(prediction) => prediction.timestamp,
            Self::Problem(problem) => problem.timestamp,
        }
    }

    /// The record's name: made of nothing but the record, so that the same line has the same name on whatever way it
    /// comes, and however often.
    ///
    /// The time is part of it because a request's id alone does not name it: HTTP clients choose their own, and Lambda
    /// keeps the id of an asynchronous invocation that it repeats.
    pub fn id(&self) -> String {
        let millis = self.timestamp().unix_millis();
        match self {
            Self::Start(Start { service, version, init_ms, .. }) => {
                format!("start:{service}:{version}:{millis}:{:.0}", init_ms * 1000.0)
            }
            Self::Prediction(prediction) => {
                format!("prediction:{}:{}:{millis}", prediction.request_id, prediction.index)
            }
            Self::Problem(problem) => format!("problem:{}:{millis}", problem.request_id),
        }
    }

    /// Adds what `CloudWatch` needs to make metrics of the line (Embedded Metric Format). A `start` has none.
    #[must_use]
    pub fn with_metrics(mut self) -> Self {
        let timestamp = self.timestamp();
        match &mut self {
            Self::Start(_) => {}
            Self::Prediction(prediction) => prediction.aws = Some(EmbeddedMetrics::of_prediction(timestamp)),
            Self::Problem(problem) => problem.aws = Some(EmbeddedMetrics::of_problem(timestamp)),
        }
        self
    }

    /// Takes away what only `CloudWatch` needs.
    #[must_use]
    pub fn without_metrics(mut self) -> Self {
        match &mut self {
            Self::Start(_) => {}
            Self::Prediction(prediction) => prediction.aws = None,
            Self::Problem(problem) => problem.aws = None,
        }
        self
    }

    /// The record as a line, with its final newline.
    ///
    /// # Errors
    ///
    /// When a number is not finite in a way that JSON cannot say. No record that this project makes has one.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The entropy in bits of two outcomes of which one has the probability `p`: 0 to 1.
///
/// C. E. Shannon, "A Mathematical Theory of Communication" (1948), section 6.
pub fn entropy_bits(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    (term(p) + term(1.0 - p)).clamp(0.0, 1.0)
}
