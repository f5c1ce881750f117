//! What predictions are held against: a bundle's reference profile, and the settings of when to speak up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use wellformed_core::bundle::{MANIFEST, Manifest, PROFILE};
use wellformed_core::files::{read_json, sha256_file};
use wellformed_drift::{Checker, DriftError, Expected, Profile, Report, Settings, Window};
use wellformed_metrics::Confusion;

/// The file with the settings that is read where none is named, if it is there.
pub const SETTINGS: &str = "monitor.yaml";

/// Lengths of windows whose thresholds are kept, 160 kB each. A window that grows, or of which sentences are counted
/// once, has a new length each time.
const MOST_LENGTHS: usize = 32;

/// Why there is no reference.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The bundle is sound, but too little was known when it was made.
    #[error(
        "{} brings no {PROFILE}: its validation set was too small to say what is usual, so nothing can be judged; \
         export a bundle of at least 100 sentences of validation",
        .0.display()
    )]
    NoProfile(PathBuf),
    /// A file is missing or damaged.
    #[error(transparent)]
    Unusable(#[from] anyhow::Error),
}

/// A reference that was read.
#[derive(Debug)]
pub struct Judge {
    checker: Checker,
    digest: String,
    lengths: BTreeSet<u64>,
}

impl Judge {
    /// Of a profile, and the digest of the bundle that it belongs to.
    ///
    /// # Errors
    ///
    /// [`DriftError::Setting`] when a setting makes no sense.
    pub fn new(profile: Profile, settings: Settings, digest: String) -> Result<Self, DriftError> {
        let checker = Checker::new(profile, settings, Expected { bundle: Some(digest.clone()) })?;
        Ok(Self { checker, digest, lengths: BTreeSet::new() })
    }

    /// Of a bundle, the folder that the stage `export` makes.
    ///
    /// # Errors
    ///
    /// When the bundle has no profile, or a file of it is missing or is not the one that its manifest names.
    pub fn read(bundle: &Path, settings: Settings) -> Result<Self, ReferenceError> {
        let manifest_path = bundle.join(MANIFEST);
        let manifest: Manifest = read_json(&manifest_path).with_context(|| {
            format!(
                "{} is no bundle; --bundle names one, and `cargo xtask repro` or `dvc pull models/bundle` brings it",
                bundle.display()
            )
        })?;
        let is_whole = || {
            ensure!(
                manifest.is_sealed(),
                "{}: its digest is not that of its content; it was changed, copy the bundle again",
                manifest_path.display()
            );
            Ok(())
        };
        is_whole()?;
        let Some(expected) = manifest.files.get(PROFILE) else {
            return Err(ReferenceError::NoProfile(bundle.to_owned()));
        };
        let path = bundle.join(PROFILE);
        let is_the_bundles = || {
            let found = sha256_file(&path)?;
            ensure!(
                found == expected.sha256,
                "{}: its SHA-256 is {found}, but {MANIFEST} says {}; copy the bundle again",
                path.display(),
                expected.sha256
            );
            Ok(())
        };
        is_the_bundles()?;
        let profile: Profile = read_json(&path)?;
        Ok(Self::new(profile, settings, manifest.digest).map_err(anyhow::Error::from)?)
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        self.checker.profile()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        self.checker.settings()
    }

    /// The bundle's digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// An empty window.
    ///
    /// # Errors
    ///
    /// Only if the sketches that it counts with cannot be made.
    pub fn window(&self) -> Result<Window, DriftError> {
        self.checker.window()
    }

    /// The verdict on a window.
    ///
    /// Thresholds for the window's length are made by resampling where they are not known yet: some hundred million
    /// additions for some thousand sentences, on Rayon's threads.
    ///
    /// # Errors
    ///
    /// [`DriftError::Window`] for a window of another judge.
    pub fn check(&mut self, window: &Window) -> Result<Report, DriftError> {
        self.check_with_labels(window, None)
    }

    /// The verdict on a window of which labels are known for some sentences: their confusion matrix.
    ///
    /// # Errors
    ///
    /// As [`Judge::check`].
    pub fn check_with_labels(&mut self, window: &Window, labels: Option<&Confusion>) -> Result<Report, DriftError> {
        if self.lengths.len() >= MOST_LENGTHS {
            // The checker keeps the thresholds of every length that it has seen; a new one starts without any.
            let expected = Expected { bundle: Some(self.digest.clone()) };
            self.checker = Checker::new(self.profile().clone(), self.settings().clone(), expected)?;
            self.lengths.clear();
        }
        let report = self.checker.check_with_labels(window, labels)?;
        self.lengths.insert(report.counted);
        Ok(report)
    }
}

/// The settings in a file that was named, or else in [`SETTINGS`] if it is there, or else the defaults.
///
/// # Errors
///
/// When a file that was named is not there, or a setting makes no sense.
pub fn settings(named: Option<&Path>) -> anyhow::Result<Settings> {
    let read = |path: &Path| Settings::read(path).with_context(|| path.display().to_string());
    match named {
        Some(path) => {
            ensure!(path.is_file(), "there is no settings file {}", path.display());
            read(path)
        }
        None if Path::new(SETTINGS).is_file() => read(Path::new(SETTINGS)),
        None => Ok(Settings::default()),
    }
}
