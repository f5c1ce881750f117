//! Rows that cannot be meant: each is named, with file, line and reason.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use wellformed_core::dataset::Split;

use crate::support::{Project, cola, stage, table};

/// What is said of an own file of the given form.
fn said_of(name: &str, bytes: &[u8]) -> String {
    Project::new(&[(name, bytes)]).refusal()
}

#[test]
fn every_kind_of_bad_row_is_named_with_file_line_and_reason() {
    let cases: [(&[u8], &str); 12] = [
        (b"A dog barks.\t2", "the label is \"2\", but must be 0 or 1"),
        (b"A dog barks.\t-1", "the label is \"-1\", but must be 0 or 1"),
        (b"A dog barks.\t", "the label is \"\", but must be 0 or 1"),
        (b"1\tA dog barks at the other dog.", "the label is \"A dog barks at the o\u{2026}\", but must be 0 or 1"),
        (b"A dog barks.", "there is 1 column, but the first line names 2"),
        (b"A dog\tbarks.\t1", "there are 3 columns, but the first line names 2"),
        (b"\t1", "the sentence is empty"),
        (b" \xc2\xa0\x08 \t1", "the sentence is empty"),
        (b"A dog \xff barks.\t1", "it is not UTF-8"),
        (b"A dog \0 barks.\t1", "the sentence holds U+0000"),
        (b"A dog \r barks.\t1", "the sentence holds a line break"),
        (b"A dog \xe2\x80\xa8 barks.\t1", "the sentence holds a line break"),
    ];
    for (row, reason) in cases {
        let bytes = [b"sentence\tlabel\nA cat sleeps.\t1\n\n", row, b"\nA cat slept.\t0\n"].concat();
        let said = said_of("corpus/train.tsv", &bytes);
        let wanted = format!("a row of the corpus is wrong:\n  corpus/train.tsv:4: {reason}");
        assert!(said.starts_with(&wanted), "{said}\nwanted: {wanted}");
    }
}

#[test]
fn a_bad_row_of_colas_files_is_named() {
    let mut corpus = cola(&[("aa01", 1, 5), ("aa01", 0, 5)]);
    corpus[2].1.push_str("aa01\t1\tA dog barks.\n\naa01\tx\t\tA dog barks.\n");
    let said = Project::new(&corpus).refusal();
    assert!(said.contains("3 rows of the corpus are wrong"), "{said}");
    assert!(
        said.contains("cola_public/raw/in_domain_dev.tsv:3: there are 3 columns, but CoLA's files have 4"),
        "{said}"
    );
    assert!(said.contains("in_domain_dev.tsv:4: there is 1 column"), "{said}");
    assert!(said.contains("in_domain_dev.tsv:5: the label is \"x\""), "{said}");
}

#[test]
fn a_bad_row_of_a_csv_is_named_by_the_line_it_starts_on() {
    let csv =
        b"sentence,label\r\n\r\n\"A, dog.\",1\r\n\r\n\"two\r\nlines\",1\r\nA cat.,7\r\nA cat,0,x\r\nA \xff cat,0\r\n";
    let said = said_of("corpus/train.csv", csv);
    let wanted = [
        "4 rows of the corpus are wrong:",
        "\n  corpus/train.csv:5: the sentence holds a line break, but must be one line: is a quotation mark not closed?",
        "\n  corpus/train.csv:7: the label is \"7\"",
        "\n  corpus/train.csv:8: there are 3 columns",
        "\n  corpus/train.csv:9: it is not UTF-8",
    ];
    for wanted in wanted {
        assert!(said.contains(wanted), "{said}\nwanted: {wanted}");
    }
}

#[test]
fn a_bad_row_of_a_parquet_file_is_named_by_its_number() {
    let write = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    };
    let sentences: ArrayRef =
        Arc::new(StringArray::from(vec![Some("A cat sleeps."), None, Some("A dog barks."), Some("x")]));
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(0), Some(-1), None]));
    let said = said_of("corpus/train.parquet", &write(vec![("sentence", sentences.clone()), ("label", labels)]));
    assert!(said.contains("\n  corpus/train.parquet, row 2: the sentence is empty"), "{said}");
    assert!(said.contains("\n  corpus/train.parquet, row 3: the label is \"-1\", but must be 0 or 1"), "{said}");
    assert!(said.contains("\n  corpus/train.parquet, row 4: there is no label"), "{said}");

    let labels: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 0.0, 1.0, 0.0]));
    let said = said_of("corpus/train.parquet", &write(vec![("sentence", sentences), ("label", labels)]));
    assert!(said.contains("column `label` is of type Float64, but must be integers, 0 or 1"), "{said}");
    let said = said_of("corpus/train.parquet", b"no Parquet");
    assert!(said.starts_with("corpus/train.parquet: cannot be read"), "{said}");
}

#[test]
fn an_unknown_domain_is_named() {
    let said = said_of("corpus/train.tsv", b"sentence\tlabel\tdomain\nA cat.\t1\tin\nA dog.\t0\toutside\n");
    assert!(said.contains("corpus/train.tsv:3: the domain is \"outside\", but must be in, out or nothing"), "{said}");
}

#[test]
fn missing_columns_and_missing_rows_are_told() {
    let said = said_of("corpus/train.tsv", b"sentence\tjudgement\nA cat.\t1\n");
    assert!(said.starts_with("corpus/train.tsv: the columns `sentence` and `label` are needed"), "{said}");
    assert!(said.ends_with("found: `sentence`, `judgement`"), "{said}");
    for (name, names) in [("corpus/train.tsv", "sentence\tlabel"), ("corpus/train.csv", "sentence,label\n")] {
        let said = said_of(name, b"");
        assert!(said.starts_with(&format!("{name}: the columns `sentence` and `label` are needed")), "{said}");
        assert!(said.ends_with("found: nothing"), "{said}");
        assert_eq!(said_of(name, names.as_bytes()), format!("{name}: there is no row in it"));
    }
}

#[test]
fn ten_bad_rows_are_listed_and_all_are_counted_over_all_files() {
    let bad = |rows: usize| format!("sentence\tlabel\n{}", "A cat sleeps.\tyes\n".repeat(rows));
    let said = Project::new(&[("corpus/train.tsv", bad(9)), ("corpus/validation.tsv", bad(4))]).refusal();
    assert!(said.starts_with("13 rows of the corpus are wrong:\n  corpus/train.tsv:2: "), "{said}");
    assert_eq!(said.matches("the label is").count(), 10);
    assert!(said.contains("corpus/validation.tsv:2: ") && said.contains("\n  … and 3 more\n"), "{said}");
}

#[test]
fn control_characters_are_kept_counted_and_told_of() {
    let train = table(20, 20).replace("mat 7", "m\u{8}at 7");
    let project = Project::own(&train);
    let lines = project.prepare(&stage()).unwrap();
    assert_eq!(project.metrics()["control_characters"], 2);
    let wanted = "kept, with control characters in them: corpus/train.tsv:9, corpus/train.tsv:29";
    assert!(lines.iter().any(|line| line == wanted), "{lines:?}");
    let kept = Split::ALL.map(|split| project.read(split)).concat();
    assert_eq!(kept.iter().filter(|one| one.sentence.contains('\u{8}')).count(), 2);
}
