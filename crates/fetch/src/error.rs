//! What can go wrong, told apart as far as a caller acts on it.

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or none that lasts: the network, a server in trouble, a package index out of reach. The same command
    /// may work elsewhere or later.
    #[error("{what} cannot be reached: {cause}{ways_out}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// What happened.
        cause: String,
        /// What a person can do, a line each, with a line break in front; empty until the source is known.
        ways_out: String,
    },
    /// The server answered, and the answer is no.
    #[error("{url}: the server says {status}. {advice}")]
    Refused {
        /// The address, without secrets.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What a person can do.
        advice: String,
    },
    /// A file is not what it must be. It was not kept.
    #[error(transparent)]
    Digest(#[from] Box<WrongDigest>),
    /// Something in the source, or in what params.yaml says of it, is wrong.
    #[error("{what}: {problem}")]
    Input {
        /// The file, the package or the parameter.
        what: String,
        /// What was found, what is expected, what to do.
        problem: String,
    },
    /// A file cannot be read or written here.
    #[error("{0:#}")]
    Local(#[from] anyhow::Error),
}

/// What a file is, and what it must be.
#[derive(Debug, thiserror::Error)]
#[error("{what} has the wrong digest.\n  {kind} found:  {found}\n  {kind} wanted: {wanted} ({by})\n{advice}")]
pub struct WrongDigest {
    /// The file.
    pub what: String,
    /// `sha256` or `git blob sha1`.
    pub kind: &'static str,
    /// What it is, in hexadecimal.
    pub found: String,
    /// What it must be, in hexadecimal.
    pub wanted: String,
    /// Who wants that.
    pub by: String,
    /// What a person can do.
    pub advice: String,
}

impl FetchError {
    /// The exit code of the binary: 3 when a source cannot be reached, so that a caller may fall back; 1 when
    /// something is wrong and no fallback should hide it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 3,
            _ => 1,
        }
    }

    pub(crate) fn unreachable(what: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::Unreachable { what: what.into(), cause: cause.into(), ways_out: String::new() }
    }

    pub(crate) fn input(what: impl ToString, problem: impl Into<String>) -> Self {
        Self::Input { what: what.to_string(), problem: problem.into() }
    }

    /// Adds what a person can do when a source is out of reach.
    #[must_use]
    pub(crate) fn with_ways_out(self, ways: &[String]) -> Self {
        match self {
            Self::Unreachable { what, cause, .. } => {
                let lines: Vec<String> = ways.iter().map(|way| format!("\n  - {way}")).collect();
                Self::Unreachable { what, cause, ways_out: format!("\nWays out:{}", lines.concat()) }
            }
            other => other,
        }
    }
}
