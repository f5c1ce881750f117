//! The files, what would be refused, what a server says to the panels, and the installation.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod files;
mod install;
mod refused;
mod sample;
mod server;
mod stand_in;
mod support;
