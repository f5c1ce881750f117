//! Tables of sentences: recognised and checked as far as a file can be wrong altogether. Rows are `prepare`'s business.
//!
//! - TSV and CSV are UTF-8 and start with a line of column names, `sentence` and `label` among them (`source` and
//!   `domain` may be). In TSV a row is a line and nothing is quoted; CSV is as RFC 4180 has it.
//! - CoLA's own form is recognised too: TSV with four columns (source, label, mark, sentence) and no line of names.
//!   It is turned into the form above, so that there is one form to read afterwards.
//! - Parquet has a column `sentence` of strings and a column `label` of integers.

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::FetchError;

/// How a table is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Tsv,
    Csv,
    Parquet,
}

impl Form {
    const ALL: [Self; 3] = [Self::Tsv, Self::Csv, Self::Parquet];

    /// The form that the file's name promises.
    pub(crate) fn of(path: &Path) -> Result<Self, FetchError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let form = Self::ALL.into_iter().find(|form| extension.eq_ignore_ascii_case(form.extension()));
        form.ok_or_else(|| FetchError::input(path.display(), "the file's name must end in .tsv, .csv or .parquet"))
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The file of a split in a folder: `train.tsv`, `train.csv` or `train.parquet`. Two of them are a mistake.
pub(crate) fn find(folder: &Path, split: &str) -> Result<Option<PathBuf>, FetchError> {
    let mut found = Form::ALL.into_iter().map(|form| folder.join(format!("{split}.{}", form.extension())));
    let mut found = found.by_ref().filter(|path| path.is_file());
    let first = found.next();
    if let (Some(one), Some(other)) = (&first, found.next()) {
        let problem = format!("beside it lies {}; which one is it? Move one away", other.display());
        return Err(FetchError::input(one.display(), problem));
    }
    Ok(first)
}

/// The names of files in a folder that look like tables and are not read.
pub(crate) fn ignored(folder: &Path) -> Result<Vec<String>, FetchError> {
    let unreadable = |error: std::io::Error| FetchError::input(folder.display(), format!("cannot be read: {error}"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if Form::of(&path).is_ok() && !["train", "validation"].contains(&stem) {
            names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// Checks a table and returns it as it is packed; `what` names it in messages.
pub(crate) fn check(what: &str, form: Form, bytes: &[u8]) -> Result<Vec<u8>, FetchError> {
    match form {
        Form::Parquet => {
            let mut batches = read_parquet(what, bytes)?;
            match batches.next() {
                None => Err(FetchError::input(what, "it has no rows")),
                Some(Err(error)) => Err(FetchError::input(what, format!("cannot be read: {error}"))),
                Some(Ok(_)) => Ok(bytes.to_vec()),
            }
        }
        Form::Tsv | Form::Csv => {
            let text = utf8(what, bytes)?;
            let Some(first) = text.lines().next() else {
                return Err(FetchError::input(what, "it is empty"));
            };
            if form == Form::Tsv && is_cola(first) {
                return cola_rows(what, text);
            }
            columns(what, form, first)?;
            if text.lines().nth(1).is_none() {
                return Err(FetchError::input(what, "it has no rows after the line of column names"));
            }
            Ok(text.as_bytes().to_vec())
        }
    }
}

/// The sentences of a table, in order; `None` for `form` is CoLA's own form.
pub(crate) fn sentences(what: &str, form: Option<Form>, bytes: &[u8]) -> Result<Vec<String>, FetchError> {
    let missing = |line: usize| FetchError::input(format!("{what}:{line}"), "the row has no sentence");
    match form {
        None => {
            let rows = utf8(what, bytes)?.lines().enumerate();
            rows.map(|(index, row)| Ok(row.split('\t').nth(3).ok_or_else(|| missing(index + 1))?.to_owned())).collect()
        }
        Some(Form::Tsv) => {
            let mut lines = utf8(what, bytes)?.lines().enumerate();
            let column = columns(what, Form::Tsv, lines.next().map_or("", |(_, names)| names))?;
            lines
                .map(|(index, row)| Ok(row.split('\t').nth(column).ok_or_else(|| missing(index + 1))?.to_owned()))
                .collect()
        }
        Some(Form::Csv) => {
            let mut reader = csv::ReaderBuilder::new().from_reader(utf8(what, bytes)?.as_bytes());
            let unreadable = |error: csv::Error| FetchError::input(what, format!("cannot be read: {error}"));
            let names: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(str::to_owned).collect();
            let column = column(what, &names)?;
            reader
                .records()
                .map(|row| Ok(row.map_err(unreadable)?.get(column).unwrap_or_default().to_owned()))
                .collect()
        }
        Some(Form::Parquet) => {
            let unreadable =
                |error: &dyn std::fmt::Display| FetchError::input(what, format!("cannot be read: {error}"));
            let mut all = Vec::new();
            for batch in read_parquet(what, bytes)? {
                let batch = batch.map_err(|error| unreadable(&error))?;
                let column = batch.column_by_name("sentence").ok_or_else(|| unreadable(&"no column `sentence`"))?;
                let column = cast(column, &DataType::Utf8).map_err(|error| unreadable(&error))?;
                let texts = column.as_string::<i32>();
                all.extend(texts.iter().flatten().map(str::to_owned));
            }
            Ok(all)
        }
    }
}

/// UTF-8 without the byte order mark that some spreadsheets write.
fn utf8<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, FetchError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        FetchError::input(format!("{what}:{line}"), "it is not UTF-8; save the file in that encoding")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The position of `sentence` among the column names of a TSV's or CSV's first line.
fn columns(what: &str, form: Form, first: &str) -> Result<usize, FetchError> {
    let names: Vec<String> = if form == Form::Tsv {
        first.split('\t').map(str::to_owned).collect()
    } else {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(first.as_bytes());
        let record = reader.records().next().transpose().ok().flatten().unwrap_or_default();
        record.iter().map(str::to_owned).collect()
    };
    column(what, &names)
}

fn column(what: &str, names: &[String]) -> Result<usize, FetchError> {
    let position = |wanted: &str| names.iter().position(|name| name == wanted);
    let (sentence, label) = (position("sentence"), position("label"));
    if let (Some(sentence), Some(_)) = (sentence, label) {
        return Ok(sentence);
    }
    let found = names.iter().map(|name| shorten(name)).collect::<Vec<_>>().join(", ");
    let missing: Vec<&str> = [("sentence", sentence), ("label", label)]
        .into_iter()
        .filter_map(|(name, position)| position.is_none().then_some(name))
        .collect();
    let problem = format!(
        "the first line must name the columns, `sentence` and `label` among them; missing: {}; found: {found}",
        missing.join(", ")
    );
    Err(FetchError::input(what, problem))
}

fn shorten(name: &str) -> String {
    let short: String = name.chars().take(40).collect();
    if short == name { format!("`{name}`") } else { format!("`{short}…`") }
}

/// Four columns with a label in the second: a row of CoLA's files, which have no line of names.
fn is_cola(first: &str) -> bool {
    let columns: Vec<&str> = first.split('\t').collect();
    columns.len() == 4 && matches!(columns[1], "0" | "1")
}

/// CoLA's rows under a line of names.
fn cola_rows(what: &str, text: &str) -> Result<Vec<u8>, FetchError> {
    let mut rows = "sentence\tlabel\tsource\n".to_owned();
    for (index, line) in text.lines().enumerate() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [source, label, _, sentence] = columns[..] else {
            let problem = format!(
                "the file starts in CoLA's form, four columns (source, label, mark, sentence) without a line of names, \
                 but this line has {}",
                columns.len()
            );
            return Err(FetchError::input(format!("{what}:{}", index + 1), problem));
        };
        rows.extend([sentence, "\t", label, "\t", source, "\n"]);
    }
    Ok(rows.into_bytes())
}

/// A reader of a Parquet table whose columns have been checked.
fn read_parquet(what: &str, bytes: &[u8]) -> Result<ParquetRecordBatchReader, FetchError> {
    let unreadable = |error: parquet::errors::ParquetError| FetchError::input(what, format!("is not Parquet: {error}"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).map_err(unreadable)?;
    let schema = reader.schema();
    let kind = |name: &str| schema.field_with_name(name).map(|field| field.data_type().clone());
    let found = || {
        schema
            .fields()
            .iter()
            .map(|field| format!("`{}` ({})", field.name(), field.data_type()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let text = matches!(
        kind("sentence"),
        Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _))
    );
    let integer = kind("label").is_ok_and(|kind| kind.is_integer());
    if !text || !integer {
        let problem =
            format!("it must have a column `sentence` of strings and a column `label` of integers; found: {}", found());
        return Err(FetchError::input(what, problem));
    }
    reader.build().map_err(unreadable)
}
