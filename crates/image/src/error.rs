//! What can go wrong with an image.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with an image. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing on this machine can do it.
    #[error("{what}: {tried}; {advice}")]
    NoTool {
        /// What was to be done.
        what: &'static str,
        /// What was looked for, and what came of it.
        tried: String,
        /// What to install or to set.
        advice: &'static str,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ended without success.
    #[error("`{command}` failed ({status}):\n{output}")]
    Failed {
        /// The command line; it never holds a secret.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// `read`, `write`, `make` or `unpack`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not in the form that it should be in.
    #[error("{path}: {problem}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        problem: String,
    },
    /// Something that was given is impossible.
    #[error("{0}")]
    Invalid(String),
    /// The registry has another image under this name.
    #[error(
        "{reference} is {found} in the registry, but this image is {ours}: a tag stands for one image for ever, so \
         push under another tag"
    )]
    TagTaken {
        /// Where it was to be pushed.
        reference: String,
        /// The digest there.
        found: String,
        /// The image's own digest.
        ours: String,
    },
    /// The registry says that it holds something else than what was sent.
    #[error("{reference}: pushed {ours}, but the registry gives {found} back")]
    DigestChanged {
        /// Where it was pushed.
        reference: String,
        /// The digest there.
        found: String,
        /// The image's own digest.
        ours: String,
    },
    /// The image's program reported an error before its first event, or ended.
    #[error("the image's program did not get ready: {message}\n{log}")]
    Init {
        /// What it told the Runtime API, or how it ended.
        message: String,
        /// What it wrote.
        log: String,
    },
    /// No answer within the time.
    #[error("no answer within {seconds} s to {what}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The bundle cannot be opened or predicted with.
    #[error("the bundle {path} cannot be used")]
    Bundle {
        /// Its folder.
        path: PathBuf,
        /// Why.
        source: wellformed_infer::Error,
    },
}

/// Adds a path to an input or output error.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::File { action, path: path.to_owned(), source })
    }
}
