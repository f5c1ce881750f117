//! Runs as they are written, read back by others.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod files;
mod journal;
mod support;
mod tracker;
mod wandb;
