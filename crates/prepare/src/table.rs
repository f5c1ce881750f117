//! The rows of one table, each checked.
//!
//! - CoLA's own form: four columns (source, label, the author's mark, sentence), no line of names, nothing quoted.
//! - TSV and CSV with a line of column names: `sentence` and `label`, perhaps `source` and `domain`. In TSV a row is a
//!   line and nothing is quoted; CSV is as RFC 4180 has it. Empty lines are passed over.
//! - Parquet with the same columns.
//!
//! Labels are 0 and 1. A sentence has something in it and is one line. Control characters are a defect, but three
//! sentences of CoLA itself have them, and BERT's tokenizers drop them: such rows are kept, and told of.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wellformed_core::dataset::Domain;
use wellformed_core::label::Label;

use crate::error::{BadRows, Place, PrepareError};

/// How a table is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Cola,
    Tsv,
    Csv,
    Parquet,
}

/// A row that passed.
#[derive(Debug)]
pub(crate) struct Row {
    /// Counted from 1, without the line of names.
    pub(crate) number: usize,
    pub(crate) sentence: String,
    pub(crate) label: Label,
    pub(crate) source: Option<String>,
    pub(crate) domain: Option<Domain>,
}

/// What was found on the way, over all tables.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) bad: BadRows,
    /// Rows with control characters.
    pub(crate) controls: Vec<Place>,
}

/// A row as it stands in the file.
#[derive(Default)]
struct Raw<'a> {
    sentence: Option<&'a str>,
    label: Option<&'a str>,
    source: Option<&'a str>,
    domain: Option<&'a str>,
}

/// The rows of a table. Rows that did not pass are in `findings`.
pub(crate) fn read(file: &str, form: Form, bytes: &[u8], findings: &mut Findings) -> Result<Vec<Row>, PrepareError> {
    let mut table = Table { rows: Vec::new(), number: 0, findings };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match form {
        Form::Cola => table.cola(file, text),
        Form::Tsv => table.tsv(file, text)?,
        Form::Csv => table.csv(file, text)?,
        Form::Parquet => table.parquet(file, bytes)?,
    }
    if table.number == 0 {
        return Err(PrepareError::input(file, "there is no row in it"));
    }
    Ok(table.rows)
}

struct Table<'a> {
    rows: Vec<Row>,
    number: usize,
    findings: &'a mut Findings,
}

impl Table<'_> {
    fn cola(&mut self, file: &str, bytes: &[u8]) {
        for (line, row) in lines(bytes) {
            self.add(Place::Line { file: file.to_owned(), line }, fields(row), |columns| match columns[..] {
                [source, label, _, sentence] => {
                    Ok(Raw { sentence: Some(sentence), label: Some(label), source: Some(source), domain: None })
                }
                _ => Err(format!(
                    "{}, but CoLA's files have 4: source, label, the author's mark, sentence",
                    count(columns.len())
                )),
            });
        }
    }

    fn tsv(&mut self, file: &str, bytes: &[u8]) -> Result<(), PrepareError> {
        let mut lines = lines(bytes);
        let names = lines.next().map(|(_, names)| fields(names)).transpose();
        let names = names.map_err(|problem| PrepareError::input(file, problem))?.unwrap_or_default();
        let columns = Columns::find(file, &names)?;
        for (line, row) in lines.filter(|(_, row)| !row.trim_ascii().is_empty()) {
            self.add(Place::Line { file: file.to_owned(), line }, fields(row), |row| columns.pick(row));
        }
        Ok(())
    }

    fn csv(&mut self, file: &str, bytes: &[u8]) -> Result<(), PrepareError> {
        let unreadable = |error: csv::Error| PrepareError::input(file, format!("cannot be read: {error}"));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut columns = None;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(unreadable)? {
            let fields: Result<Vec<&str>, String> = record.iter().map(utf8).collect();
            let Some(columns) = &columns else {
                let names = fields.map_err(|problem| PrepareError::input(file, problem))?;
                columns = Some(Columns::find(file, &names)?);
                continue;
            };
            let line = record.position().map_or(0, |position| line_of(bytes, position));
            self.add(Place::Line { file: file.to_owned(), line }, fields, |row| columns.pick(row));
        }
        if columns.is_none() {
            Columns::find(file, &[])?;
        }
        Ok(())
    }

    fn parquet(&mut self, file: &str, bytes: &[u8]) -> Result<(), PrepareError> {
        let unreadable = |error: &dyn std::fmt::Display| PrepareError::input(file, format!("cannot be read: {error}"));
        let bytes = Bytes::copy_from_slice(bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| unreadable(&error))?;
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = Columns::find(file, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        for batch in reader.build().map_err(|error| unreadable(&error))? {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let column = |position: usize, kind: DataType, wanted: &str| -> Result<ArrayRef, PrepareError> {
                let array = batch.column(position);
                let found = array.data_type();
                let sound = if kind == DataType::Utf8 {
                    matches!(
                        found,
                        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _)
                    )
                } else {
                    found.is_integer()
                };
                let wrong = || {
                    PrepareError::input(
                        file,
                        format!("column `{}` is of type {found}, but must be {wanted}", names[position]),
                    )
                };
                if sound { cast(array, &kind).map_err(|_| wrong()) } else { Err(wrong()) }
            };
            let text = |position| column(position, DataType::Utf8, "text");
            let sentences = text(columns.sentence)?;
            let labels = column(columns.label, DataType::Int64, "integers, 0 or 1")?;
            let sources = columns.source.map(text).transpose()?;
            let domains = columns.domain.map(text).transpose()?;
            for at in 0..batch.num_rows() {
                let labels = labels.as_primitive::<Int64Type>();
                let label = labels.is_valid(at).then(|| labels.value(at).to_string());
                let value =
                    |array: &ArrayRef| array.is_valid(at).then(|| array.as_string::<i32>().value(at).to_owned());
                let (sentence, source) = (value(&sentences), sources.as_ref().and_then(value));
                let domain = domains.as_ref().and_then(value);
                let place = Place::Row { file: file.to_owned(), row: self.number + 1 };
                self.add(place, Ok(Vec::new()), |_| {
                    Ok(Raw {
                        sentence: sentence.as_deref(),
                        label: label.as_deref(),
                        source: source.as_deref(),
                        domain: domain.as_deref(),
                    })
                });
            }
        }
        Ok(())
    }

    /// Counts a row, and keeps it or says what is wrong with it.
    fn add<'r>(
        &mut self,
        place: Place,
        fields: Result<Vec<&'r str>, String>,
        pick: impl FnOnce(&[&'r str]) -> Result<Raw<'r>, String>,
    ) {
        self.number += 1;
        let number = self.number;
        let row = fields.and_then(|fields| check(number, &pick(&fields)?));
        match row {
            Ok(row) => {
                if row.sentence.chars().any(is_control) {
                    self.findings.controls.push(place);
                }
                self.rows.push(row);
            }
            Err(reason) => self.findings.bad.add(place, reason),
        }
    }
}

