//! The project's automation, `cargo xtask`: environments, the pipeline run from start to end, checks, benchmarks.
//!
//! It knows the project by its files (`params.yaml`, `presets/`, `dvc.yaml`, `scripts/stage`) and the stages by their
//! command lines. No crate depends on it, and it depends on no crate of the project, so that it builds in seconds.

pub mod bench;
pub mod check;
pub mod environment;
pub mod image;
pub mod params_file;
pub mod plots;
pub mod preset;
pub mod process;
pub mod release;
pub mod report;
pub mod repro;
