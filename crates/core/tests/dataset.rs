//! The prepared data, written and read.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use wellformed_core::dataset::{Domain, Example, read_examples, write_examples};
use wellformed_core::label::Label;

fn example(id: &str, label: Label, domain: Domain, input_ids: Vec<i32>) -> Example {
    let (sentence, source) = (format!("The cat of {id} \u{e9} sleeps."), "ours".to_owned());
    Example { id: id.to_owned(), sentence, label, source, domain, input_ids }
}

fn examples() -> Vec<Example> {
    vec![
        example("one", Label::Acceptable, Domain::In, vec![101, 102]),
        example("two", Label::Unacceptable, Domain::Out, vec![101, 7, 8, 102]),
    ]
}

#[test]
fn examples_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    write_examples(&path, &examples()).unwrap();
    assert_eq!(read_examples(&path).unwrap(), examples());
}

#[test]
fn the_same_examples_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name| {
        let path = folder.path().join(name);
        write_examples(&path, &examples()).unwrap();
        std::fs::read(path).unwrap()
    };
    assert_eq!(write("one.parquet"), write("other.parquet"));
}

#[test]
fn a_file_that_is_missing_or_no_parquet_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    let message = format!("{:#}", read_examples(&path).unwrap_err());
    assert!(message.contains("train.parquet") && message.contains("prepare"), "{message}");
    std::fs::write(&path, "no parquet").unwrap();
    assert!(format!("{:#}", read_examples(&path).unwrap_err()).contains("train.parquet"));
}

#[test]
fn a_sentence_without_tokens_is_refused_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    let mut examples = examples();
    examples[1].input_ids.clear();
    write_examples(&path, &examples).unwrap();
    let message = format!("{:#}", read_examples(&path).unwrap_err());
    assert!(message.contains("row 2 of column input_ids"), "{message}");
}
