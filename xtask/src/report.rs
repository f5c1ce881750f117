//! `cargo xtask report`: builds the binary of `crates/report` and runs it. What it can do is its own `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::environment::{DVC, Environment};
use crate::process::{run, tool};

/// Builds and runs the binary with these arguments.
///
/// # Errors
///
/// When it cannot be built, or fails.
pub fn report(root: &Path, arguments: &[String]) -> Result<()> {
    let asks = |name: &str| arguments.iter().any(|one| one == name || one.starts_with(&format!("{name}=")));
    // Only these two ask DVC; the report itself and its check need nothing but the project's files.
    if (asks("--diff") || asks("--sweep")) && !asks("--dvc") && !asks("--help") {
        Environment::ensure(root, DVC)?;
    }
    run(Command::new(tool(root, "report")?).args(arguments).current_dir(root))
}
