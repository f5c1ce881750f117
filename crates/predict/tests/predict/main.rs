//! The command line: every form in and out without a model, the pipeline's promises, and the binary on a small bundle.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::format_collect, reason = "made-up input may cost a few allocations")]

mod binary;
mod inputs;
mod outputs;
mod streaming;
mod support;
