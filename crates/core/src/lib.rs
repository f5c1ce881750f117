//! Names shared by every stage of the pipeline.
//!
//! Typed parameters ([`params`]), the labels and splits of the corpus and the Arrow schema of the prepared data
//! ([`dataset`]), digests and whole-or-nothing writes ([`files`]).
//!
//! Invariant: this crate knows nothing of Burn, of ONNX or of the network.

pub mod dataset;
pub mod files;
mod layers;
pub mod params;
