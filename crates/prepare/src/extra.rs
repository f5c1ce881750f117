//! `data/extra/`: labelled sentences that are added to the corpus for training, such as those that monitoring brought
//! back (`monitor export-candidates`) once somebody has labelled them.
//!
//! Every `.tsv`, `.csv` and `.parquet` file in the folder is read, in the order of the names; `README.md`, hidden files
//! and DVC's own `.dvc` files are passed over. Anything else is refused: a file that was meant to be read and is not
//! would go unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

use wellformed_core::dataset::Domain;

use crate::corpus::{Sentence, sentences};
use crate::error::PrepareError;
use crate::table::{self, Findings, Form};

/// Reads and checks every table of the folder; nothing where there is no folder. Rows that did not pass are in
/// `findings`.
pub(crate) fn read(folder: &Path, findings: &mut Findings) -> Result<Vec<Sentence>, PrepareError> {
    let mut extra = Vec::new();
    for (path, stem, form) in tables(folder)? {
        let name = path.display().to_string();
        let bytes = fs::read(&path).map_err(|error| PrepareError::input(&name, format!("cannot be read: {error}")))?;
        let rows = table::read(&name, form, &bytes, findings)?;
        extra.extend(sentences(&stem, &stem, rows, |_| Domain::In));
    }
    Ok(extra)
}

/// The tables that are there, each with the stem that its rows are named by.
fn tables(folder: &Path) -> Result<Vec<(PathBuf, String, Form)>, PrepareError> {
    let unreadable =
        |error: std::io::Error| PrepareError::input(folder.display(), format!("cannot be listed: {error}"));
    let mut tables: Vec<(PathBuf, String, Form)> = Vec::new();
    if !folder.is_dir() {
        return Ok(tables);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        if let Some(tracked) = name.strip_suffix(".dvc") {
            if !folder.join(tracked).exists() {
                let problem = format!(
                    "DVC keeps {tracked}, but it is not here: `dvc pull {}` brings it; delete this file to train \
                     without it",
                    path.display()
                );
                return Err(PrepareError::input(path.display(), problem));
            }
            continue;
        }
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        let form = match extension {
            "tsv" => Form::Tsv,
            "csv" => Form::Csv,
            "parquet" => Form::Parquet,
            _ => {
                let problem = "what is in this folder is added to the training data, and must be .tsv, .csv or .parquet \
                               with the columns sentence and label; move it elsewhere if it is something else";
                return Err(PrepareError::input(path.display(), problem));
            }
        };
        let stem = format!("extra-{stem}");
        if let Some((other, ..)) = tables.iter().find(|(_, taken, _)| *taken == stem) {
            let problem = format!("rows are named after their file, and {} has the same name", other.display());
            return Err(PrepareError::input(path.display(), format!("{problem}; rename one of them")));
        }
        tables.push((path, stem, form));
    }
    Ok(tables)
}
