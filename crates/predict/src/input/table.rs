//! CSV and TSV with a line of column names.
//!
//! Records are as the `csv` crate reads them: lines with nothing in them are no records. All values are text, and pass
//! through as they are.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::{Chunk, Extent, Limits, Source, disguise, find_column};

/// Rows of a CSV or TSV stream.
pub struct Table {
    reader: csv::Reader<Guard>,
    name: String,
    extent: Option<Extent>,
    limits: Limits,
    schema: SchemaRef,
    sentence: usize,
}

impl Table {
    /// Reads the column names of a stream; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// When there is no line of names, or `column` is not among them.
    pub fn open(
        stream: Box<dyn Read + Send>,
        name: &str,
        extent: Option<Extent>,
        delimiter: u8,
        column: &str,
        limits: Limits,
    ) -> Result<Self> {
        let mut stream = BufReader::with_capacity(64 << 10, stream);
        let first = stream.fill_buf().with_context(|| format!("cannot read {name}"))?;
        if let Some(what) = disguise(first) {
            bail!("{name} {what}");
        }
        let guard = Guard { stream, since: 0, most: limits.record_bytes };
        let mut reader = ReaderBuilder::new().delimiter(delimiter).quoting(delimiter == b',').from_reader(guard);
        let header = reader.byte_headers().map_err(|error| said(name, 1, error))?;
        if header.is_empty() {
            bail!("{name} is empty: a line with the names of the columns was expected");
        }
        let names: Result<Vec<String>, _> = header.iter().map(|name| String::from_utf8(name.to_vec())).collect();
        let names = names.map_err(|_| anyhow!("{name}: the column names are not UTF-8: convert the file first"))?;
        let sentence = find_column(name, &names, column)?;
        let fields: Vec<Field> = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { reader, name: name.to_owned(), extent, limits, schema, sentence })
    }
}

impl Source for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn sentence(&self) -> usize {
        self.sentence
    }

    fn extent(&self) -> Option<Extent> {
        self.extent
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut columns: Vec<StringBuilder> = self.schema.fields().iter().map(|_| StringBuilder::new()).collect();
        let mut problems = BTreeMap::new();
        let (mut rows, mut bytes) = (0, 0);
        let mut record = ByteRecord::new();
        while rows < self.limits.rows && bytes < self.limits.chunk_bytes {
            self.reader.get_mut().since = 0;
            let line = self.reader.position().line();
            if !self.reader.read_byte_record(&mut record).map_err(|error| said(&self.name, line, error))? {
                break;
            }
            for (at, value) in record.iter().enumerate() {
                let text = String::from_utf8_lossy(value);
                if let std::borrow::Cow::Owned(_) = text {
                    let line = record.position().map_or(line, csv::Position::line);
                    let column = self.schema.field(at).name();
                    problems.entry(rows).or_insert_with(|| {
                        format!(
                            "line {line}: the column {column:?} is not UTF-8: convert the input first, for example with \
                             `iconv -f WINDOWS-1252 -t UTF-8`"
                        )
                    });
                }
                columns[at].append_value(text);
                bytes += value.len();
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let sentences = columns[self.sentence].as_string::<i32>().clone();
        let columns = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Some(Chunk { columns, sentences, problems, position: self.reader.position().byte() }))
    }
}

/// What went wrong in reading, with what to do about it.
fn said(name: &str, line: u64, error: csv::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => anyhow!(
            "{name}, line {}: {len} values, but there are {expected_len} columns; is a quotation mark or a delimiter \
             missing, or is it another format (see --format-in)?",
            pos.as_ref().map_or(line, csv::Position::line)
        ),
        ErrorKind::Io(error) => anyhow!("cannot read {name}, from line {line} on: {error}"),
        _ => anyhow!(error).context(format!("cannot read {name}, from line {line} on")),
    }
}

/// A stream that gives no more than so many bytes to one record.
struct Guard {
    stream: BufReader<Box<dyn Read + Send>>,
    /// Bytes since the last record.
    since: usize,
    most: usize,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since > self.most {
            let problem = format!("a record of more than {} bytes; is a quotation mark not closed?", self.most);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let count = self.stream.read(buffer)?;
        self.since += count;
        Ok(count)
    }
}
