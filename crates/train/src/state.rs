//! What an interrupted run goes on from: `models/train-state/`.
//!
//! After every epoch a folder `epoch-N` is written under a temporary name and renamed, then the one before it goes. So
//! there is always a complete one, whatever moment the run is killed at:
//!
//! | file | what is in it |
//! |---|---|
//! | `state.json` | fingerprint, history, which epoch is the best |
//! | `model.safetensors` | the weights after the epoch |
//! | `moments.safetensors` | the optimiser's moments |
//! | `best/` | the best epoch's checkpoint, ready to be `models/checkpoint` |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use wellformed_core::files::{read_json, write_json};
use wellformed_model::weights::{self, Tensors};

use crate::history::{Epoch, Step};

/// Where a run stands after a complete epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Digest of everything that the run's result depends on; another fingerprint is another run.
    pub fingerprint: String,
    /// The run's id where it is tracked: a run that goes on keeps it.
    pub run: String,
    /// The best epoch so far, counted from 1; 0 before the first.
    pub best_epoch: usize,
    /// Its value of the metric that the checkpoint is chosen by.
    pub best_score: f64,
    /// Optimiser steps taken.
    pub optimizer_steps: usize,
    /// The epochs so far.
    pub epochs: Vec<Epoch>,
    /// The steps so far.
    pub steps: Vec<Step>,
}

impl Progress {
    /// Of a run that has not begun.
    pub fn start(fingerprint: String) -> Self {
        let (epochs, steps) = (Vec::new(), Vec::new());
        let run = wellformed_track::new_id();
        Self { fingerprint, run, best_epoch: 0, best_score: f64::NEG_INFINITY, optimizer_steps: 0, epochs, steps }
    }
}

/// A run's progress with the tensors that go with it.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Where the run stands.
    pub progress: Progress,
    /// The weights.
    pub weights: Tensors,
    /// The optimiser's moments.
    pub moments: Tensors,
}

/// Writes a checkpoint into the folder that it is given.
pub type SaveCheckpoint<'a> = dyn Fn(&Path) -> Result<()> + 'a;

/// The folder `models/train-state`.
#[derive(Debug, Clone)]
pub struct State {
    folder: PathBuf,
}

impl State {
    /// In `folder`, which need not exist.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The last complete epoch of the run with this fingerprint, with `note` told what is found and left. Whatever
    /// belongs to another run, or cannot be read, is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be cleared.
    pub fn resume(&self, fingerprint: &str, note: &mut dyn FnMut(&str)) -> Result<Option<Saved>> {
        let Some(newest) = self.epochs().pop() else { return Ok(None) };
        let saved = Self::read(&newest);
        match saved {
            Ok(saved) if saved.progress.fingerprint == fingerprint => return Ok(Some(saved)),
            Ok(_) => note(&format!(
                "{} belongs to a run with other code, data or parameters: starting afresh",
                newest.display()
            )),
            Err(error) => note(&format!("{} cannot be read, starting afresh: {error:#}", newest.display())),
        }
        self.clear()?;
        Ok(None)
    }

    fn read(folder: &Path) -> Result<Saved> {
        Ok(Saved {
            progress: read_json(&folder.join("state.json"))?,
            weights: weights::read(&folder.join("model.safetensors"))?,
            moments: weights::read(&folder.join("moments.safetensors"))?,
        })
    }

    /// Keeps a complete epoch. `best` writes the checkpoint when this epoch is the best; otherwise the best one so far
    /// is taken along.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written; the epoch before is then still there.
    pub fn keep(&self, saved: &Saved, best: Option<&SaveCheckpoint<'_>>) -> Result<()> {
        let number = saved.progress.epochs.len();
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let before = self.epochs();
        let writing = tempfile::Builder::new().prefix(".writing-").tempdir_in(&self.folder)?;
        let folder = writing.path();
        weights::write(&folder.join("model.safetensors"), &saved.weights, BTreeMap::new())?;
        weights::write(&folder.join("moments.safetensors"), &saved.moments, BTreeMap::new())?;
        let kept = folder.join("best");
        fs::create_dir(&kept)?;
        if let Some(best) = best {
            best(&kept)?;
        } else if let Some(newest) = before.last() {
            for entry in fs::read_dir(newest.join("best"))? {
                let entry = entry?;
                fs::copy(entry.path(), kept.join(entry.file_name()))?;
            }
        }
        write_json(&folder.join("state.json"), &saved.progress)?;
        let place = self.folder.join(format!("epoch-{number}"));
        fs::rename(writing.keep(), &place).with_context(|| format!("cannot write {}", place.display()))?;
        for old in before {
            fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        Ok(())
    }

    /// The folder of the best epoch's checkpoint.
    ///
    /// # Errors
    ///
    /// When no epoch has been completed.
    pub fn best(&self) -> Result<PathBuf> {
        Ok(self.epochs().pop().context("no epoch has been completed")?.join("best"))
    }

    /// Moves the best epoch's checkpoint to `target`, replacing what is there. The state stays usable until
    /// [`State::clear`]: if the run is interrupted here, it can do this again.
    ///
    /// # Errors
    ///
    /// When there is none, or the folder cannot be written.
    pub fn publish(&self, target: &Path) -> Result<()> {
        let best = self.best()?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let writing = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent)?;
        for entry in fs::read_dir(best)? {
            let entry = entry?;
            fs::copy(entry.path(), writing.path().join(entry.file_name()))?;
        }
        if target.exists() {
            fs::remove_dir_all(target).with_context(|| format!("cannot replace {}", target.display()))?;
        }
        let writing = writing.keep();
        make_readable(&writing)?;
        fs::rename(writing, target).with_context(|| format!("cannot write {}", target.display()))
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// When the folder cannot be removed.
    pub fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        Ok(())
    }

    /// The complete epochs, oldest first.
    fn epochs(&self) -> Vec<PathBuf> {
        let number =
            |path: &Path| -> Option<usize> { path.file_name()?.to_str()?.strip_prefix("epoch-")?.parse().ok() };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = entries.filter(|path| number(path).is_some()).collect();
        found.sort_by_key(|path| number(path));
        found
    }
}

/// Temporary folders are private; an output has the ordinary permissions.
fn make_readable(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
