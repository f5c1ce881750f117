//! What goes wrong, as the one who asked is told: `{"error": {"code", "message", …}}`.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer that is not a prediction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    /// For programs: stands in metrics and logs too, so it is never made of what a client sent.
    pub(crate) code: &'static str,
    message: String,
    field: Option<String>,
    retry: bool,
}

/// Put into the extensions of a response that is an error, for logs and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry: false }
    }

    /// Something that was sent can be read, but not used.
    pub(crate) fn unusable(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).about(field)
    }

    /// Names what is wrong: `sentences[3]`.
    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn retry(mut self) -> Self {
        self.retry = true;
        self
    }

    pub(crate) fn queue_full() -> Self {
        let message = "more sentences are waiting than this server takes; ask again in a second";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message).retry()
    }

    pub(crate) fn stopping() -> Self {
        let message = "this server is stopping; ask again, another one may answer";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message).retry()
    }

    pub(crate) fn timeout(seconds: f64) -> Self {
        let message = format!("no answer within {seconds} s; ask again, or for fewer sentences at a time");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message).retry()
    }

    pub(crate) fn slow_body(seconds: f64) -> Self {
        let message = format!("the body did not arrive within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
    }

    pub(crate) fn internal() -> Self {
        let message = "the prediction failed inside the server; this is a defect, please report it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn monitor_off() -> Self {
        let message = "this server does not watch its predictions; start it with --monitor-window of 100 or more";
        Self::new(StatusCode::NOT_FOUND, "monitor_off", message)
    }

    pub(crate) fn no_profile() -> Self {
        let message = "the bundle that is served brings no profile.json, so nobody knows what is usual: its validation \
                       set was too small; export a bundle of at least 100 sentences of validation, and serve that";
        Self::new(StatusCode::NOT_FOUND, "no_profile", message)
    }

    pub(crate) fn no_verdict(error: &str) -> Self {
        let message = format!("the predictions cannot be judged: {error}; this is a defect, please report it");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no_verdict", message)
    }

    pub(crate) fn not_found() -> Self {
        let message = "there is nothing at this address; /docs lists what there is";
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "this address does not take this method; the header Allow lists those that it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let inner = Inner { code: self.code, message: &self.message, field: self.field.as_deref() };
        let mut response = (self.status, Json(Body { error: inner })).into_response();
        if self.retry {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(Code(self.code));
        response
    }
}
