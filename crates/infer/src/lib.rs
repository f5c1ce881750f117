//! A bundle opened, and everything that predicts with it.
//!
//! ```no_run
//! use wellformed_infer::{Options, Predictor};
//!
//! let predictor = Predictor::open("models/bundle".as_ref(), &Options::default())?;
//! let prediction = predictor.predict("The cat sat on the mat.")?;
//! println!("{} {:.3}", prediction.label.name(), prediction.probabilities[1]);
//! # Ok::<(), wellformed_infer::Error>(())
//! ```
//!
//! The command line, the HTTP server, Lambda and the stage `export` all predict through this crate, so they cannot
//! disagree. A sentence's result does not depend on what else is in its batch, to the last bit.
//!
//! Invariant: this crate knows nothing of Burn.

mod bundle;
mod engine;
mod error;
mod prediction;
mod predictor;
mod tokenizer;

pub use bundle::verify;
pub use error::Error;
pub use prediction::{Explanation, Perturbation, Prediction, Timing, Tokens, Word};
pub use predictor::{Options, Predictor};
pub use wellformed_core::bundle::{Manifest, Precision};
pub use wellformed_core::label::Label;
pub use wellformed_signals::Signals;
