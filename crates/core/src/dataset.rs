//! The prepared corpus: labels, splits and the Arrow schema of `data/prepared/*.parquet`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{
    Array, ArrayRef, Int8Array, Int32Array, Int32Builder, ListArray, ListBuilder, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;
use crate::label::Label;

/// A part of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the weights are fitted on.
    Train,
    /// Cut out of the training set; everything that is chosen is chosen here.
    Tune,
    /// GLUE's validation set (or the corpus's own): only ever reported.
    Validation,
    /// The starter corpus's validation part: a behavioural check list, reported per phenomenon.
    Phenomena,
}

impl Split {
    /// Every split that `prepare` writes.
    pub const ALL: [Self; 4] = [Self::Train, Self::Tune, Self::Validation, Self::Phenomena];

    /// The name, which is also the stem of the Parquet file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Tune => "tune",
            Self::Validation => "validation",
            Self::Phenomena => "phenomena",
        }
    }
}

/// Whether a sentence comes from a publication that the training set draws on as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// From the same publications as the training set.
    In,
    /// From other publications.
    Out,
}

impl Domain {
    /// The name in the prepared data.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The domain of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::In, Self::Out].into_iter().find(|domain| domain.name() == name)
    }
}

/// One prepared sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Unique and stable: where the sentence stood in the corpus, for example `in_domain_dev-17`.
    pub id: String,
    /// The sentence as it was read.
    pub sentence: String,
    /// The linguist's judgement.
    pub label: Label,
    /// The publication, or the phenomenon in the starter corpus.
    pub source: String,
    /// In or out of the training set's domain.
    pub domain: Domain,
    /// Token ids with `[CLS]` and `[SEP]`, at most `prepare.max_length`.
    pub input_ids: Vec<i32>,
}

/// The Arrow schema of `data/prepared/*.parquet`: a column for each field of [`Example`].
pub fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("sentence", DataType::Utf8, false),
        Field::new("label", DataType::Int8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("domain", DataType::Utf8, false),
        Field::new("input_ids", DataType::List(Arc::new(Field::new("item", DataType::Int32, false))), false),
    ])
}

/// Writes a prepared split, whole or not at all; the same examples give the same bytes.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_examples(path: &Path, examples: &[Example]) -> Result<()> {
    let mut input_ids = ListBuilder::new(Int32Builder::new()).with_field(Field::new("item", DataType::Int32, false));
    for example in examples {
        input_ids.values().append_slice(&example.input_ids);
        input_ids.append(true);
    }
    let text =
        |of: fn(&Example) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(examples.iter().map(of))) };
    let columns: Vec<ArrayRef> = vec![
        text(|example| &example.id),
        text(|example| &example.sentence),
        Arc::new(Int8Array::from_iter_values(examples.iter().map(|example| example.label.index() as i8))),
        text(|example| &example.source),
        text(|example| example.domain.name()),
        Arc::new(input_ids.finish()),
    ];
    write_parquet(path, &RecordBatch::try_new(Arc::new(schema()), columns)?)
}

/// Writes a table as Parquet, whole or not at all; the same table gives the same bytes.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_parquet(path: &Path, table: &RecordBatch) -> Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    write_whole(path, |writer| {
        // The Parquet writer wants a type that can cross threads; a buffer in memory is one.
        let mut bytes = Vec::new();
        let mut parquet = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties))?;
        parquet.write(table)?;
        parquet.close()?;
        Ok(writer.write_all(&bytes)?)
    })
}

/// Reads a prepared split.
///
/// # Errors
///
/// When the file is missing, is not Parquet, or a column is missing, of another type or holds a value that cannot be;
/// the message names file, column and row.
pub fn read_examples(path: &Path) -> Result<Vec<Example>> {
    let read = || -> Result<Vec<Example>> {
        let file = File::open(path).context("cannot open it; run the prepare stage first")?;
        let mut examples = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            read_batch(&batch?, &mut examples)?;
        }
        Ok(examples)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn read_batch(batch: &RecordBatch, examples: &mut Vec<Example>) -> Result<()> {
    let text = |name| column(batch, name).and_then(|array| typed::<StringArray>(array, name, "text"));
    let (id, sentence, source, domain) = (text("id")?, text("sentence")?, text("source")?, text("domain")?);
    let label = typed::<Int8Array>(column(batch, "label")?, "label", "8-bit integers")?;
    let input_ids = typed::<ListArray>(column(batch, "input_ids")?, "input_ids", "lists")?;
    for row in 0..batch.num_rows() {
        let place = || format!("row {} of column", examples.len() + 1);
        let value = label.value(row);
        let Some(label) = usize::try_from(value).ok().and_then(Label::from_index) else {
            bail!("{} label is {value}, but must be 0 or 1", place());
        };
        let Some(domain) = Domain::from_name(domain.value(row)) else {
            bail!("{} domain is {:?}, but must be \"in\" or \"out\"", place(), domain.value(row));
        };
        let ids = input_ids.value(row);
        let ids = typed::<Int32Array>(&ids, "input_ids", "lists of 32-bit integers")?;
        if ids.is_empty() {
            bail!("{} input_ids is empty, but must hold [CLS] and [SEP] at least", place());
        }
        examples.push(Example {
            id: id.value(row).to_owned(),
            sentence: sentence.value(row).to_owned(),
            label,
            source: source.value(row).to_owned(),
            domain,
            input_ids: ids.values().to_vec(),
        });
    }
    Ok(())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("there is no column {name}; run the prepare stage again"))
}

fn typed<'a, A: Array + 'static>(array: &'a ArrayRef, name: &str, wanted: &str) -> Result<&'a A> {
    let typed = array.as_any().downcast_ref::<A>().filter(|array| array.null_count() == 0);
    typed.with_context(|| format!("column {name} is of type {}, but must be {wanted}", array.data_type()))
}
