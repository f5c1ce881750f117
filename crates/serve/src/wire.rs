//! What is sent and answered, and how it is read.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use wellformed_infer::{Explanation, Label, Perturbation, Prediction};

use crate::problem::Problem;
use crate::settings::Settings;

/// The answer of `/predict`.
#[derive(Serialize)]
pub(crate) struct Predictions<'a> {
    /// The bundle's digest.
    pub(crate) bundle: &'a str,
    pub(crate) predictions: Vec<Verdict>,
}

/// The answer of `/explain`.
#[derive(Serialize)]
pub(crate) struct Explained<'a> {
    pub(crate) bundle: &'a str,
    pub(crate) prediction: Verdict,
    pub(crate) perturbation: Perturbation,
    pub(crate) words: Vec<Word>,
}

/// What the model says of one sentence.
#[derive(Serialize)]
pub(crate) struct Verdict {
    label: Label,
    probabilities: ByLabel<f64>,
    logits: ByLabel<f32>,
    tokens: usize,
    truncated: bool,
    unknown_tokens: usize,
}

#[derive(Serialize)]
struct ByLabel<T> {
    unacceptable: T,
    acceptable: T,
}

/// What a word contributes.
#[derive(Serialize)]
pub(crate) struct Word {
    text: String,
    start: usize,
    end: usize,
    weight: f64,
}

impl From<&Prediction> for Verdict {
    fn from(prediction: &Prediction) -> Self {
        let [unacceptable, acceptable] = prediction.probabilities;
        let probabilities = ByLabel { unacceptable, acceptable };
        let [unacceptable, acceptable] = prediction.logits;
        Self {
            label: prediction.label,
            probabilities,
            logits: ByLabel { unacceptable, acceptable },
            tokens: prediction.tokens,
            truncated: prediction.truncated,
            unknown_tokens: prediction.unknown_tokens,
        }
    }
}

impl<'a> Explained<'a> {
    pub(crate) fn new(bundle: &'a str, explanation: Explanation) -> Self {
        let word = |word: wellformed_infer::Word| Word {
            text: word.text,
            start: word.start,
            end: word.end,
            weight: word.weight,
        };
        Self {
            bundle,
            prediction: Verdict::from(&explanation.prediction),
            perturbation: explanation.perturbation,
            words: explanation.words.into_iter().map(word).collect(),
        }
    }
}

/// Sentences, and whether they came as a list: that decides how an error names one.
#[derive(Debug, PartialEq)]
pub(crate) enum Sentences {
    /// By the name of the field or parameter that it stood in.
    One(&'static str, String),
    List(Vec<String>),
}

impl Sentences {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(_, sentence) => std::slice::from_ref(sentence),
            Self::List(sentences) => sentences,
        }
    }

    /// What an error calls the sentence at an index.
    pub(crate) fn field(&self, index: usize) -> String {
        match self {
            Self::One(name, _) => (*name).to_owned(),
            Self::List(_) => format!("sentences[{index}]"),
        }
    }
}

/// Reads a body as a JSON object.
pub(crate) async fn json_object(request: Request, settings: &Settings) -> Result<Map<String, Value>, Problem> {
    check_type(request.headers())?;
    let bytes = Bytes::from_request(request, &()).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is larger than {} bytes; send it in parts", settings.max_body);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body ended before it was complete")
        }
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        // serde_json's messages about syntax quote nothing of the body.
        let message = format!("the body is not JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", message)
    })?;
    match value {
        Value::Object(object) => Ok(object),
        other => {
            let message =
                format!("the body is {}; expected an object, such as {{\"sentence\": \"It rains.\"}}", kind(&other));
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_type", message))
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_ascii_lowercase());
    let essence = text(CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
    let is_json = |essence: &str| {
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    };
    if !essence.is_some_and(|essence| is_json(&essence)) {
        let message = "the body has to be JSON, with the header Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    if text(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "the body has to be sent as it is, without a Content-Encoding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message));
    }
    Ok(())
}

