//! The images as they ship: really built, run, pushed. Everything here needs more than Cargo:
//!
//! ```sh
//! cargo test --release -p wellformed-image --test image -- --ignored
//! ```
//!
//! As root with Debian's buildah, skopeo, runc, docker-registry and debootstrap, or with Docker. Where something is
//! missing, a test says `NOT TESTED` and what it lacks; with `WELLFORMED_IMAGE_TESTS=required` it fails instead.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod fitness;
mod forwarder;
mod materials;
mod registry;
mod support;
