//! What can go wrong.

use std::path::PathBuf;

/// Why a bundle could not be opened or a sentence not be predicted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the bundle is missing or cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the bundle is not what it must be.
    #[error("{path}: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected, what to do.
        problem: String,
    },
    /// The text is empty, or only white space.
    #[error("the sentence is empty")]
    Empty,
    /// A word was to be masked, but the vocabulary has no `[MASK]` or its like.
    #[error("the bundle's vocabulary has no token for a masked word, such as [MASK]; leave words out instead")]
    NoMask,
    /// The tokenizer gave up on a text.
    #[error("cannot tokenise: {problem}")]
    Tokenizer {
        /// Why.
        problem: String,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {problem}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why it failed.
        problem: String,
    },
}

impl Error {
    pub(crate) fn tokenizer(problem: impl ToString) -> Self {
        Self::Tokenizer { problem: problem.to_string() }
    }
}
