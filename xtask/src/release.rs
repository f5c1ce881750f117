//! `cargo xtask release`, `rollback` and `releases`: builds the binary of `crates/release` and runs it. What it can do is
//! its own `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::environment::{AWS, DVC, Environment};
use crate::process::{quietly, status, tool};

/// Builds and runs the binary with one of its tasks (`run`, `rollback`, `list`) and these arguments; its exit code,
/// which says how it ended.
///
/// # Errors
///
/// When it cannot be built or started, or what it needs cannot be installed.
pub fn release(root: &Path, task: &str, arguments: &[String]) -> Result<u8> {
    let asks = |name: &str| arguments.iter().any(|one| one == name || one.starts_with(&format!("{name}=")));
    let mut command = Command::new(tool(root, "release")?);
    command.arg(task).args(arguments).current_dir(root);
    if !asks("--help") && !asks("-h") {
        // The gate asks DVC.
        if task == "run" && !asks("--dvc") {
            Environment::ensure(root, DVC)?;
        }
        // Whoever has AWS's command line has it set up, so it goes before ours.
        let needs_aws = !asks("--aws") && !works("aws");
        // GTO tags models.
        if needs_aws || task != "list" && !asks("--gto") {
            let environment = Environment::ensure(root, AWS)?;
            if needs_aws {
                command.arg("--aws").arg(environment.program("aws").get_program());
            }
        }
    }
    // Its own message says why; the code is for whoever runs this in a script.
    let code = status(&mut command)?;
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Whether the program is there and starts: a version manager's shim may be there without anything behind it.
fn works(program: &str) -> bool {
    quietly(Command::new(program).arg("--version")).is_ok_and(|(done, _)| done)
}
