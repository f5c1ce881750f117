//! The stage `prepare`: checks, tokenises and splits the corpus.
//!
//! | module | |
//! |---|---|
//! | [`corpus`] | `data/raw/corpus.zip`: which tables are in it |
//! | `extra` | `data/extra/`: labelled sentences that are added for training |
//! | `table` | one table: TSV, CSV or Parquet, each row checked |
//! | [`normal`] | when two sentences count as the same |
//! | [`split`] | duplicates and leaks out, *tune* and *validation* cut off |
//! | [`phenomena`] | the generated check list |
//! | [`pairs`] | minimal pairs that training begins with |
//! | [`tokens`] | from sentences to token ids |
//! | [`report`] | metrics, plots, summary |
//! | [`places`] | where things lie; a folder replaced as a whole |
//!
//! The same inputs give the same bytes. What goes wrong is a [`PrepareError`], and nothing was written then.

pub mod corpus;
mod error;
mod extra;
pub mod normal;
pub mod pairs;
pub mod phenomena;
pub mod places;
pub mod report;
pub mod split;
mod table;
pub mod tokens;

use wellformed_core::dataset::{Example, Split, write_examples};
use wellformed_core::files::{write_json, write_whole};
use wellformed_core::params::PrepareStage;

pub use error::{BadRow, BadRows, LISTED, Place, PrepareError};
pub use places::Places;

use report::{Metrics, Parts};
use tokens::{Prepared, Tokens};

/// Prepares the corpus; returns the summary, a line for each split and what else is worth a line.
///
/// # Errors
///
/// [`PrepareError`]. Outputs of an earlier run are then still there.
pub fn prepare(stage: &PrepareStage, places: &Places) -> Result<Vec<String>, PrepareError> {
    let tokens = Tokens::load(&places.tokenizer, stage.prepare.max_length)?;
    let corpus = corpus::read(&places.corpus, &places.extra)?;
    let mut notes: Vec<String> = control_characters(&corpus.controls).into_iter().collect();
    let (splits, cleaning) = split::split(corpus, phenomena::sentences()?, stage)?;
    let (pairs, counts) = pairs::pairs(&splits, stage)?;

    let bar = tokens::progress(splits.values().map(Vec::len).sum::<usize>() + pairs.len());
    let parts: Result<Parts, PrepareError> =
        splits.into_iter().map(|(split, sentences)| Ok((split, tokens.prepare(sentences, &bar)?))).collect();
    let parts = parts?;
    let pairs = tokens.prepare(pairs, &bar)?;
    bar.finish_and_clear();

    let metrics = Metrics::of(&parts, cleaning, counts);
    write(&parts, &pairs, &metrics, places)?;
    let mut lines = metrics.lines();
    lines.append(&mut notes);
    Ok(lines)
}

/// Everything that can fail for its content is made before the first file is touched.
fn write(parts: &Parts, pairs: &[Prepared], metrics: &Metrics, places: &Places) -> Result<(), PrepareError> {
    let plots = [
        ("lengths.csv", report::lengths(parts)?),
        ("labels.csv", report::labels(parts)?),
        ("sources.csv", report::sources(parts)?),
    ];
    places::replace_folder(&places.prepared, |folder| {
        for split in Split::ALL {
            let examples: Vec<Example> =
                parts.get(&split).into_iter().flatten().map(|prepared| prepared.example.clone()).collect();
            write_examples(&folder.join(format!("{}.parquet", split.name())), &examples)?;
        }
        let examples: Vec<Example> = pairs.iter().map(|prepared| prepared.example.clone()).collect();
        write_examples(&folder.join("pairs.parquet"), &examples)?;
        Ok(())
    })?;
    write_json(&places.reports.join("metrics.json"), metrics)?;
    for (name, bytes) in plots {
        write_whole(&places.reports.join(name), |writer| Ok(writer.write_all(&bytes)?))?;
    }
    Ok(())
}

fn control_characters(places: &[Place]) -> Option<String> {
    let listed: Vec<String> = places.iter().take(LISTED).map(ToString::to_string).collect();
    let more = if places.len() > LISTED { format!(" and {} more", places.len() - LISTED) } else { String::new() };
    (!places.is_empty()).then(|| format!("kept, with control characters in them: {}{more}", listed.join(", ")))
}
