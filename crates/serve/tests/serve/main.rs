//! The server, over real connections: the API, the queue, logs and metrics in front of a model that can be held, and
//! the binary with a real bundle.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod api;
mod batching;
mod binary;
mod browser;
mod connections;
mod monitor;
mod openapi;
mod page;
mod support;
mod watching;
