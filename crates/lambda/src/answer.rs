//! What is returned: the content, and the envelope that the caller's kind of event expects.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use wellformed_infer::{Label, Manifest, Perturbation, Precision, Prediction, Word};

use crate::event::{Channel, HttpRequest};
use crate::handler::METHODS;
use crate::problem::Problem;

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Verdicts on the sentences.
    Verdicts(Verdicts),
    /// The verdict on a sentence, explained.
    Explanation(ExplainedVerdict),
    /// The state of the process.
    Health(Health),
    /// The answer to a ping.
    Warm {
        /// The bundle's digest.
        bundle: String,
        /// Always true.
        warm: bool,
    },
    /// Nothing.
    Empty,
    /// Why there is no verdict.
    Error {
        /// What was wrong.
        error: Problem,
    },
}

/// Verdicts, in the order of the sentences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdicts {
    /// The bundle's digest.
    pub bundle: String,
    /// One for each sentence.
    pub predictions: Vec<Verdict>,
}

/// The verdict on a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The decision.
    pub label: Label,
    /// Calibrated probabilities; they add up to 1.
    pub probabilities: ByLabel<f64>,
    /// The model's raw outputs.
    pub logits: ByLabel<f32>,
    /// Tokens that the model saw.
    pub tokens: usize,
    /// Whether the sentence was longer than the model takes.
    pub truncated: bool,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: usize,
    /// What each word contributes, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explained>,
}

/// A number for each label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ByLabel<T> {
    /// Of class 0.
    pub unacceptable: T,
    /// Of class 1.
    pub acceptable: T,
}

impl<T> From<[T; 2]> for ByLabel<T> {
    fn from([unacceptable, acceptable]: [T; 2]) -> Self {
        Self { unacceptable, acceptable }
    }
}

/// The answer of `/explain`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedVerdict {
    /// The bundle's digest.
    pub bundle: String,
    /// The verdict on the whole sentence.
    pub prediction: Verdict,
    /// What the words contribute.
    #[serde(flatten)]
    pub explanation: Explained,
}

/// What the words of a sentence contribute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// What was done to each word.
    pub perturbation: Perturbation,
    /// The words that the model saw.
    pub words: Vec<ExplainedWord>,
}

/// What a word contributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedWord {
    /// The word as it stands in the sentence.
    pub text: String,
    /// Where it starts, in bytes of UTF-8.
    pub start: usize,
    /// Where it ends, in bytes of UTF-8.
    pub end: usize,
    /// Probability of *acceptable* with the word, minus without it.
    pub weight: f64,
}

/// The state of the process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// Always `ready`: a process that is not ready has no answers.
    pub status: &'static str,
    /// The bundle's digest.
    pub bundle: String,
    /// Which of the bundle's models predicts.
    pub precision: Precision,
    /// The version of this program.
    pub version: &'static str,
    /// The git commit that the bundle was exported at.
    pub git_commit: Option<String>,
}

impl Health {
    /// The state of a process that predicts with this bundle.
    pub fn of(bundle: &str, precision: Precision, manifest: Option<&Manifest>) -> Self {
        Self {
            status: "ready",
            bundle: bundle.to_owned(),
            precision,
            version: env!("CARGO_PKG_VERSION"),
            git_commit: manifest.and_then(|manifest| manifest.origin.git_commit.clone()),
        }
    }
}

impl Verdict {
    /// The verdict of a prediction, without an explanation.
    pub fn of(prediction: &Prediction) -> Self {
        Self {
            label: prediction.label,
            probabilities: prediction.probabilities.into(),
            logits: prediction.logits.into(),
            tokens: prediction.tokens,
            truncated: prediction.truncated,
            unknown_tokens: prediction.unknown_tokens,
            explanation: None,
        }
    }
}

impl Explained {
    /// What the words of an explanation contribute.
    pub fn of(perturbation: Perturbation, words: Vec<Word>) -> Self {
        let word = |Word { text, start, end, weight }| ExplainedWord { text, start, end, weight };
        Self { perturbation, words: words.into_iter().map(word).collect() }
    }
}

/// What Lambda gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a direct invocation: the content itself.
    Content(Content),
    /// To a direct invocation that was wrong: `{"statusCode": 400, "error": {…}}`.
    Refused(Refused),
    /// To an HTTP request.
    Http(HttpAnswer),
}

/// The answer to a direct invocation that was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// What the HTTP status would be.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    /// What was wrong.
    pub error: Problem,
}

/// The answer to an HTTP request, in the form that API Gateway, function URLs and load balancers take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status_code: u16,
    /// The status in words; only load balancers take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_description: Option<String>,
    /// Headers, if they are single values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<&'static str, &'static str>>,
    /// Headers, if they are lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_value_headers: Option<BTreeMap<&'static str, [&'static str; 1]>>,
    /// No cookies. Payload format 2.0 has a place for them, which stand-ins for AWS insist on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookies: Option<[&'static str; 0]>,
    /// JSON in a string, or nothing.
    #[serde(serialize_with = "json_in_a_string")]
    pub body: Content,
    /// Always false.
    pub is_base64_encoded: bool,
}

impl Answer {
    /// Puts an outcome into the envelope of a direct invocation.
    pub fn direct(outcome: Result<Content, Problem>) -> Self {
        match outcome {
            Ok(content) => Self::Content(content),
            Err(error) => Self::Refused(Refused { status_code: error.status, error }),
        }
    }

    /// Puts an outcome into the envelope of an HTTP request.
    pub fn http(request: &HttpRequest, outcome: Result<Content, Problem>) -> Self {
        let mut headers = BTreeMap::from([("cache-control", "no-store")]);
        let (status_code, body) = match outcome {
            Ok(Content::Empty) => {
                headers.insert("allow", METHODS);
                (204, Content::Empty)
            }
            Ok(content) => (200, content),
            Err(error) => {
                if let Some(methods) = error.allow {
                    headers.insert("allow", methods);
                }
                (error.status, Content::Error { error })
            }
        };
        if body != Content::Empty {
            headers.insert("content-type", "application/json");
        }
        let body = if request.method == "HEAD" { Content::Empty } else { body };
        let multi = request.wants_multi_value_headers();
        let balancer = request.channel == Channel::Alb;
        Self::Http(HttpAnswer {
            status_code,
            status_description: balancer.then(|| format!("{status_code} {}", reason(status_code))),
            multi_value_headers: multi.then(|| headers.iter().map(|(name, value)| (*name, [*value])).collect()),
            headers: (!multi).then_some(headers),
            cookies: (request.channel == Channel::Http).then_some([]),
            body,
            is_base64_encoded: false,
        })
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        _ => "Internal Server Error",
    }
}

fn json_in_a_string<S: Serializer>(content: &Content, serializer: S) -> Result<S::Ok, S::Error> {
    if *content == Content::Empty {
        return serializer.serialize_str("");
    }
    serializer.serialize_str(&serde_json::to_string(content).map_err(serde::ser::Error::custom)?)
}
