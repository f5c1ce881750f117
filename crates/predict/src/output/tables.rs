//! The formats with columns: Arrow's own writers, a chunk at a time.

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvWriter;
use arrow::datatypes::DataType;
use arrow::json::WriterBuilder as JsonWriter;
use arrow::json::writer::LineDelimited;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Encoder;
use crate::layout::Layout;
use crate::pipeline::Answered;

/// A JSON object a line; every object has all columns, null where there is nothing.
pub struct JsonLines(Layout);

impl JsonLines {
    /// With these columns.
    pub fn new(layout: Layout) -> Self {
        Self(layout)
    }
}

impl Encoder for JsonLines {
    fn encode(&mut self, answered: &Answered, bytes: &mut Vec<u8>) -> Result<()> {
        let mut writer = JsonWriter::new().with_explicit_nulls(true).build::<_, LineDelimited>(bytes);
        writer.write(&self.0.table(answered)?)?;
        Ok(writer.finish()?)
    }

    fn finish(&mut self, _bytes: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

/// Comma-separated values; null is written as nothing.
pub struct Csv {
    layout: Layout,
    /// Whether the line of column names is still to be written.
    header: bool,
}

impl Csv {
    /// With these columns.
    ///
    /// # Errors
    ///
    /// When one of them holds more than one value a row.
    pub fn new(layout: Layout) -> Result<Self> {
        let schema = layout.schema();
        let values = |kind: &DataType| match kind {
            DataType::Dictionary(_, values) => values.is_nested(),
            kind => kind.is_nested(),
        };
        if let Some(nested) = schema.fields().iter().find(|field| values(field.data_type())) {
            bail!(
                "CSV cannot hold the column {:?}, which has several values a row: say --to jsonl or --to parquet",
                nested.name()
            );
        }
        Ok(Self { layout, header: true })
    }

    fn write(&mut self, table: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        CsvWriter::new().with_header(self.header).build(bytes).write(table)?;
        self.header = false;
        Ok(())
    }
}

impl Encoder for Csv {
    fn encode(&mut self, answered: &Answered, bytes: &mut Vec<u8>) -> Result<()> {
        self.write(&self.layout.table(answered)?, bytes)
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.header { self.write(&RecordBatch::new_empty(self.layout.schema()), bytes) } else { Ok(()) }
    }
}

/// Rows of a Parquet row group: the columns of one are held in memory, compressed, until it is full.
const ROW_GROUP: usize = 65_536;
/// Bytes after which a row group ends, though it has fewer rows.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Parquet, compressed with Snappy.
pub struct Parquet {
    layout: Layout,
    /// Gone once finished.
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl Parquet {
    /// With these columns.
    ///
    /// # Errors
    ///
    /// When Parquet has no such type as one of them.
    pub fn new(layout: Layout) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        let writer = Some(ArrowWriter::try_new(Vec::new(), layout.schema(), Some(properties))?);
        Ok(Self { layout, writer })
    }
}

impl Encoder for Parquet {
    fn encode(&mut self, answered: &Answered, bytes: &mut Vec<u8>) -> Result<()> {
        let writer = self.writer.as_mut().context("the file is finished already")?;
        writer.write(&self.layout.table(answered)?)?;
        // The writer counts what it has written by itself, so that what it wrote to can be emptied.
        bytes.append(writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            bytes.append(&mut writer.into_inner()?);
        }
        Ok(())
    }
}
