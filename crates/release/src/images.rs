//! What a release asks of whoever makes images.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::cloud::Secret;
use crate::record::ImageFacts;
use crate::settings::Architecture;

/// The image that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The project's root folder.
    pub root: PathBuf,
    /// The git commit, which becomes the image's tag.
    pub commit: String,
    /// The digest of the bundle that goes in.
    pub bundle: String,
    /// The processor.
    pub architecture: Architecture,
    /// Most bytes of the compressed layers.
    pub budget: u64,
}

/// Who makes images.
pub trait Images {
    /// Makes the image, or finds it made.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    fn build(&self, wanted: &Wanted) -> Result<ImageFacts>;

    /// Holds the image against what it should be and do; what was found.
    ///
    /// # Errors
    ///
    /// When something is not as it should be; the message says what.
    fn verify(&self, image: &ImageFacts, wanted: &Wanted) -> Result<Value>;

    /// Brings the image to a registry, under this name and tag; its digest there, `sha256:…`. That it is there already
    /// is success. `password` belongs to the user `AWS` of an ECR registry; without one, the machine's own settings
    /// for the registry are used.
    ///
    /// # Errors
    ///
    /// When it cannot be brought there, or something else is there under that name.
    fn push(&self, image: &ImageFacts, wanted: &Wanted, to: &str, password: Option<&Secret>) -> Result<String>;
}
