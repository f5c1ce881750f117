//! Whether what is predicted now is still what the model was measured on.
//!
//! A bundle ships with a [`Profile`]: what the model saw and said on its validation set, a number a sentence and
//! signal, no sentences. Predictions in operation are [`Observation`]s. A [`Window`] takes them one by one, in bounded
//! memory however many there are; a [`Checker`] holds the window against the profile and gives a [`Report`] with a
//! verdict and its reasons.
//!
//! ```no_run
//! use wellformed_drift::{Checker, Expected, Observation, Profile, Settings};
//!
//! # fn observations() -> Vec<Observation> { Vec::new() }
//! # fn example(profile: Profile) -> Result<(), Box<dyn std::error::Error>> {
//! let mut checker = Checker::new(profile, Settings::default(), Expected::default())?;
//! let mut window = checker.window()?;
//! for observation in observations() {
//!     window.take(&observation);
//! }
//! let report = checker.check(&window)?;
//! println!("{}: {:?}", report.verdict, report.reasons);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`observation`] | what is known of a prediction |
//! | [`signal`] | the numbers that are watched |
//! | [`profile`] | the reference: `profile.json` |
//! | [`window`] | observations, counted |
//! | [`statistics`] | KS, χ², Jensen-Shannon, PSI, Holm |
//! | [`null`](mod@null) | how far these move when nothing has changed, by resampling the profile |
//! | [`performance`] | MCC and accuracy, estimated without labels and measured with them |
//! | [`settings`] | `monitor.yaml` |
//! | [`check`] | the verdict |
//!
//! What the choices are, and how well they do: `docs/drift.md`.
//!
//! Invariants: this crate knows nothing of Burn, of the network or of where records come from.

mod cells;
pub mod check;
mod error;
pub mod null;
pub mod observation;
pub mod performance;
pub mod profile;
mod seen;
pub mod settings;
pub mod signal;
pub mod statistics;
pub mod window;

pub use check::{Area, Checker, Expected, Reason, Report, SignalReport, Verdict};
pub use error::DriftError;
pub use observation::{Features, Observation, Outcome};
pub use performance::Performance;
pub use profile::Profile;
pub use settings::Settings;
pub use signal::Signal;
pub use window::Window;
