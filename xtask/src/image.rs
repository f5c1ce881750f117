//! `cargo xtask image`: builds the binary of `crates/image` and runs it. What it can do is its own `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::{status, tool};

/// Builds and runs the binary with these arguments; its exit code, which says how it ended.
///
/// # Errors
///
/// When it cannot be built or started.
pub fn image(root: &Path, arguments: &[String]) -> Result<u8> {
    let code = status(Command::new(tool(root, "image")?).args(arguments).current_dir(root))?;
    Ok(u8::try_from(code).unwrap_or(1))
}
