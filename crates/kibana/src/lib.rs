//! What people look at, and what wakes them: dashboards and alert rules over the prediction records in Elasticsearch
//! or OpenSearch.
//!
//! A panel is written once, as a [`panel::Panel`], and everything else follows from it:
//!
//! | module | what comes of it |
//! |---|---|
//! | [`field`], [`filter`], [`panel`] | the vocabulary: fields with their types, conditions, charts |
//! | [`dashboard`] | the panels of the dashboard and where each lies |
//! | [`lens`] | a panel as Kibana 8 keeps it: a Lens visualisation or a saved search |
//! | [`classic`] | the same panel for OpenSearch Dashboards, which has no Lens |
//! | [`request`] | the search that the panel sends, and the table that it draws of the answer |
//! | [`saved_object`], [`assets`] | the files in `monitoring/` |
//! | [`verdict`] | the documents of the index `wellformed-verdicts`, and its template |
//! | [`alert`] | rules for Kibana's alerting |
//! | [`mapping`], [`check`] | what an importing server would refuse, found without one |
//! | [`install`] | puts all of it in place, through a server that the caller brings: no module here opens a connection |

pub mod alert;
pub mod assets;
pub mod check;
pub mod classic;
pub mod dashboard;
pub mod field;
pub mod filter;
pub mod install;
pub mod lens;
pub mod mapping;
pub mod panel;
pub mod request;
pub mod saved_object;
pub mod verdict;

pub use dashboard::panels;
