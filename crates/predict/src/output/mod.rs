//! Results out.

mod chart;
mod tables;
mod text;

use std::path::Path;

use anyhow::{Result, bail};

use crate::layout::Layout;
use crate::pipeline::Answered;

pub use tables::{Csv, JsonLines, Parquet};
pub use text::Text;

/// How results are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people: verdict, its probability, sentence, notes.
    Text,
    /// A JSON object a line.
    JsonLines,
    /// Comma-separated values with a line of column names.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl OutputFormat {
    /// The format that a file's name promises.
    ///
    /// # Errors
    ///
    /// When it promises none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("txt" | "text") => Ok(Self::Text),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => bail!(
                "{}: the name ends in none of .txt, .jsonl, .csv and .parquet; say with --to which format is meant",
                path.display()
            ),
        }
    }
}

/// Turns answers into bytes.
pub trait Encoder {
    /// Appends the bytes of a chunk.
    ///
    /// # Errors
    ///
    /// When the format cannot hold a column of the input.
    fn encode(&mut self, answered: &Answered, bytes: &mut Vec<u8>) -> Result<()>;

    /// Appends what comes after the last chunk.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()>;
}

/// The encoder of a format. Of the layout, text takes no more than whether there are sentences.
///
/// # Errors
///
/// When the format cannot hold the columns.
pub fn encoder(format: OutputFormat, layout: Layout, sentence: bool, colour: bool) -> Result<Box<dyn Encoder>> {
    Ok(match format {
        OutputFormat::Text => Box::new(Text::new(sentence, colour)),
        OutputFormat::JsonLines => Box::new(JsonLines::new(layout)),
        OutputFormat::Csv => Box::new(Csv::new(layout)?),
        OutputFormat::Parquet => Box::new(Parquet::new(layout)?),
    })
}
