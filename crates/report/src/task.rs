//! What the binary does: read files, call the library, write a page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use wellformed_core::dataset::{Split, read_examples};
use wellformed_core::files::write_whole;

use crate::card::{CARD, card};
use crate::compare::{Comparison, compare};
use crate::diff_markdown::{Folded, markdown};
use crate::diff_page::diff_page;
use crate::predictions;
use crate::run::{Run, wrong};
use crate::run_page::run_page;
use crate::sweep::Sweep;
use crate::sweep_page::{sweep_markdown, sweep_page};
use crate::tree::{Commit, Tree, git};

/// Writes a text file, whole or not at all.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_whole(path, |writer| Ok(writer.write_all(text.as_bytes())?))
}

/// Writes the page about the run in the working tree and the model card; gives the lines that sum it up.
///
/// # Errors
///
/// When there is no run yet, a report is not what its stage writes, or a file cannot be written.
pub fn report(root: &Path, page: &Path) -> Result<Vec<String>> {
    let tree = Tree::working(root);
    let run = measured(&tree)?;
    let wrong = wrong(&tree)?;
    write_text(page, &run_page(&run, &wrong))?;
    let path = root.join(CARD);
    let text = card(&run);
    let is_same = fs::read_to_string(&path).is_ok_and(|old| old == text);
    if !is_same {
        write_text(&path, &text)?;
    }
    let state = if is_same { "was current" } else { "is new; commit it" };
    Ok(vec![
        format!("{}: the report; it quotes sentences, so it stays on this machine", page.display()),
        format!("{CARD} {state}"),
    ])
}

/// Whether the model card is what the committed reports make of it.
///
/// # Errors
///
/// When it is not, with what to do; or when there is no run to make it of.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let run = measured(&Tree::working(root))?;
    match fs::read_to_string(root.join(CARD)) {
        Ok(text) if text == card(&run) => Ok(vec![format!("{CARD} is current")]),
        Ok(text) => {
            let new = card(&run);
            let line = text.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
            bail!(
                "{CARD} is not what the reports make of it, from line {} on; run `cargo xtask report` and commit it",
                line + 1
            )
        }
        Err(_) => bail!("there is no {CARD}; run `cargo xtask report` and commit it"),
    }
}

fn measured(tree: &Tree) -> Result<Run> {
    let run = Run::read(tree)?;
    if run.metrics.validation.is_none() {
        bail!(
            "there is no reports/eval/metrics.json in {}: run `cargo xtask repro` first",
            tree.commit().map_or_else(|| tree.root().display().to_string(), |commit| commit.short().to_owned())
        );
    }
    Ok(run)
}

/// What a comparison is asked for.
#[derive(Debug, Clone)]
pub struct DiffWishes {
    /// The older revision; `None` finds one.
    pub revision: Option<String>,
    /// Where the page goes.
    pub page: PathBuf,
    /// The `dvc` to ask.
    pub dvc: PathBuf,
}

/// Compares the working tree with a revision: writes the page, and gives the Markdown.
///
/// # Errors
///
/// When there is no such revision, either side has no metrics, or the page cannot be written.
pub fn diff(root: &Path, wishes: &DiffWishes) -> Result<String> {
    let commit = Commit::find(root, &wishes.revision.clone().map_or_else(|| default_revision(root), Ok)?)?;
    let (old_tree, new_tree) = (Tree::of_commit(root, commit.clone()), Tree::working(root));
    let (before, after) = (measured(&old_tree)?, measured(&new_tree)?);
    let old = predictions::of_commit(root, &commit, &wishes.dvc);
    let new = predictions::of_working_tree(root);
    let prepared = root.join(format!("data/prepared/{}.parquet", Split::Validation.name()));
    // Without the prepared data there are ids and no sentences.
    let examples = if prepared.is_file() { read_examples(&prepared)? } else { Vec::new() };
    let comparison = compare(before, after, [&old, &new], &examples);
    write_text(&wishes.page, &diff_page(&comparison))?;
    Ok(markdown(&comparison, &dvc_says(root, &commit, &wishes.dvc, &comparison)))
}

/// The merge base with the main branch; on the main branch itself, the last commit, or the one before it if nothing
/// has changed since.
fn default_revision(root: &Path) -> Result<String> {
    let head =
        git(root, &["rev-parse", "HEAD"]).context("this is no git repository, so there is nothing to compare with")?;
    let base = ["origin/main", "main"].into_iter().find_map(|main| git(root, &["merge-base", main, "HEAD"]));
    if let Some(base) = base.filter(|base| *base != head) {
        return Ok(base);
    }
    let changed = git(root, &["diff", "--name-only", "HEAD", "--", "reports", "params.yaml", "dvc.lock"]);
    Ok(if changed.is_some_and(|changed| !changed.is_empty()) { "HEAD" } else { "HEAD~1" }.to_owned())
}

/// What `dvc metrics diff` and `dvc params diff` say of the same revisions.
fn dvc_says(root: &Path, commit: &Commit, dvc: &Path, comparison: &Comparison) -> Vec<Folded> {
    let ask = |what: &str, more: &[&str]| -> Option<Folded> {
        let mut command = Command::new(dvc);
        command.args([what, "diff", "--md"]).args(more).arg(&commit.id).current_dir(root);
        let output = command.output().ok().filter(|output| output.status.success())?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // DVC pads its columns and names the whole digest: thousands of characters that say nothing.
        let narrow: Vec<String> =
            said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let said = narrow.join("\n").replace(&commit.id, commit.short());
        let body = if said.is_empty() { "Nothing changed.".to_owned() } else { said };
        Some(Folded { title: format!("<code>dvc {what} diff {}</code>", comparison.before.name), body })
    };
    ask("metrics", &["--precision", "4"]).into_iter().chain(ask("params", &[])).collect()
}

/// Reads what DVC knows of runs and writes the page; gives the table for a terminal.
///
/// # Errors
///
/// When DVC cannot be asked, no run has the metric, or the page cannot be written.
pub fn sweep(root: &Path, by: &str, page: &Path, dvc: &Path, arguments: &[String]) -> Result<String> {
    let mut command = Command::new(dvc);
    command.args(["exp", "show", "--json"]).args(arguments).current_dir(root);
    let output =
        command.output().with_context(|| format!("cannot start {}; `cargo xtask setup` makes it", dvc.display()))?;
    if !output.status.success() {
        bail!("`dvc exp show --json` failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let sweep = Sweep::read(&output.stdout, by)?;
    write_text(page, &sweep_page(&sweep))?;
    Ok(sweep_markdown(&sweep))
}
