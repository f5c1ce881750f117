//! What can go wrong: something in the corpus, something in the tokenizer, something here.

use std::fmt;

/// How many bad rows a message lists; the others are counted.
pub const LISTED: usize = 10;

/// Why the corpus could not be prepared. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// An input is missing, or is altogether something else.
    #[error("{file}: {problem}")]
    Input {
        /// The file; a file inside an archive follows the archive's name.
        file: String,
        /// What was found, what is expected, what to do.
        problem: String,
    },
    /// Rows that cannot be meant.
    #[error(transparent)]
    Rows(#[from] BadRows),
    /// The corpus is sound but too small, or says the same of every sentence.
    #[error("the corpus cannot be split: {0}")]
    Split(String),
    /// A file cannot be read or written here.
    #[error("{0:#}")]
    Local(#[from] anyhow::Error),
}

impl PrepareError {
    pub(crate) fn input(file: impl ToString, problem: impl Into<String>) -> Self {
        Self::Input { file: file.to_string(), problem: problem.into() }
    }
}

/// All bad rows of the corpus: the first [`LISTED`] by name, and how many there are.
#[derive(Debug, Default)]
pub struct BadRows {
    /// The first of them.
    pub listed: Vec<BadRow>,
    /// How many there are altogether.
    pub total: usize,
}

impl BadRows {
    pub(crate) fn add(&mut self, place: Place, reason: String) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(BadRow { place, reason });
        }
    }
}

impl std::error::Error for BadRows {}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            1 => write!(f, "a row of the corpus is wrong:")?,
            total => write!(f, "{total} rows of the corpus are wrong:")?,
        }
        for row in &self.listed {
            write!(f, "\n  {}: {}", row.place, row.reason)?;
        }
        if self.total > self.listed.len() {
            write!(f, "\n  … and {} more", self.total - self.listed.len())?;
        }
        write!(
            f,
            "\nCorrect them (the corpus is where data.source of params.yaml points; fetch again then), and prepare again."
        )
    }
}

/// A row that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Where it stands.
    pub place: Place,
    /// What was found and what is expected.
    pub reason: String,
}

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a text file.
    Line {
        /// The file's name inside the archive.
        file: String,
        /// The line on which the row starts, from 1.
        line: usize,
    },
    /// In a Parquet file.
    Row {
        /// The file's name inside the archive.
        file: String,
        /// The row, from 1.
        row: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Row { file, row } => write!(f, "{file}, row {row}"),
        }
    }
}
