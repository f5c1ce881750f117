//! `cargo xtask report`: builds the binary of `crates/report` and runs it. What it can do is its own `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::environment::{DVC, Environment};
use crate::process::{cargo, run};

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
    let folder = if let Some(folder) = std::env::var_os("WELLFORMED_BINARIES") {
        folder.into()
    } else {
        // By itself: a report must not wait for everything that trains to be compiled.
        let build = ["build", "--release", "--locked", "--quiet", "--package", "wellformed-report", "--bins"];
        run(cargo().args(build))?;
        let target = std::env::var_os("CARGO_TARGET_DIR");
        target.map_or_else(|| root.join("target"), |target| root.join(target)).join("release")
    };
    run(Command::new(folder.join("report")).args(arguments).current_dir(root))
}
