//! The stage `fetch` against real HTTP on loopback, real pip, and real files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod base;
mod binary;
mod corpus;
mod download;
mod hub;
mod pip;
mod server;
mod support;
mod tokenizer;
