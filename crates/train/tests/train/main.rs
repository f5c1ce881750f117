//! The stage `train`, tested.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod choices;
mod optimizer;
mod oracle;
mod parallel;
mod runs;
mod support;
