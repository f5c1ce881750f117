//! Releases: through the state machine without any server, and against stand-ins that are real programs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod interrupted;
mod scenarios;
mod settings;
mod shop;
mod stand_in;
mod world;
