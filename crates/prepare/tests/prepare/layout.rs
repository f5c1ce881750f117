//! Which tables are in the archive, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use wellformed_core::dataset::{Domain, Split};
use wellformed_core::label::Label;
use wellformed_prepare::phenomena;

use crate::support::{Project, cola, stage, table};

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A table as GLUE's, of `rows` rows.
fn glue(rows: usize, word: &str) -> Vec<u8> {
    let sentences: Vec<String> = (0..rows).map(|n| format!("The {word} sleeps in house {n}.")).collect();
    let labels: Vec<i64> = (0..rows).map(|n| i64::from(n % 3 != 0)).collect();
    parquet(vec![
        ("sentence", Arc::new(StringArray::from(sentences)) as ArrayRef),
        ("label", Arc::new(Int64Array::from(labels))),
        ("idx", Arc::new(Int32Array::from_iter_values(0..rows as i32))),
    ])
}

#[test]
fn colas_archive_becomes_train_tune_and_validation_in_and_out_of_domain() {
    let project = Project::new(&cola(&[("aa01", 1, 20), ("aa01", 0, 10)]));
    project.prepare(&stage()).unwrap();
    let (train, tune) = (project.read(Split::Train), project.read(Split::Tune));
    assert_eq!((train.len(), tune.len()), (24, 6));
    assert!(train.iter().chain(&tune).all(|one| one.domain == Domain::In && one.source == "aa01"));
    let seen: Vec<_> = project
        .read(Split::Validation)
        .into_iter()
        .map(|one| (one.id, one.sentence, one.label, one.source, one.domain))
        .collect();
    let row = |id: &str, sentence: &str, label, source: &str, domain| {
        (id.to_owned(), sentence.to_owned(), label, source.to_owned(), domain)
    };
    let expected = [
        // A quotation mark is a character like any other, and the last line has no end.
        row("in_domain_dev-1", "She \"read\" a book.", Label::Acceptable, "aa01", Domain::In),
        row("in_domain_dev-2", "She read book a.", Label::Unacceptable, "aa01", Domain::In),
        row("out_of_domain_dev-1", "Read the was book.", Label::Unacceptable, "zz09", Domain::Out),
        row("out_of_domain_dev-2", "The book was read", Label::Acceptable, "zz09", Domain::Out),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn glues_validation_set_is_divided_into_domains_by_position() {
    let record = r#"{"source": "glue"}"#.as_bytes().to_vec();
    let (train, validation) = (glue(50, "dog"), glue(1043, "cat"));
    let corpus = |validation| {
        [
            ("corpus/source.json", record.clone()),
            ("corpus/train.parquet", train.clone()),
            ("corpus/validation.parquet", validation),
        ]
    };
    let project = Project::new(&corpus(validation));
    project.prepare(&stage()).unwrap();
    let validation = project.read(Split::Validation);
    let (within, without) = validation.split_at(527);
    assert!(within.iter().all(|one| one.domain == Domain::In && one.source == "glue"));
    assert!(without.iter().all(|one| one.domain == Domain::Out && one.source == "glue"));
    assert_eq!((without.len(), without[0].id.as_str()), (516, "validation-528"));

    let said = Project::new(&corpus(glue(1042, "cat"))).refusal();
    assert!(said.contains("corpus/validation.parquet: 1042 rows, but GLUE's validation set has 1043"), "{said}");
}

#[test]
fn own_tsv_csv_and_parquet_say_the_same() {
    let tsv = "\u{feff}label\tsentence\tsource\tdomain\r\n1\tThe dog, \"he\" barks.\tbook\tout\r\n\r\n0\tDog the barks.\t\t\r\n";
    let csv = "sentence,source,label,domain\n\"The dog, \"\"he\"\" barks.\",book, 1 ,out\n\nDog the barks.,,0,\n";
    let table_of = parquet(vec![
        ("domain", Arc::new(StringArray::from(vec![Some("out"), None])) as ArrayRef),
        ("label", Arc::new(Int32Array::from(vec![1, 0]))),
        ("sentence", Arc::new(LargeStringArray::from(vec!["The dog, \"he\" barks.", "Dog the barks."]))),
        ("source", Arc::new(StringArray::from(vec![Some("book"), None]))),
    ]);
    let forms = [("tsv", tsv.as_bytes().to_vec()), ("csv", csv.as_bytes().to_vec()), ("parquet", table_of)];
    for (extension, bytes) in forms {
        let name = format!("corpus/validation.{extension}");
        let train = table(6, 6).into_bytes();
        let project = Project::new(&[("corpus/train.tsv", train), (name.as_str(), bytes)]);
        project.prepare(&stage()).unwrap();
        let seen: Vec<_> = project
            .read(Split::Validation)
            .into_iter()
            .map(|one| (one.id, one.sentence, one.label.index(), one.source, one.domain.name()))
            .collect();
        let expected = [
            ("validation-1".to_owned(), "The dog, \"he\" barks.".to_owned(), 1, "book".to_owned(), "out"),
            ("validation-2".to_owned(), "Dog the barks.".to_owned(), 0, "validation".to_owned(), "in"),
        ];
        assert_eq!(seen, expected, "{extension}");
    }
}

#[test]
fn a_corpus_without_validation_has_one_cut_out() {
    let project = Project::own(&table(60, 40));
    project.prepare(&stage()).unwrap();
    let sizes = Split::ALL.map(|split| project.read(split).len());
    // A tenth of 100, then a fifth of 90.
    assert_eq!(sizes[..3], [72, 18, 10]);
    assert!(project.read(Split::Validation).iter().all(|one| one.domain == Domain::In && one.source == "train"));
}

#[test]
fn the_phenomena_are_pairs_whatever_the_seed_and_the_corpus() {
    let project = Project::own(&table(30, 30));
    project.prepare(&stage()).unwrap();
    let first = project.read(Split::Phenomena);
    let mut pairs: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (number, one) in (1..).zip(&first) {
        assert_eq!(one.id, format!("phenomena-{number}"));
        pairs.entry(&one.source).or_default()[one.label.index()] += 1;
    }
    assert!(pairs.len() > 1 && pairs.values().all(|pair| *pair == [phenomena::PAIRS; 2]), "{pairs:?}");

    let other = Project::new(&cola(&[("aa01", 1, 20), ("aa01", 0, 10)]));
    let mut stage = stage();
    stage.seed = 99;
    other.prepare(&stage).unwrap();
    assert!(first == other.read(Split::Phenomena));
}

#[test]
fn a_training_sentence_that_the_phenomena_have_is_left_out() {
    let project = Project::own(&table(30, 30));
    project.prepare(&stage()).unwrap();
    assert_eq!(project.metrics()["leakage"]["removed_for_phenomena"], 0);
    let taken = project.read(Split::Phenomena)[7].sentence.to_uppercase();
    let train = format!("{}{taken}\t0\n", table(30, 30));
    project
        .put_corpus(&[("corpus/train.tsv", &train), ("corpus/validation.tsv", &table(2, 2).replace("mat", "house"))]);
    project.prepare(&stage()).unwrap();
    assert_eq!(project.metrics()["leakage"]["removed_for_phenomena"], 1);
    assert_eq!(project.read(Split::Train).len() + project.read(Split::Tune).len(), 60);
}

#[test]
fn the_starter_corpus_trains_on_nothing_that_the_phenomena_have() {
    let sizes = wellformed_starter::Sizes { train_pairs: 20, validation_pairs: 5 };
    let corpus = wellformed_starter::generate(7, sizes).unwrap();
    let mut train = "sentence\tlabel\tsource\n".to_owned();
    for item in &corpus.train {
        train += &format!("{}\t{}\t{}\n", item.sentence, u8::from(item.acceptable), item.phenomenon.name());
    }
    let project = Project::own(&train);
    project.prepare(&stage()).unwrap();
    assert_eq!(project.metrics()["leakage"]["removed_for_phenomena"], 0);
}

#[test]
fn an_archive_of_something_else_is_refused_with_what_to_do() {
    let said = Project::new(&[("other/train.tsv", "")]).refusal();
    assert!(said.contains("corpus.zip: it holds neither CoLA's") && said.contains("fetch"), "{said}");

    let mut corpus = cola(&[("aa01", 1, 5)]);
    corpus.retain(|(name, _)| !name.ends_with("raw/in_domain_dev.tsv"));
    let said = Project::new(&corpus).refusal();
    assert!(said.contains("cola_public/raw/in_domain_dev.tsv cannot be had from it"), "{said}");

    let both = [("corpus/train.tsv", table(5, 5)), ("corpus/train.csv", String::new())];
    let said = Project::new(&both).refusal();
    assert!(said.contains("corpus/train.tsv: beside it lies corpus/train.csv"), "{said}");

    let project = Project::own(&table(5, 5));
    std::fs::write(&project.places.corpus, "not a ZIP file").unwrap();
    assert!(project.refusal().contains("is no ZIP archive"));
    std::fs::remove_file(&project.places.corpus).unwrap();
    assert!(project.refusal().contains("no such file; run the fetch stage first"));
}
