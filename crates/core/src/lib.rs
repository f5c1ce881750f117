//! Names shared by every part of the project.
//!
//! | module | feature | what is in it |
//! |---|---|---|
//! | [`label`] | | the two answers of the model |
//! | [`precision`] | | the numbers that a model computes with |
//! | [`bundle`] | | the manifest of what ships, `models/bundle/bundle.json` |
//! | [`characters`] | | the characters of a sentence, counted |
//! | [`family`] | | the families of encoders, and what tells one from another |
//! | [`files`] | | digests, and writes that are whole or nothing |
//! | [`params`] | `params` | typed parameters |
//! | [`dataset`] | `dataset` | splits, and the Arrow schema of the prepared data |
//! | [`record`] | `record`, `schema` | what is written down of every prediction |
//!
//! Invariant: this crate knows nothing of Burn, of ONNX or of the network.

pub mod bundle;
pub mod characters;
#[cfg(feature = "dataset")]
pub mod dataset;
pub mod family;
pub mod files;
pub mod label;
#[cfg(feature = "params")]
mod layers;
#[cfg(feature = "params")]
pub mod params;
pub mod precision;
#[cfg(feature = "record")]
pub mod record;
