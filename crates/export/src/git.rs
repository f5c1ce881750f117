//! The commit that the project stands at.

use std::path::Path;
use std::process::Command;

/// What makes a bundle, besides data. What a run itself writes, dvc.lock and reports/, is left out.
const CODE: [&str; 6] = ["crates", "scripts", "Cargo.toml", "Cargo.lock", "dvc.yaml", "params.yaml"];

/// A commit, and whether code or parameters differ from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The commit's name, in hexadecimal.
    pub name: String,
    /// Whether there are changes, or new files, in the code or the parameters.
    pub uncommitted: bool,
}

/// The commit of the repository whose root is `root`; `None` where there is no repository, no commit or no git.
pub fn commit(root: &Path) -> Option<Commit> {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    // A project that was unpacked somewhere inside another repository has no commit of its own.
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let name = git(root, &["rev-parse", "--verify", "HEAD"])?;
    let status = git(root, &[&["status", "--porcelain", "--"], CODE.as_slice()].concat())?;
    Some(Commit { name, uncommitted: !status.is_empty() })
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
