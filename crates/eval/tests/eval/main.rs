//! The stage `eval`: its numbers against scikit-learn, its files, and its binary on a random checkpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod binary;
mod numbers;
mod support;
mod tables;
