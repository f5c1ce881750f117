//! Every form of input.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use arrow::datatypes::Int32Type;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use wellformed_predict::input::{Extent, InputFormat, Limits, Lines, Source, Table, open_file, open_stdin};

use crate::support::{csv, lines, rows, stream, write_parquet};

fn good(sentences: &[&str]) -> Vec<Result<String, String>> {
    sentences.iter().map(|sentence| Ok((*sentence).to_owned())).collect()
}

fn table(text: impl AsRef<[u8]>, delimiter: u8, limits: Limits) -> Result<Box<dyn Source>, String> {
    match Table::open(stream(text), "table", None, delimiter, "sentence", limits) {
        Ok(table) => Ok(Box::new(table)),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// The error that reading all of a source ends in.
fn failure(mut source: Box<dyn Source>) -> String {
    loop {
        match source.next_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing went wrong"),
            Err(error) => return format!("{error:#}"),
        }
    }
}

#[test]
fn every_line_is_a_row_the_empty_ones_and_an_unfinished_last_one_too() {
    assert_eq!(rows(lines("One.\r\n\r\nTwo.\n\n\nThree.")), good(&["One.", "", "Two.", "", "", "Three."]));
    assert_eq!(rows(lines("One.\n")), good(&["One."]));
    assert_eq!(rows(lines("\n")), good(&[""]));
    assert_eq!(rows(lines("")), good(&[]));
    assert_eq!(rows(lines("A\rB\r\r\n")), good(&["A\rB\r"]), "only the carriage return of the line's end goes");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_sentence() {
    assert_eq!(rows(lines("\u{feff}One.\n\u{feff}Two.")), good(&["One.", "\u{feff}Two."]));
    assert_eq!(rows(csv("\u{feff}sentence,n\nOne.,1\n")), good(&["One."]));
}

#[test]
fn a_line_that_is_not_utf8_is_an_error_of_its_row_alone_with_line_and_byte() {
    let rows = rows(lines(b"Fine.\nCaf\xe9 au lait.\nFine again.\n"));
    assert_eq!(rows[0], Ok("Fine.".to_owned()));
    assert_eq!(
        rows[1].as_ref().unwrap_err(),
        "line 2 is not UTF-8 (byte 4 is 0xE9): convert the input first, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
    );
    assert_eq!(rows[2], Ok("Fine again.".to_owned()));
}

#[test]
fn a_line_may_have_so_many_bytes_and_a_longer_one_is_an_error_of_its_row() {
    let limits = Limits { line_bytes: 5, ..Limits::default() };
    let of = |bytes: &str| rows(Box::new(Lines::new(stream(bytes), "input", None, limits)));
    assert_eq!(of("12345\n12345\r\n12345"), good(&["12345", "12345", "12345"]));
    for long in ["123456\nnext", "123456\r\nnext", "12345\r6\nnext", "1234567\nnext"] {
        let rows = of(long);
        assert_eq!(rows[0], Err("line 1 has more than 5 bytes: a sentence a line is expected".to_owned()), "{long:?}");
        assert_eq!(rows[1], Ok("next".to_owned()), "{long:?}");
    }
}

#[test]
fn a_gigabyte_without_a_line_end_is_one_row_of_which_little_is_held() {
    let endless = std::io::repeat(b'a').take(1 << 30);
    let mut source = Lines::new(Box::new(endless.chain(&b"\nnext\n"[..])), "input", None, Limits::default());
    let chunk = source.next_chunk().unwrap().unwrap();
    assert!(chunk.sentence(0).unwrap_err().contains("line 1 has more than 1048576 bytes"));
    assert!(chunk.columns.get_array_memory_size() < 1 << 16, "nothing of the line is kept");
    assert_eq!(chunk.position, (1 << 30) + 6);
    assert_eq!(chunk.sentence(1), Ok("next"));
}

#[test]
fn what_only_looks_like_text_is_refused_with_a_way_out() {
    let signs: [(&[u8], &str); 5] = [
        (b"\xff\xfeT\0h\0e\0\n\0", "iconv -f UTF-16"),
        (b"\xfe\xff\0T\0h\0e\0\n", "iconv -f UTF-16"),
        (b"PAR1\x15\x04\n", "--format-in parquet"),
        (b"\x1f\x8b\x08\0\0\n", "gzip -dc"),
        (b"PK\x03\x04\x14\n", "as CSV"),
    ];
    for (bytes, advice) in signs {
        let as_text = failure(lines(bytes));
        assert!(as_text.starts_with("input is ") && as_text.contains(advice), "{as_text}");
        let as_table = table(bytes, b',', Limits::default()).err().unwrap();
        assert!(as_table.starts_with("table is ") && as_table.contains(advice), "{as_table}");
    }
}

#[test]
fn csv_is_read_with_its_quotation_marks_and_tsv_has_none() {
    let source = csv("id,sentence\n1,\"He said, \"\"no\"\".\"\r\n2,\"Two\nlines.\"\n3,\n");
    assert_eq!(rows(source), good(&["He said, \"no\".", "Two\nlines.", ""]));
    let source = table("id\tsentence\n1\t\"Quoted,\" she said.\n2\t\"\n", b'\t', Limits::default()).unwrap();
    assert_eq!(rows(source), good(&["\"Quoted,\" she said.", "\""]));
}

#[test]
fn a_missing_column_is_answered_with_those_that_are_there() {
    let error = table("id,text\n1,One.\n", b',', Limits::default()).err().unwrap();
    assert_eq!(
        error,
        "table has no column \"sentence\": say with --column where the sentences are; there are \"id\", \"text\""
    );
    let error = table("id,id,sentence\n", b',', Limits::default()).err().unwrap();
    assert_eq!(error, "table has two columns with the name \"id\": give one of them another");
    let error = table("", b',', Limits::default()).err().unwrap();
    assert_eq!(error, "table is empty: a line with the names of the columns was expected");
}

#[test]
fn a_row_with_too_few_or_too_many_values_ends_the_reading_at_its_line() {
    for row in ["3", "3,Three.,more"] {
        let source = csv(format!("id,sentence\n1,One.\n2,\"Two\nlines.\"\n{row}\n"));
        let error = failure(source);
        let count = row.split(',').count();
        assert!(error.starts_with(&format!("table.csv, line 5: {count} values, but there are 2 columns")), "{error}");
    }
}

#[test]
fn a_quotation_mark_that_is_not_closed_does_not_swallow_the_file() {
    let limits = Limits { record_bytes: 100_000, ..Limits::default() };
    let text = format!("id,sentence\n1,One.\n2,\"Two.\n{}", "3,Three.\n".repeat(100_000));
    let error = failure(table(text, b',', limits).unwrap());
    assert!(error.contains("from line 3 on") && error.contains("is a quotation mark not closed?"), "{error}");
    let fine = format!("id,sentence\n{}", "3,Three.\n".repeat(100_000));
    assert_eq!(rows(table(fine, b',', limits).unwrap()).len(), 100_000, "the limit is of a record, not of the file");
}

#[test]
fn a_value_that_is_not_utf8_marks_its_row_in_whatever_column_it_is() {
    let rows = rows(csv(b"note,sentence\nfine,One.\ncaf\xe9,Two.\nfine,Thr\xe9e.\n"));
    assert_eq!(rows[0], Ok("One.".to_owned()));
    let (note, sentence) = (rows[1].as_ref().unwrap_err(), rows[2].as_ref().unwrap_err());
    assert!(note.starts_with("line 3: the column \"note\" is not UTF-8"), "{note}");
    assert!(sentence.starts_with("line 4: the column \"sentence\" is not UTF-8"), "{sentence}");
}

#[test]
fn parquet_columns_of_every_kind_of_text_and_every_usual_compression_are_read() {
    let sentences = [Some("One."), None, Some("Two."), Some("One.")];
    let dictionary: DictionaryArray<Int32Type> = sentences.into_iter().collect();
    let kinds: [ArrayRef; 4] = [
        Arc::new(StringArray::from(sentences.to_vec())),
        Arc::new(LargeStringArray::from(sentences.to_vec())),
        Arc::new(StringViewArray::from(sentences.to_vec())),
        Arc::new(dictionary),
    ];
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for kind in kinds {
        for codec in codecs {
            let table = RecordBatch::try_from_iter_with_nullable([("sentence", Arc::clone(&kind), true)]).unwrap();
            write_parquet(&path, &table, codec);
            let source = open_file(&path, InputFormat::Parquet, "sentence", Limits::default()).unwrap();
            assert_eq!(source.extent(), Some(Extent::Rows(4)));
            assert_eq!(source.schema().field(0).data_type(), kind.data_type(), "{codec}: the column keeps its type");
            let null = Err("there is no sentence: the value is null".to_owned());
            let one = || Ok("One.".to_owned());
            assert_eq!(rows(source), [one(), null, Ok("Two.".to_owned()), one()], "{} {codec}", kind.data_type());
        }
    }
}

#[test]
fn a_codec_that_is_not_built_in_is_named_before_anything_is_predicted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brotli.parquet");
    let error = open_file(&path, InputFormat::Parquet, "sentence", Limits::default()).err().unwrap().to_string();
    assert!(error.contains("column \"sentence\" is compressed with BROTLI"), "{error}");
    assert!(error.contains("write the file again with Snappy, Zstandard"), "{error}");
}

#[test]
fn parquet_that_cannot_be_used_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    write_parquet(&path, &RecordBatch::try_from_iter([("sentence", numbers)]).unwrap(), Compression::SNAPPY);
    let open = |column| open_file(&path, InputFormat::Parquet, column, Limits::default()).err().unwrap();
    assert!(open("sentence").to_string().contains("holds Int64; sentences are text"));
    assert!(open("text").to_string().contains("no column \"text\""));
    std::fs::write(&path, "id,sentence\n").unwrap();
    let error = format!("{:#}", open("sentence"));
    assert!(error.contains("x.parquet cannot be read as Parquet"), "{error}");
    let error = open_stdin(InputFormat::Parquet, "sentence", Limits::default()).err().unwrap().to_string();
    assert!(error.contains("name the file with --file"), "{error}");
}

