//! Tests of the crate. What needs a real server starts one: `cargo test --release -p wellformed-monitor -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod assets;
mod chain;
mod cluster;
mod deliver;
mod forwarder;
mod line;
mod osmem;
mod read;
mod runtime_api;
mod ship;
mod stand_in;
mod support;
