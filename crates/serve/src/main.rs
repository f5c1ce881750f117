//! The binary `serve`.

mod arguments;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use wellformed_infer::{Options, Predictor};
use wellformed_serve::{Ended, Server, signals};

use arguments::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Unfinished(requests)) => {
            eprintln!("error: stopped with {requests} requests unanswered; --shutdown-timeout gives them longer");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Ended> {
    let started = Instant::now();
    let settings = arguments.settings()?;
    let predictor = Predictor::open(&arguments.bundle, &Options { precision: arguments.precision(), threads: 1 })
        .with_context(|| format!("cannot open the bundle {}", arguments.bundle.display()))?;
    let (records, reopen) = arguments.records()?;
    let server = Server::bind(arguments.address, predictor, settings, arguments.log()?, records)?;
    server.record_start(started);
    if io::stderr().is_terminal() {
        eprintln!(
            "The page is at http://{}/, the API at /docs, the monitor at /monitor. Ctrl-C stops the server.",
            server.address()?
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let ended = runtime.block_on(async {
        if let Some(reopen) = reopen {
            signals::reopen_on_hangup(reopen)?;
        }
        server.run(signals::stop()?).await
    });
    // Requests that ran out of time are not waited for.
    runtime.shutdown_background();
    ended
}
