//! Where things lie.

use std::path::{Path, PathBuf};

use wellformed_core::dataset::Split;

/// What the stage reads and writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The prepared splits, read.
    pub prepared: PathBuf,
    /// The trained model, read.
    pub checkpoint: PathBuf,
    /// Numbers and plots, written.
    pub reports: PathBuf,
    /// What quotes sentences, written.
    pub data: PathBuf,
}

impl Places {
    /// The places in a project.
    pub fn in_project(root: &Path) -> Self {
        Self {
            prepared: root.join("data/prepared"),
            checkpoint: root.join("models/checkpoint"),
            reports: root.join("reports/eval"),
            data: root.join("data/eval"),
        }
    }

    /// A prepared split.
    pub(crate) fn split(&self, split: Split) -> PathBuf {
        self.prepared.join(format!("{}.parquet", split.name()))
    }
}
