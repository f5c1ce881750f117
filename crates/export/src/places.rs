//! Where things lie.

use std::path::{Path, PathBuf};

use wellformed_core::dataset::Split;

/// What the stage reads and writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The project's root; its git commit goes into the manifest.
    pub root: PathBuf,
    /// The prepared splits, read.
    pub prepared: PathBuf,
    /// The trained model with its tokenizer, read.
    pub checkpoint: PathBuf,
    /// What `eval` found, read.
    pub evaluation: PathBuf,
    /// What ships, written.
    pub bundle: PathBuf,
    /// The same model as Rust source, written.
    pub native: PathBuf,
    /// Numbers, written.
    pub reports: PathBuf,
}

impl Places {
    /// The places in a project.
    pub fn in_project(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            prepared: root.join("data/prepared"),
            checkpoint: root.join("models/checkpoint"),
            evaluation: root.join("reports/eval"),
            bundle: root.join("models/bundle"),
            native: root.join("models/native"),
            reports: root.join("reports/export"),
        }
    }

    /// A prepared split.
    pub(crate) fn split(&self, split: Split) -> PathBuf {
        self.prepared.join(format!("{}.parquet", split.name()))
    }
}
