//! Stage export: checkpoint and calibration become the bundle that ships.
//!
//! [`export`] writes both ONNX files, opens them with the engine that ships, and compares what it says about the text
//! of every validation sentence with what the checkpoint says about the prepared tokens. Only a bundle that keeps the
//! bounds of `export` in params.yaml takes the place of the old one.
//!
//! | module | what comes of it |
//! |---|---|
//! | [`convert`] | the checkpoint's tensors as the weights of [`wellformed_onnx`] |
//! | [`parity`] | the comparison, and the bounds |
//! | [`reference`] | `signals.json` and `profile.json`, for monitoring |
//! | [`native`] | the fp32 model as Rust source |
//! | [`git`] | the commit in the manifest |
//! | [`report`] | `metrics.json` |
//! | [`places`] | where all that goes |
//! | [`tracking`] | the bundle, told to the run that made the checkpoint |

pub mod convert;
pub mod git;
pub mod native;
pub mod parity;
pub mod places;
pub mod reference;
pub mod report;
pub mod tracking;

mod stage;

pub use stage::export;
