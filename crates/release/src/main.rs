//! The binary behind `cargo xtask release`, `rollback` and `releases`.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use wellformed_release::flow::Ending;
use wellformed_release::task::{deploy, list, rollback};

use arguments::{Arguments, Task};

fn main() -> ExitCode {
    let Arguments { place, task } = Arguments::parse();
    let place = place.into();
    let ended = match task {
        Task::Run(run) => run.wishes().and_then(|wishes| deploy(&place, &wishes)),
        Task::Rollback { to } => rollback(&place, to.map(|version| version.to_string()).as_deref()),
        Task::List { json } => list(&place, json).map(Ending::Nothing),
    };
    match ended {
        Ok(ending) => {
            println!("{}", ending.summary());
            ExitCode::from(ending.code())
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
