//! Tests of the model files, without an engine that runs them; those are in `wellformed-infer`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod graph;
mod opening;
mod quantization;
mod support;
