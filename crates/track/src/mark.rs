//! How the next run sees that a process has ended without a word.
//!
//! A folder that is being written holds a file `open.lock` with an exclusive lock on it, which the operating system
//! releases when the process ends, however it ends. A lock file that can be locked is one whose process is gone. No
//! process number can be mistaken for another's, and a running neighbour is left alone.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const NAME: &str = "open.lock";

/// A folder that this process is writing.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    _lock: File,
}

impl Mark {
    /// Marks a folder as open, for as long as this value lives.
    pub(crate) fn set(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let set = || -> Result<File> {
            let mut file = File::options().create(true).write(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => bail!("another process is writing this run"),
                // Some network file systems have no locks: the run is written, and a crash will not be noticed.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
            Ok(file)
        };
        let lock = set().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { path, _lock: lock })
    }

    /// The run has ended properly.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }

    /// Takes over a folder whose process has ended without removing its mark. `None` when it ended properly, is still
    /// running, or cannot be told.
    pub(crate) fn of_the_dead(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        let file = File::options().write(true).open(&path).ok()?;
        file.try_lock().ok()?;
        // Between opening and locking, another process may have taken it over and removed it.
        path.exists().then_some(Self { path, _lock: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_living_ones_until_it_is_dropped_and_nobodys_once_removed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Mark::of_the_dead(folder.path()).is_none(), "never marked");
        let mark = Mark::set(folder.path()).unwrap();
        assert!(Mark::of_the_dead(folder.path()).is_none(), "alive");
        let error = format!("{:#}", Mark::set(folder.path()).unwrap_err());
        assert!(error.contains("another process"), "{error}");
        drop(mark);
        Mark::of_the_dead(folder.path()).unwrap().remove().unwrap();
        assert!(Mark::of_the_dead(folder.path()).is_none(), "seen to");
    }
}
