//! Sentences in.
//!
//! Every form of input becomes chunks of rows: a table with all columns of the input, and the sentences in it.

mod lines;
mod parquet;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use lines::Lines;
pub use parquet::Parquet;
pub use table::Table;

/// The column of sentences in what has no columns of its own.
pub const SENTENCE: &str = "sentence";

/// How sentences are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// A sentence a line.
    Text,
    /// Comma-separated values with a line of column names, as RFC 4180 has it.
    Csv,
    /// Tab-separated values with a line of column names; a row is a line, and nothing is quoted.
    Tsv,
    /// Apache Parquet.
    Parquet,
}

impl InputFormat {
    /// The format that a file's name promises.
    ///
    /// # Errors
    ///
    /// When it promises none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            None | Some("txt" | "text") => Ok(Self::Text),
            Some("csv") => Ok(Self::Csv),
            Some("tsv") => Ok(Self::Tsv),
            Some("parquet") => Ok(Self::Parquet),
            Some(other) => bail!(
                "{}: .{other} does not say what is in the file; say it with --format-in text, csv, tsv or parquet",
                path.display()
            ),
        }
    }
}

/// How much of the input is held at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a chunk, at most.
    pub rows: usize,
    /// Bytes after which a chunk of text or CSV takes no further row.
    pub chunk_bytes: usize,
    /// Longest line of text, in bytes. A longer one is a row that cannot be predicted.
    pub line_bytes: usize,
    /// Longest record of CSV or TSV, in bytes. A longer one is an error: most often a quotation mark was not closed.
    pub record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 4096, chunk_bytes: 4 << 20, line_bytes: 1 << 20, record_bytes: 16 << 20 }
    }
}

/// How much input there is, where that can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Bytes.
    Bytes(u64),
    /// Rows.
    Rows(u64),
}

/// Some rows of the input.
#[derive(Debug)]
pub struct Chunk {
    /// All columns of the input.
    pub columns: RecordBatch,
    /// The sentences, a row each.
    pub sentences: StringArray,
    /// Why rows cannot be predicted, by row.
    pub problems: BTreeMap<usize, String>,
    /// How far into the input this chunk reaches, in the unit of [`Source::extent`].
    pub position: u64,
}

impl Chunk {
    /// A chunk whose only column is [`SENTENCE`].
    fn of_sentences(sentences: StringArray, problems: BTreeMap<usize, String>, position: u64) -> Result<Self> {
        let columns = RecordBatch::try_new(sentence_schema(), vec![Arc::new(sentences.clone()) as ArrayRef])?;
        Ok(Self { columns, sentences, problems, position })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.sentences.len()
    }

    /// The sentence of a row, or why there is none to predict.
    ///
    /// # Errors
    ///
    /// With the reason.
    pub fn sentence(&self, row: usize) -> Result<&str, &str> {
        match self.problems.get(&row) {
            Some(problem) => Err(problem),
            None if self.sentences.is_null(row) => Err("there is no sentence: the value is null"),
            None => Ok(self.sentences.value(row)),
        }
    }
}

/// Where chunks come from.
pub trait Source: Send {
    /// The columns of the input.
    fn schema(&self) -> SchemaRef;

    /// Which of them holds the sentences.
    fn sentence(&self) -> usize;

    /// How much there is to come.
    fn extent(&self) -> Option<Extent>;

    /// The next rows, and `None` after the last.
    ///
    /// # Errors
    ///
    /// When the input cannot be read any further; the message names the place.
    fn next_chunk(&mut self) -> Result<Option<Chunk>>;
}

fn sentence_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(SENTENCE, DataType::Utf8, true)]))
}

/// Sentences that are there already.
#[derive(Debug)]
pub struct Given(Option<Vec<String>>);

impl Given {
    /// From the command line.
    pub fn new(sentences: Vec<String>) -> Self {
        Self(Some(sentences))
    }
}

impl Source for Given {
    fn schema(&self) -> SchemaRef {
        sentence_schema()
    }

    fn sentence(&self) -> usize {
        0
    }

    fn extent(&self) -> Option<Extent> {
        None
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let Some(sentences) = self.0.take() else { return Ok(None) };
        Chunk::of_sentences(StringArray::from(sentences), BTreeMap::new(), 0).map(Some)
    }
}

/// Opens a file; `column` is the name of the column with the sentences, where there are columns.
///
/// # Errors
///
/// When the file cannot be read, is in another format, or lacks the column.
pub fn open_file(path: &Path, format: InputFormat, column: &str, limits: Limits) -> Result<Box<dyn Source>> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    let metadata = file.metadata().with_context(|| format!("cannot read {name}"))?;
    if metadata.is_dir() {
        bail!("cannot read {name}: it is a folder");
    }
    if format == InputFormat::Parquet {
        return Ok(Box::new(Parquet::open(file, &name, column, limits)?));
    }
    let extent = metadata.is_file().then_some(Extent::Bytes(metadata.len()));
    open_stream(Box::new(file), &name, extent, format, column, limits)
}

/// Opens standard input.
///
/// # Errors
///
/// When it is in another format, lacks the column, or is to be Parquet, which is read from its end.
pub fn open_stdin(format: InputFormat, column: &str, limits: Limits) -> Result<Box<dyn Source>> {
    open_stream(Box::new(io::stdin()), "standard input", None, format, column, limits)
}

fn open_stream(
    stream: Box<dyn Read + Send>,
    name: &str,
    extent: Option<Extent>,
    format: InputFormat,
    column: &str,
    limits: Limits,
) -> Result<Box<dyn Source>> {
    match format {
        InputFormat::Text => Ok(Box::new(Lines::new(stream, name, extent, limits))),
        InputFormat::Csv => Ok(Box::new(Table::open(stream, name, extent, b',', column, limits)?)),
        InputFormat::Tsv => Ok(Box::new(Table::open(stream, name, extent, b'\t', column, limits)?)),
        InputFormat::Parquet => {
            bail!("{name}: Parquet is read from its end, so it cannot come in a stream: name the file with --file")
        }
    }
}

/// The place of a column among names that must differ.
fn find_column(input: &str, names: &[String], wanted: &str) -> Result<usize> {
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            bail!("{input} has two columns with the name {name:?}: give one of them another");
        }
    }
    names.iter().position(|name| name == wanted).with_context(|| {
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        format!(
            "{input} has no column {wanted:?}: say with --column where the sentences are; there are {}",
            names.join(", ")
        )
    })
}

/// What the first bytes give away about a file that is not the text it was taken for.
fn disguise(first: &[u8]) -> Option<&'static str> {
    const SIGNS: [(&[u8], &str); 6] = [
        (b"\xff\xfe", "is UTF-16: turn it into UTF-8 first, for example with `iconv -f UTF-16 -t UTF-8`"),
        (b"\xfe\xff", "is UTF-16: turn it into UTF-8 first, for example with `iconv -f UTF-16 -t UTF-8`"),
        (b"PAR1", "is Parquet: name the file with --file and say --format-in parquet"),
        (b"\x1f\x8b", "is compressed with gzip: `gzip -dc FILE | predict` reads it"),
        (b"\x28\xb5\x2f\xfd", "is compressed with Zstandard: `zstd -dc FILE | predict` reads it"),
        (b"PK\x03\x04", "is a ZIP archive or a spreadsheet: save what is in it as CSV or text"),
    ];
    SIGNS.iter().find(|(sign, _)| first.starts_with(sign)).map(|(_, what)| *what)
}
