//! Predictions on the command line, from one sentence to a million.
//!
//! | module | |
//! |---|---|
//! | [`task`] | what is to be done, and the doing of it |
//! | [`input`] | sentences in: arguments, lines, CSV and TSV, Parquet; a chunk of rows at a time |
//! | [`pipeline`] | reading, predicting and writing at the same time, in order, with a fixed number of chunks in memory |
//! | [`verdict`] | what answers: a bundle, with or without the words that weigh |
//! | [`layout`] | the columns of the result: those of the input, then ours |
//! | [`output`] | results out: text, JSON lines, CSV, Parquet |
//!
//! A row of the input gives a row of the result, in its place, whether it could be predicted or not.

pub mod input;
pub mod layout;
pub mod output;
pub mod pipeline;
mod progress;
pub mod task;
pub mod verdict;
