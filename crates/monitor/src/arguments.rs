//! What the binary `monitor` can be told: a command, each with its options in its own module.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{candidates, check, install, label, report, schema, ship, watch};

/// Watch over predictions: forward their records, describe them, judge them.
#[derive(Debug, Parser)]
#[command(name = "monitor", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the records of a log file to Elasticsearch or OpenSearch, each exactly once.
    Ship(ship::Options),
    /// Say whether recorded predictions are still what the model was measured on: a verdict with its reasons.
    Check(check::Options),
    /// Check again and again, and tell whoever has to know.
    Watch(watch::Options),
    /// Check, and make a page of it that shows each signal beside the reference.
    Report(report::Options),
    /// Measure how good recorded predictions really are, with labels that people gave.
    Label(label::Options),
    /// Write sentences that are worth a label into a file that becomes training data.
    ExportCandidates(candidates::Options),
    /// Put index templates, lifecycle policy, dashboard and alert rules into their places.
    Install(install::Options),
    /// Write JSON Schema, index templates and lifecycle policies, or check that those written are current.
    Schema(schema::Options),
}

impl Command {
    /// Does it. The exit code is the command's own; an error is for the user to read.
    ///
    /// # Errors
    ///
    /// As the command's module says.
    pub fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Ship(options) => ship::run(options),
            Self::Check(options) => check::run(options),
            Self::Watch(options) => watch::run(options),
            Self::Report(options) => report::run(options),
            Self::Label(options) => label::run(options),
            Self::ExportCandidates(options) => candidates::run(options),
            Self::Install(options) => install::run(options),
            Self::Schema(options) => schema::run(options),
        }
    }
}
