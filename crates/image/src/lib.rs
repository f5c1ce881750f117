//! The container images of what predicts, and of what forwards its records: built from `Dockerfile.lambda`, checked, run
//! under limits, pushed.
//!
//! ```no_run
//! use wellformed_image::{BuildRequest, Builder, Expectations, Target, golden, verify};
//!
//! let request = BuildRequest::of_commit(".".as_ref(), Target::Lambda)?;
//! let image = Builder::find()?.build(&request, &mut |line| eprintln!("{line}"))?;
//! let answers = golden("models/bundle".as_ref(), None)?;
//! let digest = image.label(wellformed_image::BUNDLE_LABEL).unwrap_or_default().to_owned();
//! let verification = verify(&image, &Expectations::new(Target::Lambda, &digest, answers))?;
//! assert!(verification.passed());
//! # Ok::<(), wellformed_image::Error>(())
//! ```
//!
//! An [`Image`] is a folder, an OCI image layout: whichever program built it, its digest is known before it is pushed,
//! its files can be read without a daemon, and what is pushed is what was checked.
//!
//! Invariant: this crate knows how the programs are built and what they answer, and links none of them.

mod builder;
mod cold_start;
mod error;
mod forwarding;
mod golden;
mod image;
pub mod layout;
mod runtime_api;
mod sandbox;
pub mod sbom;
mod tool;
mod verify;

pub use builder::{
    BUILDER, BUNDLE_LABEL, BuildRequest, Builder, LOCAL_PYTHON_IMAGE, LOCAL_RUST_IMAGE, Models, Platform, RUST,
    RUST_IMAGE, Target,
};
pub use cold_start::{ColdStart, cold_start, median};
pub use error::Error;
pub use golden::{Golden, SENTENCES, golden};
pub use image::{Image, Pushed, RegistryReference, store};
pub use sandbox::{Answer, Enforced, Limits, Prepared, SANDBOX, Sandbox};
pub use verify::{BUNDLE, Check, Expectations, Verification, inspect, trial_event, verify};
