//! Where a run is written: sinks behind one small trait, several at once, none able to slow or break what is tracked.
//!
//! ```no_run
//! use wellformed_core::params::Params;
//! use wellformed_track::{Journal, Outcome, new_id};
//!
//! let params = Params::load("params.yaml".as_ref(), &[])?;
//! let journal = Journal::in_project("".as_ref(), &params);
//! let tracker = journal.start("train", &new_id(), None);
//! tracker.scalars(1, &[("step", 1.0), ("train/loss", 0.69)]);
//! tracker.finish(Outcome::Finished);
//! # Ok::<(), wellformed_core::params::ParamsError>(())
//! ```
//!
//! | module | |
//! |---|---|
//! | [`sink`] | the trait, and what can be said about a run |
//! | [`tracker`] | a queue and a thread for each sink |
//! | [`journal`] | which sinks params.yaml asks for, where they write, which run a checkpoint came from |
//! | [`files`] | DVCLive's layout: `runs/ID/` |
//! | [`wandb`] | a W&B run folder, written natively: `wandb/offline-run-TIME-ID/`; live upload |
//! | [`machine`] | hardware, and what it is doing |
//!
//! A call on a [`Tracker`] costs a lock and a push. Each sink works in a thread of its own; one that fails warns once on
//! standard error and is dropped. Every record is handed to the operating system as it is written, so a run that is
//! killed leaves what it wrote; the next run that starts finds it by its lock, which died with the process, and marks
//! it as crashed.
//!
//! Invariants: no number of the pipeline depends on this crate, and it knows nothing of Burn.

mod commit;
pub mod files;
mod id;
pub mod journal;
pub mod machine;
mod mark;
mod process;
pub mod sink;
pub mod tracker;
pub mod wandb;

pub use id::new_id;
pub use journal::Journal;
pub use sink::{Artifact, Cell, Chart, ChartKind, Matrix, Outcome, Run, Sample, Sink, Table};
pub use tracker::Tracker;
