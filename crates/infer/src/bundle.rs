//! A bundle's files, checked against the manifest.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wellformed_core::bundle::{FORMAT, MANIFEST, Manifest, Precision};
use wellformed_core::files::sha256_bytes;
use wellformed_kernels::mapped::map;

use crate::error::Error;

/// A folder whose manifest has been read.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Bundle {
    /// Reads and checks the manifest.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let bytes = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let damaged = |problem| Error::Damaged { path: path.clone(), problem };
        // The form first: a later form may have other fields, and that is what has to be said.
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("not JSON: {error}")))?;
        if let Some(format) =
            value.get("format").and_then(serde_json::Value::as_u64).filter(|&it| it != u64::from(FORMAT))
        {
            return Err(damaged(format!("its format is {format}, but this program reads format {FORMAT}")));
        }
        let manifest: Manifest =
            serde_json::from_value(value).map_err(|error| damaged(format!("not a bundle's manifest: {error}")))?;
        if !manifest.is_sealed() {
            return Err(damaged(
                "its digest is not that of its content; it was changed, copy the bundle again".to_owned(),
            ));
        }
        if manifest.max_length < 3 {
            return Err(damaged(format!("max_length is {}, but must be at least 3", manifest.max_length)));
        }
        let temperature = manifest.calibration.temperature;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(damaged(format!("calibration.temperature is {temperature}, but must be above 0")));
        }
        let bundle = Self { folder: folder.to_owned(), manifest };
        for (name, expected) in &bundle.manifest.files {
            let path = bundle.path(name);
            match std::fs::metadata(&path) {
                Ok(found) => bundle.check_size(name, found.len(), expected.bytes)?,
                // What ships may hold one of the models only. Whoever wants the other misses it when it is opened.
                Err(error) if error.kind() == ErrorKind::NotFound && is_model(name) => {}
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
        Ok(bundle)
    }

    fn check_size(&self, name: &str, found: u64, expected: u64) -> Result<(), Error> {
        if found == expected {
            return Ok(());
        }
        let problem = format!(
            "it has {found} bytes, but {MANIFEST} says {expected}; it is incomplete or from another bundle, copy the \
             whole bundle again"
        );
        Err(self.damaged(name, problem))
    }

    /// The path of a file, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A problem with a file.
    pub(crate) fn damaged(&self, name: &str, problem: impl ToString) -> Error {
        Error::Damaged { path: self.path(name), problem: problem.to_string() }
    }

    /// Maps a file and checks its size and digest.
    pub(crate) fn file(&self, name: &str) -> Result<Bytes, Error> {
        let path = self.path(name);
        let expected = self.manifest.files.get(name);
        let expected = expected.ok_or_else(|| self.damaged(MANIFEST, format!("`files` has no entry {name}")))?;
        let bytes = map(&path).map_err(|source| Error::Read { path, source })?;
        self.check_size(name, bytes.len() as u64, expected.bytes)?;
        let found = sha256_bytes(&bytes);
        if found != expected.sha256 {
            return Err(self.damaged(
                name,
                format!(
                    "its SHA-256 is {found}, but {MANIFEST} says {}; it is damaged or from another bundle, copy the \
                     whole bundle again",
                    expected.sha256
                ),
            ));
        }
        Ok(bytes)
    }
}

fn is_model(name: &str) -> bool {
    Precision::ALL.iter().any(|precision| precision.file() == name)
}

/// Checks every file of a bundle, also those that predicting does not need, and gives the manifest.
///
/// # Errors
///
/// When a file is missing, damaged, or not the one that the manifest means; the message names it.
pub fn verify(folder: &Path) -> Result<Manifest, Error> {
    let bundle = Bundle::open(folder)?;
    for name in bundle.manifest.files.keys() {
        bundle.file(name)?;
    }
    Ok(bundle.manifest)
}
