//! The binary behind `cargo xtask report`.

mod arguments;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wellformed_report::task::{DiffWishes, check, diff, report, sweep, write_text};

use arguments::Arguments;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<String> {
    let root = Path::new(".");
    let page = |name: &str| arguments.html.clone().unwrap_or_else(|| PathBuf::from("report").join(name));
    if arguments.check {
        return Ok(check(root)?.join("\n"));
    }
    if let Some(revision) = arguments.diff {
        let revision = Some(revision).filter(|revision| !revision.is_empty());
        let page = arguments.html.unwrap_or_else(|| PathBuf::from("report/diff.html"));
        let text = diff(root, &DiffWishes { revision, page: page.clone(), dvc: arguments.dvc })?;
        eprintln!("{}: with the sentences that flipped, so it stays on this machine", page.display());
        let Some(path) = arguments.md else { return Ok(text) };
        write_text(&path, &text)?;
        return Ok(format!("{}: for a pull request", path.display()));
    }
    if arguments.sweep {
        let page = page("sweep.html");
        let table = sweep(root, &arguments.by, &page, &arguments.dvc, &arguments.passed_on)?;
        eprintln!("{}: the same with parallel coordinates", page.display());
        return Ok(table);
    }
    Ok(report(root, &page("index.html"))?.join("\n"))
}
