//! Other programs: started, watched, and quoted when they fail.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::error::Error;

/// How many of a program's last lines an error quotes.
const LINES: usize = 40;

/// The command line for messages. Secrets never go into command lines here.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs a program to its end and gives what it wrote on standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| not_started(command, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let last: Vec<&str> = text.trim().lines().collect();
    let output_end = last[last.len().saturating_sub(LINES)..].join("\n");
    Err(Error::Failed { command: describe(command), status: output.status.to_string(), output: output_end })
}

/// As [`output`], as text without the white space around it.
pub(crate) fn text(command: &mut Command) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&output(command)?).trim().to_owned())
}

/// Runs a program that takes long, and hands each line of either stream to `watch` as it comes.
pub(crate) fn watched(command: &mut Command, watch: &mut dyn FnMut(&str)) -> Result<(), Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| not_started(command, source))?;
    let (sender, lines) = std::sync::mpsc::channel();
    let pipes: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
        child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
    ];
    for pipe in pipes.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                // Nobody listens any more: the program's end is near.
                let _ = sender.send(line);
            }
        });
    }
    drop(sender);
    let mut last = VecDeque::new();
    for line in lines {
        watch(&line);
        if last.len() == LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().map_err(|source| not_started(command, source))?;
    if status.success() {
        return Ok(());
    }
    let output = Vec::from(last).join("\n");
    Err(Error::Failed { command: describe(command), status: status.to_string(), output })
}

/// Whether a program of this name is on the path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Path::new(program).is_absolute() && Path::new(program).is_file()
        || std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn not_started(command: &Command, source: std::io::Error) -> Error {
    Error::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}
