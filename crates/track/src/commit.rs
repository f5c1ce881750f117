//! What git says of the project.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::ask;

/// A commit and where it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// The commit's hash; empty outside a repository, or before its first commit.
    pub hash: String,
    /// The address of `origin`, without the credentials that may be in it; empty when there is none.
    pub remote: String,
}

pub(crate) fn of(root: &Path) -> Commit {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments);
        if !root.as_os_str().is_empty() {
            command.current_dir(root);
        }
        ask(&mut command, Duration::from_secs(5)).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    Commit {
        hash: git(&["rev-parse", "--verify", "--quiet", "HEAD"]),
        remote: without_credentials(&git(&["config", "--get", "remote.origin.url"])),
    }
}

/// `https://user:token@host/path` becomes `https://host/path`; `git@host:path` has no secret and stays.
fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_remote_are_left_out() {
        for (given, expected) in [
            ("https://me:secret@example.org/a/b.git", "https://example.org/a/b.git"),
            ("https://token@example.org/a@b.git", "https://example.org/a@b.git"),
            ("https://example.org", "https://example.org"),
            ("git@example.org:a/b.git", "git@example.org:a/b.git"),
            ("/srv/a.git", "/srv/a.git"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(given), expected);
        }
    }
}
