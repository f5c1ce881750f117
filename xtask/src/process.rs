//! Running programs: what is run is shown, what fails says so.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The project's root folder: the nearest one with a `dvc.yaml` from here upwards, or else where this was built.
pub fn root() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = built.parent().unwrap_or(built);
    let Ok(here) = std::env::current_dir() else { return built.to_owned() };
    here.ancestors().find(|folder| folder.join("dvc.yaml").is_file()).unwrap_or(built).to_owned()
}

/// The binary of one of the crates, built by itself: who wants it must not wait for everything that trains to be
/// compiled. With `WELLFORMED_BINARIES` it is the one in that folder, and nothing is built.
///
/// # Errors
///
/// When it cannot be built.
pub fn tool(root: &Path, name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WELLFORMED_BINARIES") {
        return Ok(PathBuf::from(folder).join(name));
    }
    let package = format!("wellformed-{name}");
    run(cargo().args(["build", "--release", "--locked", "--quiet", "--package", &package, "--bins"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |target| root.join(target));
    Ok(target.join("release").join(name))
}

/// The command line, as a person would type it.
pub fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let text = argument.to_string_lossy();
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c));
        // Writing to a String cannot fail.
        let _ = if plain { write!(line, " {text}") } else { write!(line, " '{text}'") };
    }
    line
}

/// Shows the command line and runs it with this process's input and outputs; its exit status, whatever it is.
///
/// # Errors
///
/// When the program cannot be started.
pub fn status(command: &mut Command) -> Result<i32> {
    eprintln!("$ {}", describe(command));
    let status = command.status().with_context(|| not_started(command))?;
    // Ended by a signal: no code.
    Ok(status.code().unwrap_or(-1))
}

/// As [`status`], but anything other than success is an error.
///
/// # Errors
///
/// When the program cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let code = status(command)?;
    if code != 0 {
        bail!("`{}` ended with exit code {code}; its own message is above", describe(command));
    }
    Ok(())
}

/// Runs without showing anything, and returns whether it succeeded and what it printed (both streams).
///
/// # Errors
///
/// When the program cannot be started.
pub fn quietly(command: &mut Command) -> Result<(bool, String)> {
    let output = command.output().with_context(|| not_started(command))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Cargo, the one that runs this program.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    command.current_dir(root());
    // What `cargo xtask` says of this program. Build scripts that watch these variables (ring's) would run again
    // whenever Cargo is called by hand and from here in turn, and a minute of libraries be built anew.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

fn not_started(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}
