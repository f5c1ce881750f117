//! The binary `serve`.

mod arguments;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wellformed_infer::{Options, Predictor};
use wellformed_serve::{Ended, NoRecorder, Server};

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
    let settings = arguments.settings()?;
    let predictor = Predictor::open(&arguments.bundle, &Options { precision: arguments.precision(), threads: 1 })
        .with_context(|| format!("cannot open the bundle {}", arguments.bundle.display()))?;
    let server = Server::bind(arguments.address, predictor, settings, arguments.log()?, NoRecorder)?;
    if io::stderr().is_terminal() {
        eprintln!("The page is at http://{}/, the API at /docs. Ctrl-C stops the server.", server.address()?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
        let stop = async {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            // Whoever asks twice is in a hurry.
            tokio::spawn(async move {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                eprintln!("error: stopped at once");
                std::process::exit(1);
            });
        };
        server.run(stop).await
    });
    // Requests that ran out of time are not waited for.
    runtime.shutdown_background();
    ended
}
