//! `reports/eval/predictions.parquet`: what the model said of every sentence, by the sentence's id.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, Float32Array, Float64Array, Int8Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wellformed_core::label::Label;

use crate::run::PREDICTIONS;
use crate::tree::Commit;

/// What the model said of one sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The sentence's id in the prepared data.
    pub id: String,
    /// `tune`, `validation` or `phenomena`.
    pub split: String,
    /// The linguist's judgement.
    pub label: Label,
    /// Calibrated probability of *acceptable*.
    pub p_acceptable: f64,
    /// Unacceptable, acceptable.
    pub logits: [f32; 2],
}

impl Prediction {
    /// The class of the larger logit; *unacceptable* if they are equal. The same rule as in `eval`.
    pub fn decision(&self) -> Label {
        if self.logits[1] > self.logits[0] { Label::Acceptable } else { Label::Unacceptable }
    }
}

/// A run's predictions, or why there are none.
pub type Predictions = Result<Vec<Prediction>, String>;

/// Those of the working tree.
///
/// # Errors
///
/// When they are not here or cannot be read; a sentence for people.
pub fn of_working_tree(root: &Path) -> Predictions {
    let path = root.join(PREDICTIONS);
    if !path.is_file() {
        return Err(format!("{PREDICTIONS} is not here; `dvc pull {PREDICTIONS}` or a run brings it."));
    }
    read(&path).map_err(|error| format!("{error:#}."))
}

/// Those of a commit, from DVC's cache or its remote.
///
/// # Errors
///
/// When they cannot be had or read; a sentence for people.
pub fn of_commit(root: &Path, commit: &Commit, dvc: &Path) -> Predictions {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}."))?;
    let file = folder.path().join("predictions.parquet");
    let mut command = Command::new(dvc);
    command.args(["get", ".", PREDICTIONS, "--rev", &commit.id, "--quiet", "--out"]).arg(&file).current_dir(root);
    match command.output() {
        Ok(_) if file.is_file() => read(&file).map_err(|error| format!("{error:#}.")),
        Ok(_) => Err(format!(
            "the predictions of {} are neither in DVC's cache nor in a remote that can be reached.",
            commit.short()
        )),
        Err(_) => Err(format!("there is no {}; `cargo xtask setup` makes it.", dvc.display())),
    }
}

/// Reads the file.
///
/// # Errors
///
/// When it cannot be read, or a column is missing, of another type or holds a value that cannot be.
pub fn read(path: &Path) -> Result<Vec<Prediction>> {
    let read = || -> Result<Vec<Prediction>> {
        let mut predictions = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
            read_batch(&batch?, &mut predictions)?;
        }
        Ok(predictions)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn read_batch(batch: &RecordBatch, predictions: &mut Vec<Prediction>) -> Result<()> {
    let (id, split) = (column::<StringArray>(batch, "id")?, column::<StringArray>(batch, "split")?);
    let label = column::<Int8Array>(batch, "label")?;
    let p_acceptable = column::<Float64Array>(batch, "p_acceptable")?;
    let unacceptable = column::<Float32Array>(batch, "logit_unacceptable")?;
    let acceptable = column::<Float32Array>(batch, "logit_acceptable")?;
    for row in 0..batch.num_rows() {
        let value = label.value(row);
        let Some(label) = usize::try_from(value).ok().and_then(Label::from_index) else {
            bail!("label of row {} is {value}, but must be 0 or 1", predictions.len() + 1);
        };
        predictions.push(Prediction {
            id: id.value(row).to_owned(),
            split: split.value(row).to_owned(),
            label,
            p_acceptable: p_acceptable.value(row),
            logits: [unacceptable.value(row), acceptable.value(row)],
        });
    }
    Ok(())
}

fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let array = batch.column_by_name(name).with_context(|| format!("there is no column {name}"))?;
    let typed = array.as_any().downcast_ref::<A>().filter(|array| array.null_count() == 0);
    typed.with_context(|| format!("column {name} is of type {} or has gaps", array.data_type()))
}