/// The lines of a file, counted from 1, without their ends. The last may or may not end in a line break.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = whole.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // An empty file splits into one empty line.
    (1..).zip(lines).filter(move |_| !bytes.is_empty())
}

fn fields(line: &[u8]) -> Result<Vec<&str>, String> {
    Ok(utf8(line)?.split('\t').collect())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8; save the file in that encoding".to_owned())
}

/// The line of a record. The reader's own count stands before the empty lines that it passes over.
fn line_of(bytes: &[u8], position: &csv::Position) -> usize {
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let passed = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|byte| **byte == b'\n');
    position.line() as usize + passed.count()
}

/// Where the columns are.
struct Columns {
    sentence: usize,
    label: usize,
    source: Option<usize>,
    domain: Option<usize>,
    all: usize,
}

impl Columns {
    fn find(file: &str, names: &[&str]) -> Result<Self, PrepareError> {
        let position = |wanted: &str| names.iter().position(|name| *name == wanted);
        let (Some(sentence), Some(label)) = (position("sentence"), position("label")) else {
            let found: Vec<String> = names.iter().map(|name| format!("`{}`", shorten(name))).collect();
            let problem = format!(
                "the columns `sentence` and `label` are needed, named in the first line of a text file; found: {}",
                if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
            );
            return Err(PrepareError::input(file, problem));
        };
        Ok(Self { sentence, label, source: position("source"), domain: position("domain"), all: names.len() })
    }

    fn pick<'r>(&self, row: &[&'r str]) -> Result<Raw<'r>, String> {
        if row.len() != self.all {
            return Err(format!("{}, but the first line names {}", count(row.len()), self.all));
        }
        let at = |position: Option<usize>| position.and_then(|position| row.get(position).copied());
        Ok(Raw {
            sentence: at(Some(self.sentence)),
            label: at(Some(self.label)),
            source: at(self.source),
            domain: at(self.domain),
        })
    }
}

fn check(number: usize, raw: &Raw<'_>) -> Result<Row, String> {
    let label = match raw.label.map(str::trim) {
        Some("0") => Label::Unacceptable,
        Some("1") => Label::Acceptable,
        Some(other) => return Err(format!("the label is {:?}, but must be 0 or 1", shorten(other))),
        None => return Err("there is no label; it must be 0 or 1".to_owned()),
    };
    let sentence = raw.sentence.unwrap_or_default();
    one_line("sentence", sentence)?;
    if sentence.chars().all(|character| character.is_whitespace() || character.is_control()) {
        return Err("the sentence is empty".to_owned());
    }
    let source = raw.source.map(str::trim).filter(|source| !source.is_empty());
    one_line("source", source.unwrap_or_default())?;
    let domain = match raw.domain.map(str::trim) {
        None | Some("") => None,
        Some(name) => Some(
            Domain::from_name(name)
                .ok_or_else(|| format!("the domain is {:?}, but must be in, out or nothing", shorten(name)))?,
        ),
    };
    Ok(Row { number, sentence: sentence.to_owned(), label, source: source.map(str::to_owned), domain })
}

fn one_line(name: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!("the {name} holds U+0000: is the file UTF-16, or no text at all?"));
    }
    if text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err(format!("the {name} holds a line break, but must be one line: is a quotation mark not closed?"));
    }
    Ok(())
}

fn is_control(character: char) -> bool {
    character.is_control() && character != '\t'
}

fn count(columns: usize) -> String {
    if columns == 1 { "there is 1 column".to_owned() } else { format!("there are {columns} columns") }
}

/// What a value in the wrong place may show of itself: it could be a sentence.
fn shorten(text: &str) -> String {
    let short: String = text.chars().take(20).collect();
    if short == text { short } else { format!("{short}…") }
}
