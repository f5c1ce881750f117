//! What was wrong with a request.

use serde::Serialize;

/// Why a request is refused. The text never quotes a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// A word for programs.
    pub code: &'static str,
    /// A text for people: what was found, what was expected.
    pub message: String,
    /// The part of the request that it is about, such as `sentences[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The methods that the path takes, where the method was wrong.
    #[serde(skip)]
    pub allow: Option<&'static str>,
}

impl Problem {
    /// A request that cannot be answered as it is: status 400. An empty `field` is the request as a whole.
    pub fn bad(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = Some(field.into()).filter(|field| !field.is_empty());
        Self { status: 400, code, message: message.into(), field, allow: None }
    }

    /// More bytes than the limit: status 413.
    pub fn too_large(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 413, ..Self::bad("body_too_large", field, message) }
    }

    /// Another status, about no field.
    pub fn of_status(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, allow: None }
    }

    /// A mistake of this program: status 500. Says nothing of what was asked.
    pub fn internal() -> Self {
        Self::of_status(500, "internal", "the prediction failed; the function's log says where")
    }
}
