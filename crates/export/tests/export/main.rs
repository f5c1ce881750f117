//! Tests of the stage `export`: small random checkpoints become bundles.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod binary;
mod bundle;
mod document;
mod families;
mod git;
mod parity;
mod pipeline;
mod support;
