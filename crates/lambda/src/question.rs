//! What is asked: sentences, and whether to explain.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::{Map, Value};
use wellformed_infer::Perturbation;

use crate::event::{HttpRequest, decode_form};
use crate::problem::Problem;

/// Sentences in one request.
pub const MAX_SENTENCES: usize = 256;
/// Sentences in one request that asks for explanations: each costs a prediction for every word.
pub const MAX_EXPLAINED: usize = 8;
/// Bytes of an HTTP body after base64, and of all sentences of a request together.
pub const MAX_BYTES: usize = 1 << 20;

/// Sentences to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// At least one, none of them blank.
    pub sentences: Vec<String>,
    /// Whether to say what each word contributes.
    pub explain: bool,
    /// What is done to each word for that.
    pub perturbation: Perturbation,
}

impl Question {
    /// Reads `{"sentence": …}` or `{"sentences": […]}`, with `explain` and `perturbation` if wanted. Other fields are
    /// left alone.
    ///
    /// # Errors
    ///
    /// When there is no sentence, a wrong type, or more than the limits allow.
    pub fn from_json(value: &Value) -> Result<Self, Problem> {
        let Value::Object(fields) = value else {
            let message = format!("expected an object such as {EXAMPLE}, found {}", kind(value));
            return Err(Problem::bad("wrong_type", "", message));
        };
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let named = match (given("sentence"), given("sentences")) {
            (Some(_), Some(_)) => {
                return Err(Problem::bad(
                    "ambiguous",
                    "sentences",
                    "found both sentence and sentences; give one of the two",
                ));
            }
            (Some(Value::String(sentence)), None) => vec![("sentence".to_owned(), sentence.clone())],
            (Some(other), None) => {
                let message = format!("expected a string, found {}; for a list, use sentences", kind(other));
                return Err(Problem::bad("wrong_type", "sentence", message));
            }
            (None, Some(Value::Array(list))) => listed(list)?,
            (None, Some(other)) => {
                let message = format!("expected a list of strings, found {}", kind(other));
                return Err(Problem::bad("wrong_type", "sentences", message));
            }
            (None, None) => return Err(missing(fields)),
        };
        let explain = match given("explain") {
            None => false,
            Some(Value::Bool(wanted)) => *wanted,
            Some(other) => {
                let message = format!("expected true or false, found {}", kind(other));
                return Err(Problem::bad("wrong_type", "explain", message));
            }
        };
        let perturbation = match given("perturbation") {
            None => Perturbation::default(),
            Some(name) => perturbation(name.as_str().unwrap_or_default())?,
        };
        Self::checked(named, explain, perturbation)
    }

    /// Reads the query `?text=…` or `?sentence=…`, several of them if wanted, with `explain` and `perturbation`.
    ///
    /// # Errors
    ///
    /// As [`Question::from_json`].
    pub fn from_query(query: &[(String, String)]) -> Result<Self, Problem> {
        let sentences: Vec<&(String, String)> =
            query.iter().filter(|(name, _)| name == "text" || name == "sentence").collect();
        if sentences.is_empty() {
            let message = "no sentence: ask with ?text=, percent-encoded, or POST a body such as ".to_owned() + EXAMPLE;
            return Err(Problem::bad("missing_field", "text", message));
        }
        let several = sentences.len() > 1;
        let named = sentences.into_iter().enumerate().map(|(index, (name, sentence))| {
            (if several { format!("{name}[{index}]") } else { name.clone() }, sentence.clone())
        });
        let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let explain = match value("explain") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(Problem::bad("unknown_value", "explain", "expected true or false")),
        };
        let perturbation = value("perturbation").map(perturbation).transpose()?.unwrap_or_default();
        Self::checked(named.collect(), explain, perturbation)
    }

    /// Reads an HTTP request: the query of a GET, the body of a POST.
    ///
    /// # Errors
    ///
    /// As [`Question::from_json`], and when the body is not what its content type says.
    pub fn from_http(request: &HttpRequest) -> Result<Self, Problem> {
        if request.method != "POST" {
            return Self::from_query(&request.query()?);
        }
        let body = body(request)?;
        let content_type = request.content_type().unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // `curl -d` says form whatever it sends.
        let form = content_type == "application/x-www-form-urlencoded" && !body.trim_start().starts_with('{');
        if form {
            Self::from_query(&decode_form(&body)?)
        } else if content_type == "text/plain" {
            Self::checked(vec![("body".to_owned(), body)], false, Perturbation::default())
        } else if content_type.is_empty()
            || content_type == "application/x-www-form-urlencoded"
            || content_type == "application/json"
            || content_type.ends_with("+json")
        {
            let value = serde_json::from_str(&body).map_err(|error| {
                Problem::bad("malformed_json", "body", format!("the body is not JSON: {error}; expected {EXAMPLE}"))
            })?;
            Self::from_json(&value)
                .map_err(|problem| Problem { field: problem.field.or_else(|| Some("body".to_owned())), ..problem })
        } else {
            let message = "the content type must be application/json, text/plain or application/x-www-form-urlencoded";
            let mut problem = Problem::of_status(415, "unsupported_media_type", message);
            problem.field = Some("content-type".to_owned());
            Err(problem)
        }
    }

    fn checked(named: Vec<(String, String)>, explain: bool, perturbation: Perturbation) -> Result<Self, Problem> {
        let count = named.len();
        if count > MAX_SENTENCES {
            let message = format!("{count} sentences; at most {MAX_SENTENCES} are predicted in one request");
            return Err(Problem::bad("too_many_sentences", "sentences", message));
        }
        let bytes: usize = named.iter().map(|(_, sentence)| sentence.len()).sum();
        if bytes > MAX_BYTES {
            let message = format!("{bytes} bytes of text; at most {MAX_BYTES} are taken in one request");
            return Err(Problem::too_large(if count == 1 { &named[0].0 } else { "sentences" }, message));
        }
        if let Some((field, _)) = named.iter().find(|(_, sentence)| sentence.trim().is_empty()) {
            return Err(Problem::bad("empty_sentence", field, "the sentence is empty"));
        }
        if explain && count > MAX_EXPLAINED {
            let message = format!("{count} sentences; at most {MAX_EXPLAINED} are explained in one request");
            return Err(Problem::bad("too_many_sentences", "sentences", message));
        }
        let sentences = named.into_iter().map(|(_, sentence)| sentence).collect();
        Ok(Self { sentences, explain, perturbation })
    }
}

