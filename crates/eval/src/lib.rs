//! Stage eval: everything that is said about a checkpoint.
//!
//! [`evaluate`] runs the model over *tune*, *validation* and *phenomena*; from its logits on, [`report::Report`] makes
//! every number and table without a model:
//!
//! | module | what comes of it |
//! |---|---|
//! | [`predict`] | logits of every sentence |
//! | [`calibration`] | the temperature, fitted on *tune*: `calibration.json` |
//! | [`measures`] | `metrics.json` |
//! | [`tables`] | the CSV files behind the plots, and `wrong.csv` |
//! | [`places`] | where all that goes |
//! | `tracking` | the same, told to the run that made the checkpoint |
//!
//! Sentences go into `data/eval/wrong.csv`, and into W&B's table of wrong predictions where `track.wandb.sentences`
//! allows it: what lies under `reports/` is committed, or handed on.

pub mod calibration;
pub mod measures;
pub mod places;
pub mod predict;
pub mod report;
pub mod tables;
mod tracking;

use anyhow::Result;
use wellformed_core::params::EvalStage;
use wellformed_track::Journal;

use crate::places::Places;
use crate::report::Report;

/// Evaluates the checkpoint and writes all reports; gives the lines that sum them up. `journal` is told the same, for
/// the run that made the checkpoint.
///
/// # Errors
///
/// When prepared data or checkpoint are missing or do not fit together, when the model's outputs are not finite, or
/// when a file cannot be written.
pub fn evaluate(stage: &EvalStage, journal: &Journal, places: &Places) -> Result<Vec<String>> {
    let predicted = predict::predict(stage, places)?;
    let report = Report::new(&predicted, &stage.eval, stage.seed)?;
    report.write(places)?;
    tracking::record(&report, journal, places);
    Ok(report.summary())
}