#[test]
fn other_columns_of_parquet_keep_type_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
    let sentences: ArrayRef = Arc::new(StringArray::from(vec!["One.", "Two."]));
    let table = RecordBatch::try_from_iter([("n", numbers), ("sentence", sentences)]).unwrap();
    write_parquet(&path, &table, Compression::SNAPPY);
    let mut source = open_file(&path, InputFormat::Parquet, "sentence", Limits::default()).unwrap();
    let chunk = source.next_chunk().unwrap().unwrap();
    assert_eq!(chunk.columns.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 7);
    assert!(chunk.columns.column(0).is_null(1));
}

#[test]
fn the_name_of_a_file_says_its_format_or_asks_for_it() {
    let of = |name: &str| InputFormat::of(Path::new(name));
    assert_eq!(of("a.txt").unwrap(), InputFormat::Text);
    assert_eq!(of("sentences").unwrap(), InputFormat::Text);
    assert_eq!(of("a.b/A.CSV").unwrap(), InputFormat::Csv);
    assert_eq!(of("a.tsv").unwrap(), InputFormat::Tsv);
    assert_eq!(of("a.parquet").unwrap(), InputFormat::Parquet);
    for other in ["a.jsonl", "a.csv.gz", "a.xlsx"] {
        assert!(of(other).unwrap_err().to_string().contains("--format-in"));
    }
}