/// The body of `POST /predict`.
pub(crate) fn sentences(mut object: Map<String, Value>, settings: &Settings) -> Result<Sentences, Problem> {
    let one = object.remove("sentence");
    let many = object.remove("sentences");
    no_more(&object, "\"sentence\" or \"sentences\"")?;
    match (one, many) {
        (Some(one), None) => Ok(Sentences::One("sentence", string(one, "sentence")?)),
        (None, Some(Value::Array(list))) => {
            if list.is_empty() {
                return Err(Problem::unusable("empty_list", "sentences", "the list has no sentence"));
            }
            if list.len() > settings.max_sentences {
                let (count, most) = (list.len(), settings.max_sentences);
                let message = format!("{count} sentences; a request may have {most}, so send them in parts");
                let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_sentences", message);
                return Err(problem.about("sentences"));
            }
            let indexed = list.into_iter().enumerate();
            let read = indexed.map(|(index, item)| string(item, &format!("sentences[{index}]")));
            Ok(Sentences::List(read.collect::<Result<_, _>>()?))
        }
        (None, Some(other)) => {
            Err(Problem::unusable("wrong_type", "sentences", format!("{}; expected a list of strings", kind(&other))))
        }
        (None, None) => {
            Err(Problem::unusable("missing_field", "sentence", "expected \"sentence\", or \"sentences\" for a list"))
        }
        (Some(_), Some(_)) => {
            Err(Problem::unusable("ambiguous", "sentence", "either \"sentence\" or \"sentences\", not both"))
        }
    }
}

/// The body of `POST /explain`.
pub(crate) fn explanation(mut object: Map<String, Value>) -> Result<(String, Perturbation), Problem> {
    let sentence = object.remove("sentence");
    let how = object.remove("perturbation");
    no_more(&object, "\"sentence\" and \"perturbation\"")?;
    let sentence = sentence
        .ok_or_else(|| Problem::unusable("missing_field", "sentence", "expected \"sentence\", the one to explain"))?;
    let sentence = string(sentence, "sentence")?;
    let how = match how {
        None => Perturbation::default(),
        Some(how) => perturbation(&string(how, "perturbation")?)?,
    };
    Ok((sentence, how))
}

/// `omit` or `mask`.
fn perturbation(name: &str) -> Result<Perturbation, Problem> {
    match name {
        "omit" => Ok(Perturbation::Omit),
        "mask" => Ok(Perturbation::Mask),
        _ => Err(Problem::unusable("unknown_value", "perturbation", "expected \"omit\" or \"mask\"")),
    }
}

/// What stands behind the question mark of `GET /predict` and `GET /explain`.
#[derive(Debug, Default)]
pub(crate) struct Query {
    text: Option<String>,
    perturbation: Option<Perturbation>,
}

impl Query {
    /// Reads a query; `perturbation` is known only where something `explains`.
    pub(crate) fn read(query: Option<&str>, explains: bool) -> Result<Self, Problem> {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "text" if read.text.is_some() => {
                    return Err(Problem::unusable("ambiguous", "text", "\"text\" may stand there once"));
                }
                "text" => read.text = Some(value.into_owned()),
                "perturbation" if explains => read.perturbation = Some(perturbation(&value)?),
                _ => {
                    let known = if explains { "\"text\" and \"perturbation\"" } else { "\"text\"" };
                    let message = format!("the query has a parameter that is not known here; expected {known}");
                    return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_field", message));
                }
            }
        }
        Ok(read)
    }

    pub(crate) fn perturbation(&self) -> Perturbation {
        self.perturbation.unwrap_or_default()
    }

    pub(crate) fn text(self) -> Result<String, Problem> {
        self.text.ok_or_else(|| Problem::unusable("missing_field", "text", "expected ?text= with the sentence"))
    }
}

fn no_more(object: &Map<String, Value>, known: &str) -> Result<(), Problem> {
    match object.keys().next() {
        None => Ok(()),
        Some(name) => Err(Problem::unusable("unknown_field", name, format!("not known here; expected {known}"))),
    }
}

fn string(value: Value, field: &str) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Problem::unusable("wrong_type", field, format!("{}; expected a string", kind(&other)))),
    }
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
