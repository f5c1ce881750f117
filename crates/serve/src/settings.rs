//! What can be chosen about a server.

use std::time::Duration;

use axum::http::HeaderValue;

/// What can be chosen about a server. The binary's `--help` explains each.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that predict, each a batch of its own. At least 1.
    pub threads: usize,
    /// Tokens that a batch may have. A batch has at least one sentence, however long. The predictor computes about 100
    /// at a time, so larger batches gain nothing and let their first sentences wait for their last.
    pub batch_tokens: usize,
    /// The longest that a sentence waits for others while the server is busy.
    pub window: Duration,
    /// Sentences that may wait.
    pub queue_sentences: usize,
    /// Tokens that may wait.
    pub queue_tokens: usize,
    /// Sentences that one request may have.
    pub max_sentences: usize,
    /// Bytes that a request's body may have.
    pub max_body: usize,
    /// Connections that are open at once; others wait to be accepted.
    pub max_connections: usize,
    /// From a request's head to its answer.
    pub timeout: Duration,
    /// The longest wait for a request's head on an open connection, between requests too.
    pub head_timeout: Duration,
    /// How long a server that was told to stop says so at `/health/ready` before it stops accepting.
    pub shutdown_delay: Duration,
    /// The longest that a stopping server works on what it has accepted.
    pub shutdown_timeout: Duration,
    /// Whose pages may read the answers.
    pub allow_origin: AllowOrigin,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: 1,
            batch_tokens: 96,
            window: Duration::from_millis(1),
            queue_sentences: 1024,
            queue_tokens: 65_536,
            max_sentences: 256,
            max_body: 256 << 10,
            max_connections: 1024,
            timeout: Duration::from_secs(30),
            head_timeout: Duration::from_mins(1),
            shutdown_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(30),
            allow_origin: AllowOrigin::Nobody,
        }
    }
}

/// Whose pages may read the answers, besides the server's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowOrigin {
    /// No other page.
    #[default]
    Nobody,
    /// Pages of these origins, such as `https://example.org`.
    These(Vec<HeaderValue>),
    /// Every page.
    Everybody,
}
