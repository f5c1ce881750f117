//! Records of predictions after they were written: read, forwarded to Elasticsearch, watched.
//!
//! ```text
//!  lambda ─► CloudWatch ─► forwarder ─┐                      ┌─► dashboards
//!                                     ├─► deliver ─► Elasticsearch ─┐
//!  serve  ─► file ──────► ship ───────┘      (or OpenSearch)        │
//!               └──────────────────────────────────► read ◄─────────┘   ─► drift, reports, labels
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`line`] | a line of a log: a record, something else, or a record that is damaged |
//! | [`cloudwatch`] | lines out of what `CloudWatch` sends and exports |
//! | [`read`] | records from files, standard input and Elasticsearch, as a stream |
//! | [`cluster`] | an Elasticsearch or OpenSearch cluster: where it is, how to log in, one request |
//! | [`bulk`] | records as documents, and what a cluster says of each |
//! | [`deliver`] | documents into a cluster, with patience, each exactly once |
//! | [`forwarder`] | the function in AWS Lambda that delivers what `CloudWatch` sends |
//! | [`ship`] | the command that delivers a log file, and remembers how far it came |
//! | [`assets`] | JSON Schema, index templates and lifecycle policies, made from the record's type |
//! | [`judge`] | what the commands that judge have in common |
//! | [`check`], [`watch`], [`report`] | the commands that judge: once, again and again, as a page |
//! | [`label`], [`candidates`] | the commands that take labels, and that choose what to label |
//! | [`schema`] | the command that writes them |
//! | [`install`] | the command that puts them, the dashboard and the alert rules into their places |
//!
//! Invariant: the name of a document is made of its record alone. So a record that is sent twice, by whichever way,
//! is there once, and whatever was interrupted can simply be sent again.
//!
//! Invariant: no message and no log line of this crate quotes a record's values.

pub mod arguments;
pub mod assets;
pub mod bulk;
pub mod candidates;
pub mod check;
pub mod cloudwatch;
pub mod cluster;
pub mod deliver;
pub mod forwarder;
pub mod install;
pub mod judge;
pub mod label;
pub mod line;
pub mod read;
pub mod report;
pub mod schema;
pub mod ship;
pub mod watch;
