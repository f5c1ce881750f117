//! Where things lie, and how a finished folder gets there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What the stage reads and writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The corpus, as `fetch` brought it.
    pub corpus: PathBuf,
    /// The folder of labelled sentences that are added for training.
    pub extra: PathBuf,
    /// The base model's tokenizer.
    pub tokenizer: PathBuf,
    /// The folder of the prepared splits.
    pub prepared: PathBuf,
    /// The folder of metrics and plots.
    pub reports: PathBuf,
}

impl Places {
    /// The places in a project.
    pub fn in_project(root: &Path) -> Self {
        Self {
            corpus: root.join("data/raw/corpus.zip"),
            extra: root.join("data/extra"),
            tokenizer: root.join("models/base/tokenizer.json"),
            prepared: root.join("data/prepared"),
            reports: root.join("reports/prepare"),
        }
    }
}

/// Replaces a folder: `fill` writes a new one beside it, which then takes its place. When `fill` fails, or is cut
/// short, the old folder is still there; when the change itself is cut short, the next call puts the old one back
/// before it starts.
///
/// # Errors
///
/// When `fill` fails, or a folder cannot be made, moved or removed.
pub fn replace_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let (new, old) = (beside(folder, "new")?, beside(folder, "old")?);
    let context = || format!("cannot write {}", folder.display());
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    remove(&new).with_context(context)?;
    if old.exists() && !folder.exists() {
        fs::rename(&old, folder).with_context(context)?;
    }
    remove(&old).with_context(context)?;
    fs::create_dir(&new).with_context(context)?;
    if let Err(error) = fill(&new) {
        // What failed is told; that its leftovers could not be removed is not worth hiding it for.
        let _ = remove(&new);
        return Err(error);
    }
    if folder.exists() {
        fs::rename(folder, &old).with_context(context)?;
    }
    fs::rename(&new, folder).with_context(context)?;
    remove(&old).with_context(context)
}

/// `data/.prepared.new` for `data/prepared` and `new`.
fn beside(folder: &Path, what: &str) -> Result<PathBuf> {
    let name = folder.file_name().with_context(|| format!("{} is no folder's name", folder.display()))?;
    Ok(folder.with_file_name(format!(".{}.{what}", name.to_string_lossy())))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
