//! How far each file was sent, and how a file is known again after it was renamed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use wellformed_core::files::{read_json, sha256_bytes, write_json};

/// Bytes of a file's start that are remembered by their digest: numbers of deleted files are used again.
const START: u64 = 512;

/// What is remembered of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The files that the log was in, the current one last.
    pub(super) files: Vec<Place>,
}

/// How far a file was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The number of the device.
    pub(super) device: u64,
    /// The number of the file on it.
    pub(super) inode: u64,
    /// So many bytes of its start are in `start_sha256`.
    pub(super) start_bytes: u64,
    /// SHA-256 of its start.
    pub(super) start_sha256: String,
    /// Bytes that were sent.
    pub(super) sent: u64,
}

impl Place {
    /// The start of a file that nothing was sent of.
    pub(super) fn new(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), start_bytes: 0, start_sha256: sha256_bytes(b""), sent: 0 }
    }

    /// Whether the file has the same number, whatever is in it.
    pub(super) fn is_file(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    /// Whether this is a place in that file, with what is in it.
    pub(super) fn is_of(&self, file: &mut File, metadata: &Metadata) -> io::Result<bool> {
        if !self.is_file(metadata) || metadata.len() < self.start_bytes {
            return Ok(false);
        }
        Ok(digest(file, self.start_bytes)? == self.start_sha256)
    }

    /// Remembers more of the start, as long as there is little of it.
    pub(super) fn learn(&mut self, file: &mut File) -> io::Result<()> {
        let known = self.sent.min(START);
        if self.start_bytes < known {
            self.start_sha256 = digest(file, known)?;
            self.start_bytes = known;
        }
        Ok(())
    }
}

fn digest(file: &mut File, bytes: u64) -> io::Result<String> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(bytes).read_to_end(&mut start)?;
    Ok(sha256_bytes(&start))
}

/// A state in its file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    pub(super) state: State,
    /// When it was last saved, if ever.
    pub(super) saved: Option<SystemTime>,
}

impl Memory {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let saved = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let state = if saved.is_some() { read_json(path)? } else { State::default() };
        let memory = Self { path: path.to_owned(), state, saved };
        if saved.is_none() {
            // What is rotated away from now on is this log's, even if nothing of it was ever seen under its first name.
            memory.save()?;
        }
        Ok(memory)
    }

    pub(super) fn save(&self) -> Result<()> {
        write_json(&self.path, &self.state)
    }
}
