//! Predicting with the fixture bundle: a small model with random weights, see `tests/fixtures`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(missing_docs, reason = "tests")]

mod damage;
mod explanation;
mod oracle;
mod prediction;
mod support;
