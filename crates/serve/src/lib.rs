//! Predictions over HTTP: an API, metrics, and a page.
//!
//! ```text
//!  connection ─► observe ─► route ─► wire ─► tokenise ─► queue ─► worker threads ─► Model
//!  (server)      (observe)  (api,    (JSON)  (api)       (batching: bounded, by tokens)
//!                            page)
//! ```
//!
//! Everything that is said about a sentence comes from `wellformed-infer`; this crate decides when it is asked, and
//! what happens when too many ask at once. A sentence is never logged, and neither is a query string;
//! records of predictions ([`Records`]) hold sentences only where `WELLFORMED_LOG_TEXT` asks for them.
//!
//! What was answered also goes to the server's own monitor ([`Monitor`]), a thread that holds the last predictions against
//! the bundle's reference profile, for whoever looks at `/monitor`.
//!
//! Invariant: every sentence that was taken into the queue is answered, unless the one who asked has gone.

mod api;
mod assets;
mod batching;
mod lines;
mod log;
mod metrics;
mod model;
mod monitor;
mod observe;
mod page;
mod problem;
mod record;
mod server;
mod settings;
pub mod signals;
mod wire;

pub use log::{Log, LogFormat};
pub use model::Model;
pub use monitor::Monitor;
pub use record::{RecordFile, Records, Reopen};
pub use server::{Ended, Server};
pub use settings::{AllowOrigin, Settings};
