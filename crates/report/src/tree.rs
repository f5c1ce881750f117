//! The project's files, as they lie in the working tree or as a commit has them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// A state of the project that files can be read from.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    commit: Option<Commit>,
}

/// A commit, and what a person called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// What was asked for: a branch, a tag, `HEAD~1`, an experiment.
    pub asked: String,
    /// The whole digest.
    pub id: String,
}

impl Commit {
    /// The first characters of the digest, as git shows them.
    pub fn short(&self) -> &str {
        &self.id[..self.id.len().min(7)]
    }

    /// Finds the commit that a name stands for: a revision of git, or else an experiment of DVC.
    ///
    /// # Errors
    ///
    /// When the project is no git repository, there is no such revision, or several experiments have the name.
    pub fn find(root: &Path, asked: &str) -> Result<Self> {
        // A revision never starts with a dash; git would take it for an option.
        let known = (!asked.starts_with('-'))
            .then(|| git(root, &["rev-parse", "--verify", "--quiet", &format!("{asked}^{{commit}}")]));
        let id = match known.flatten() {
            Some(id) => Some(id),
            None => experiment(root, asked)?,
        };
        id.map(|id| Self { asked: asked.to_owned(), id }).with_context(|| {
            format!(
                "there is no revision `{asked}` in the git repository of {}; name a commit, a branch, a tag or an \
                 experiment of `dvc exp list --all-commits`, for example --diff HEAD~1 (in a shallow clone, `git fetch \
                 --unshallow` brings the older ones)",
                root.display()
            )
        })
    }
}

/// The commit of the experiment with this name. DVC keeps it in git as `refs/exps/`, the commit that it started from
/// with a slash after the second digit, and its name. Of several, the one that started from `HEAD` is meant.
fn experiment(root: &Path, name: &str) -> Result<Option<String>> {
    let listed = git(root, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/"]).unwrap_or_default();
    let named: Vec<(&str, String)> = listed
        .lines()
        .filter_map(|line| {
            let (id, reference) = line.split_once(' ')?;
            let mut parts = reference.strip_prefix("refs/exps/")?.splitn(3, '/');
            let started = format!("{}{}", parts.next()?, parts.next()?);
            (parts.next()? == name).then_some((id, started))
        })
        .collect();
    let head = git(root, &["rev-parse", "HEAD"]);
    match named.as_slice() {
        [] => Ok(None),
        [(id, _)] => Ok(Some((*id).to_owned())),
        several => {
            let here = several.iter().find(|(_, started)| Some(started) == head.as_ref());
            let commits: Vec<String> = several.iter().map(|(id, _)| id.chars().take(7).collect()).collect();
            here.map(|(id, _)| Some((*id).to_owned())).with_context(|| {
                format!(
                    "{} experiments are called `{name}`, none of them started from HEAD: name one by its commit, {}",
                    several.len(),
                    commits.join(" or ")
                )
            })
        }
    }
}

/// What git prints, without the final newline; `None` when it fails or is not there.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

impl Tree {
    /// The files as they lie.
    pub fn working(root: &Path) -> Self {
        Self { root: root.to_owned(), commit: None }
    }

    /// The files as a commit has them.
    pub fn of_commit(root: &Path, commit: Commit) -> Self {
        Self { root: root.to_owned(), commit: Some(commit) }
    }

    /// The commit, unless this is the working tree.
    pub fn commit(&self) -> Option<&Commit> {
        self.commit.as_ref()
    }

    /// The project's root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a person would call it.
    pub fn name(&self) -> String {
        self.commit.as_ref().map_or_else(|| "working tree".to_owned(), |commit| commit.short().to_owned())
    }

    /// Reads a file; `None` when there is none. `path` is relative to the project's root.
    ///
    /// # Errors
    ///
    /// When it is there but cannot be read.
    pub fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(commit) = &self.commit else {
            return match fs::read(self.root.join(path)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
            };
        };
        let mut git = Command::new("git");
        git.args(["cat-file", "blob", &format!("{}:./{path}", commit.id)]).current_dir(&self.root);
        let output = git.output().context("cannot start git")?;
        Ok(output.status.success().then_some(output.stdout))
    }

    /// Reads a text file; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it is there but cannot be read or is not UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        let Some(bytes) = self.bytes(path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).with_context(|| format!("{} is not UTF-8", self.place(path)))
    }

    /// Reads a JSON file; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it is there but is not what `T` expects; the message names the file.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(bytes) = self.bytes(path)? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes);
        value.map(Some).with_context(|| format!("{} is not in the expected form", self.place(path)))
    }

    /// Reads the rows of a CSV file with a header; none when there is no file.
    ///
    /// # Errors
    ///
    /// When it is there but a row is not what `T` expects; the message names file and row.
    pub fn rows<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let Some(bytes) = self.bytes(path)? else { return Ok(Vec::new()) };
        let rows: Result<Vec<T>, csv::Error> = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().collect();
        rows.with_context(|| format!("{} is not in the expected form", self.place(path)))
    }

    fn place(&self, path: &str) -> String {
        self.commit.as_ref().map_or_else(|| path.to_owned(), |commit| format!("{path} of {}", commit.short()))
    }
}
