//! A verdict on recorded predictions, in words and as a page, for whoever reads records: the commands of `monitor`, and
//! `serve` for what it has just answered.
//!
//! ```text
//!  bundle, settings ─► judge ─┐
//!                             ├─► report ─► words, page
//!  records ─► observe ────────┘
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`judge`] | the reference made ready, out of a bundle and settings |
//! | [`observe`] | from a record to what the drift check knows of a prediction |
//! | [`least`] | the predictions that the model was least certain of |
//! | [`words`] | a report in a few lines |
//! | [`page`](mod@page) | a report as one file of HTML that loads nothing |
//!
//! Invariant: this crate knows nothing of where records come from or where the page goes: no network, no command line.

mod chart;
pub mod judge;
pub mod least;
pub mod observe;
pub mod page;
pub mod words;

pub use judge::{Judge, ReferenceError, SETTINGS, settings};
pub use least::LeastCertain;
pub use observe::{Names, observation};
pub use page::{Facts, notice, page, policy};
pub use wellformed_drift::window::Step;
pub use wellformed_drift::{Profile, Report, Settings, Verdict};
