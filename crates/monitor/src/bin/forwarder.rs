//! The binary `forwarder`: what Lambda starts to forward logs.

use std::process::ExitCode;

use wellformed_monitor::forwarder;

fn main() -> ExitCode {
    match forwarder::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
