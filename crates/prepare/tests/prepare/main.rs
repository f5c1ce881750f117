//! The stage `prepare` on small corpora of our own sentences.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::format_push_string, clippy::format_collect, reason = "small tables, written to be read")]

mod binary;
mod extra;
mod layout;
mod outputs;
mod pairs;
mod rows;
mod splits;
mod support;
mod tokens;
