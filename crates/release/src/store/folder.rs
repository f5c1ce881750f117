//! Records as files in a folder. One release at a time by a lock on a file, which the system takes back from a process
//! that ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use wellformed_core::files::{read_json, write_json};

use super::{Store, file_name};
use crate::record::{FORMAT, Record};

const LOCK: &str = "lock";

/// A folder of records.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// The folder, which need not be there yet.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: Mutex::new(None) }
    }
}

impl Store for Folder {
    fn acquire(&self) -> Result<()> {
        fs::create_dir_all(&self.path).with_context(|| format!("cannot make the folder {}", self.path.display()))?;
        let path = self.path.join(LOCK);
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another release is running ({} is locked); wait for it, then run the same command again",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        // A poisoned lock is still a place for the file.
        *self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(file);
        Ok(())
    }

    fn release(&self) -> Result<()> {
        // Closing the file unlocks it.
        self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Ok(())
    }

    fn list(&self) -> Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", self.path.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let record: Record = read_json(&path)?;
                if record.format != FORMAT {
                    bail!("{} has format {}, but this program reads {FORMAT}", path.display(), record.format);
                }
                records.push(record);
            }
        }
        records.sort_by_key(|record| record.number);
        Ok(records)
    }

    fn write(&self, record: &Record) -> Result<()> {
        write_json(&self.path.join(file_name(record.number)), record)
    }

    fn place(&self, number: u32) -> String {
        self.path.join(file_name(number)).display().to_string()
    }
}
