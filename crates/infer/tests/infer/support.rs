//! The fixture bundle, and copies of it to break.

use std::fs;
use std::path::{Path, PathBuf};

use wellformed_infer::{Options, Precision, Predictor};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(crate) fn bundle() -> PathBuf {
    fixtures().join("bundle")
}

pub(crate) fn open(precision: Precision, threads: usize) -> Predictor {
    Predictor::open(&bundle(), &Options { precision: Some(precision), threads }).unwrap()
}

/// A copy of the bundle.
pub(crate) fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(bundle()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// Sentences of all lengths, in no order.
pub(crate) const SENTENCES: [&str; 12] = [
    "The dog sleeps.",
    "The dog that the cat that the boy owns chases sleeps under the big tree behind the old house of the teacher.",
    "Cats sleeps!",
    "Who did she say that left?",
    "A.",
    "the teachers have read the book that the girl bought yesterday",
    "Sleeps dog the.",
    "Mary and the boy don't know (yet) what to do.",
    "I.",
    "It is raining, isn't it?",
    "Every girl who was seen by the teachers laughed.",
    "the",
];