const EXAMPLE: &str = r#"{"sentence": "…"} or {"sentences": ["…", "…"]}"#;

/// The strings of a list, each with the name of its place.
fn listed(list: &[Value]) -> Result<Vec<(String, String)>, Problem> {
    if list.is_empty() {
        return Err(Problem::bad("empty_list", "sentences", "the list is empty; give at least one sentence"));
    }
    let item = |(index, item): (usize, &Value)| match item {
        Value::String(sentence) => Ok((format!("sentences[{index}]"), sentence.clone())),
        other => {
            let message = format!("expected a string, found {}", kind(other));
            Err(Problem::bad("wrong_type", format!("sentences[{index}]"), message))
        }
    };
    list.iter().enumerate().map(item).collect()
}

fn missing(fields: &Map<String, Value>) -> Problem {
    // Names of fields help against a misspelling; more than a few would only be noise.
    let found: Vec<&str> = fields.keys().map(String::as_str).filter(|name| name.len() <= 32).take(8).collect();
    let found = if fields.is_empty() { "no fields".to_owned() } else { format!("the fields {}", found.join(", ")) };
    Problem::bad("missing_field", "sentence", format!("expected {EXAMPLE}, found {found}"))
}

/// `omit` or `mask`.
fn perturbation(name: &str) -> Result<Perturbation, Problem> {
    match name {
        "omit" => Ok(Perturbation::Omit),
        "mask" => Ok(Perturbation::Mask),
        _ => Err(Problem::bad("unknown_value", "perturbation", "expected \"omit\" or \"mask\"")),
    }
}

/// The text of a request's body, out of base64 where it is in it.
fn body(request: &HttpRequest) -> Result<String, Problem> {
    let too_large = |bytes: usize| {
        Problem::too_large("body", format!("a body of {bytes} bytes; at most {MAX_BYTES} are taken in one request"))
    };
    let Some(body) = request.body().filter(|body| !body.is_empty()) else {
        return Err(Problem::bad("missing_field", "body", format!("the body is empty; expected {EXAMPLE}")));
    };
    if !request.is_base64() {
        return if body.len() > MAX_BYTES { Err(too_large(body.len())) } else { Ok(body.to_owned()) };
    }
    if body.len() / 4 * 3 > MAX_BYTES + 3 {
        return Err(too_large(body.len() / 4 * 3));
    }
    let bytes = BASE64_STANDARD
        .decode(body)
        .or_else(|_| BASE64_URL_SAFE.decode(body))
        .map_err(|_| Problem::bad("malformed_base64", "body", "isBase64Encoded is true, but the body is not base64"))?;
    if bytes.len() > MAX_BYTES {
        return Err(too_large(bytes.len()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::bad("not_utf8", "body", format!("the body must be UTF-8; byte {at} is not"))
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
