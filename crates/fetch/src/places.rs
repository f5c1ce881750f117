//! Where things lie, and how a finished file gets there.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wellformed_core::files::write_whole;

use crate::progress::note;

/// What the stage writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The corpus, one file whatever its source.
    pub corpus: PathBuf,
    /// The base model's folder.
    pub base: PathBuf,
    /// Unfinished downloads; nobody else's business.
    pub downloads: PathBuf,
}

impl Places {
    /// The places in a project.
    pub fn in_project(root: &Path) -> Self {
        Self {
            corpus: root.join("data/raw/corpus.zip"),
            base: root.join("models/base"),
            downloads: root.join("data/.downloads"),
        }
    }

    /// Makes the download folder and waits until no other fetch works in it. The file returned is the lock.
    pub(crate) fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.downloads)
            .with_context(|| format!("cannot make the folder {}", self.downloads.display()))?;
        let path = self.downloads.join("lock");
        let context = || format!("cannot lock {}", path.display());
        let lock = File::create(&path).with_context(context)?;
        if lock.try_lock().is_err() {
            note("another fetch is at work in this project; waiting for it");
            lock.lock().with_context(context)?;
        }
        Ok(lock)
    }
}

/// Moves a finished file, across file systems as well, so that the target is the old file or the new one, whole.
pub(crate) fn move_file(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("cannot move {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            copy_file(from, to)?;
            fs::remove_file(from).with_context(context)
        }
        result => result.with_context(context),
    }
}

/// Copies a file, whole or not at all; the copy can be written to, whatever the original's permissions.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_whole(to, |writer| {
        io::copy(&mut file, writer).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(())
    })
}
