//! Predictions in AWS Lambda: what stands between an event and the model.
//!
//! | module | what is in it |
//! |---|---|
//! | [`settings`] | the environment variables: which bundle, which precision, how many threads |
//! | [`event`] | what kind of event it is, and the HTTP request in it |
//! | [`question`] | the sentences that are asked about, with the limits |
//! | [`answer`] | what is returned, and in which envelope |
//! | [`handler`] | from event to answer, over the small trait [`handler::Model`] |
//! | [`record`] | where the records of predictions go: the seam for monitoring |
//! | [`runtime`] | the process: the model opened once, then one event after another |
//!
//! Invariant: a sentence appears in no error message, and in no log line unless `WELLFORMED_LOG_TEXT` asks for it.

pub mod answer;
pub mod event;
pub mod handler;
pub mod problem;
pub mod question;
pub mod record;
pub mod runtime;
pub mod settings;
