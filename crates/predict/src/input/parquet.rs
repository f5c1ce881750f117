//! Parquet.

use std::collections::BTreeMap;
use std::fs::File;

use anyhow::{Context, Result, bail};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;

use super::{Chunk, Extent, Limits, Source, find_column};

/// Rows of a Parquet file.
pub struct Parquet {
    reader: ParquetRecordBatchReader,
    name: String,
    schema: SchemaRef,
    sentence: usize,
    rows: u64,
    position: u64,
}

impl Parquet {
    /// Reads the metadata of a file; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// When it is not Parquet, is compressed in a way that is not built in, or `column` is missing or holds no text.
    pub fn open(file: File, name: &str, column: &str, limits: Limits) -> Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .with_context(|| format!("{name} cannot be read as Parquet"))?;
        let metadata = builder.metadata();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        for chunk in metadata.row_groups().iter().flat_map(parquet::file::metadata::RowGroupMetaData::columns) {
            if let codec @ (Compression::BROTLI(_) | Compression::LZO) = chunk.compression() {
                bail!(
                    "{name}: column {:?} is compressed with {codec}, which is not built in: write the file again with \
                     Snappy, Zstandard, gzip, LZ4 or no compression",
                    chunk.column_path().string()
                );
            }
        }
        let schema = builder.schema().clone();
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let sentence = find_column(name, &names, column)?;
        let kind = schema.field(sentence).data_type();
        if !is_text(kind) {
            bail!("{name}: the column {column:?} holds {kind}; sentences are text. --column names another");
        }
        let reader = builder
            .with_batch_size(limits.rows)
            .build()
            .with_context(|| format!("{name} cannot be read as Parquet"))?;
        Ok(Self { reader, name: name.to_owned(), schema, sentence, rows, position: 0 })
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl Source for Parquet {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn sentence(&self) -> usize {
        self.sentence
    }

    fn extent(&self) -> Option<Extent> {
        Some(Extent::Rows(self.rows))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let context = || format!("cannot read {}, from row {} on", self.name, self.position + 1);
        let batch = batch.with_context(context)?;
        let columns = batch.with_schema(SchemaRef::clone(&self.schema)).with_context(context)?;
        let sentences = cast(columns.column(self.sentence), &DataType::Utf8).with_context(context)?;
        self.position += columns.num_rows() as u64;
        let sentences = sentences.as_string::<i32>().clone();
        Ok(Some(Chunk { columns, sentences, problems: BTreeMap::new(), position: self.position }))
    }
}
