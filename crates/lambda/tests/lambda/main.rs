//! Tests of the crate: events of every kind against golden answers, and the real process under a Runtime API.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod golden;
mod handler;
mod measure;
mod process;
mod question;
mod runtime_api;
mod settings;
mod support;
