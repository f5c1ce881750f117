//! Every form of output.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{Float64Type, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::RowGroupMetaData;
use serde_json::{Value, json};
use wellformed_predict::input::{InputFormat, Limits, open_file};
use wellformed_predict::layout::Layout;
use wellformed_predict::output::{OutputFormat, Text, encoder};
use wellformed_predict::pipeline::{Target, run};

use crate::support::{csv, explained, lines, output, output_of, read_parquet, text, verdicts, write_parquet};

const OURS: [&str; 7] = ["label", "p_unacceptable", "p_acceptable", "tokens", "truncated", "unknown_tokens", "error"];

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn text_has_verdict_its_probability_sentence_and_notes() {
    let input = "A good line.\nBad line.\n\nBad ? and ? a lot longer.\nA good ? one.\n";
    let expected = "\
acceptable     93.8 %  A good line.
unacceptable   87.5 %  Bad line.
error                  (the sentence is empty)
unacceptable   96.9 %  Bad ? and ? a lot longer.  (cut: only the first 6 tokens were read; 2 unknown tokens)
acceptable     96.9 %  A good ? one.  (1 unknown token)
";
    assert_eq!(text(lines(input), OutputFormat::Text), expected);
}

#[test]
fn a_row_of_text_is_one_line_and_steers_no_terminal() {
    let written = text(csv("sentence\n\"Bad\nline \u{1b}[2J\twith \u{9b}31m controls.\"\n"), OutputFormat::Text);
    assert_eq!(
        written,
        "unacceptable   96.9 %  Bad\\nline \\u{1b}[2J\\twith \\u{9b}31m controls.  (cut: only the first 6 tokens were read)\n"
    );
}

#[test]
fn colour_is_there_only_if_asked_for() {
    let painted = |colour| {
        let mut bytes = Vec::new();
        let target = Target { name: "the test", stream: &mut bytes };
        run(lines("good\nbad\n\n"), verdicts(), &mut Text::new(true, colour), target, &mut |_, _| {}).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let coloured = painted(true);
    assert!(coloured.contains("\x1b[32macceptable  \x1b[0m"), "{coloured:?}");
    assert!(coloured.contains("\x1b[31munacceptable\x1b[0m") && coloured.contains("\x1b[33merror"), "{coloured:?}");
    assert!(!painted(false).contains('\x1b'));
}

#[test]
fn the_words_that_weigh_are_bars_to_both_sides() {
    let (bytes, _) = output_of(lines("A good one.\n"), OutputFormat::Text, explained(), true);
    let expected = "
acceptable     93.8 %  A good one.
                     against | for
  A                          | █████                 +0.100
  good  ████████████████████ |                       -0.400
  one.                       | ████████████████████  +0.400

";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected[1..]);
}

#[test]
fn without_sentences_no_form_has_them() {
    for format in [OutputFormat::Text, OutputFormat::JsonLines, OutputFormat::Csv, OutputFormat::Parquet] {
        let source = csv("id,sentence\n1,Some good secret.\n");
        let (bytes, summary) = output_of(source, format, verdicts(), false);
        assert!(!bytes.windows(6).any(|six| six == b"secret"), "{format:?}");
        assert_eq!((summary.acceptable, summary.rows()), (1, 1));
    }
}

#[test]
fn a_json_line_has_every_column_and_null_where_there_is_nothing() {
    let written = text(lines("A good \"line\".\n\nBad.\n"), OutputFormat::JsonLines);
    let expected = [
        json!({"sentence": "A good \"line\".", "label": "acceptable", "p_unacceptable": 0.0625, "p_acceptable": 0.9375,
               "tokens": 5, "truncated": false, "unknown_tokens": 0, "error": null}),
        json!({"sentence": "", "label": null, "p_unacceptable": null, "p_acceptable": null,
               "tokens": null, "truncated": null, "unknown_tokens": null, "error": "the sentence is empty"}),
        json!({"sentence": "Bad.", "label": "unacceptable", "p_unacceptable": 0.75, "p_acceptable": 0.25,
               "tokens": 3, "truncated": false, "unknown_tokens": 0, "error": null}),
    ];
    assert_eq!(objects(&written), expected);
}

#[test]
fn explained_words_are_a_list_in_json_lines_and_parquet() {
    let (bytes, _) = output_of(lines("A good one.\n\n"), OutputFormat::JsonLines, explained(), true);
    let objects = objects(std::str::from_utf8(&bytes).unwrap());
    let words = json!([{"text": "A", "start": 0, "end": 1, "weight": 0.1},
                       {"text": "good", "start": 2, "end": 6, "weight": -0.4},
                       {"text": "one.", "start": 7, "end": 11, "weight": 0.4}]);
    assert_eq!(objects[0]["words"], words);
    assert_eq!(objects[1]["words"], Value::Null);
    let (bytes, _) = output_of(lines("A good one.\n\n"), OutputFormat::Parquet, explained(), true);
    let table = read_parquet(bytes);
    let words = table.column_by_name("words").unwrap().as_list::<i32>().value(0);
    assert_eq!(words.as_struct().column_by_name("text").unwrap().as_string::<i32>().value(1), "good");
}

#[test]
fn csv_passes_other_columns_through_in_front_of_ours() {
    let input = "id,sentence,note\n007,A good line.,\"x, \"\"y\"\"\"\n08,,\n";
    let expected = "\
id,sentence,note,label,p_unacceptable,p_acceptable,tokens,truncated,unknown_tokens,error
007,A good line.,\"x, \"\"y\"\"\",acceptable,0.0625,0.9375,5,false,0,
08,,,,,,,,,the sentence is empty
";
    assert_eq!(text(csv(input), OutputFormat::Csv), expected);
}

#[test]
fn a_column_of_the_input_that_has_our_name_keeps_it() {
    let source = csv("sentence,label,predicted_label\nA good line.,0,x\n");
    let layout = Layout::new(&*source, true, false);
    assert_eq!(layout.renamed(), [("label", "predicted_predicted_label".to_owned())]);
    let written = text(source, OutputFormat::JsonLines);
    let object = &objects(&written)[0];
    assert_eq!(object["label"], "0");
    assert_eq!(object["predicted_label"], "x");
    assert_eq!(object["predicted_predicted_label"], "acceptable");
}

#[test]
fn parquet_goes_through_with_types_and_values_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("a"), None]);
    tags.append_null();
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("sentence", Arc::new(StringArray::from(vec![Some("A good line."), None]))),
        ("tags", Arc::new(tags.finish())),
    ];
    let table = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let mut schema = table.schema().as_ref().clone();
    schema.metadata.insert("pandas".to_owned(), "{}".to_owned());
    let table = table.with_schema(Arc::new(schema)).unwrap();
    write_parquet(&path, &table, Compression::SNAPPY);
    let open = || open_file(&path, InputFormat::Parquet, "sentence", Limits::default()).unwrap();

    let (bytes, summary) = output(open(), OutputFormat::Parquet);
    let result = read_parquet(bytes);
    let names: Vec<String> = result.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, [&["n", "sentence", "tags"][..], &OURS].concat());
    for (at, column) in table.columns().iter().enumerate() {
        assert_eq!(result.column(at), column);
    }
    assert_eq!(result.schema().metadata()["pandas"], "{}");
    assert_eq!(result.column(5).as_primitive::<Float64Type>().value(0), 0.9375);
    assert_eq!(result.column(6).as_primitive::<Int32Type>().value(0), 5);
    assert_eq!(result.column(9).as_string::<i32>().value(1), "there is no sentence: the value is null");
    assert_eq!((summary.acceptable, summary.unacceptable, summary.errors), (1, 0, 1));

    let json = objects(&text(open(), OutputFormat::JsonLines));
    assert_eq!((&json[0]["n"], &json[0]["tags"]), (&json!(1), &json!(["a", null])));
    assert_eq!((&json[1]["n"], &json[1]["tags"]), (&Value::Null, &Value::Null));

    let error = encoder(OutputFormat::Csv, Layout::new(&*open(), true, false), true, false).err().unwrap().to_string();
    assert!(error.contains("the column \"tags\", which has several values a row"), "{error}");
}

#[test]
fn long_parquet_comes_in_row_groups_and_can_be_read_while_nothing_of_it_is_held() {
    let rows = 200_000;
    let input: String = (0..rows).map(|row| format!("Line {row} is good.\n")).collect();
    let source = lines(input);
    let mut encoder = encoder(OutputFormat::Parquet, Layout::new(&*source, true, false), true, false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let mut file = File::create(&path).unwrap();
    run(source, verdicts(), &mut *encoder, Target { name: "file", stream: &mut file }, &mut |_, _| {}).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let groups: Vec<i64> = builder.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(groups, [65_536, 65_536, 65_536, 200_000 - 3 * 65_536]);
    let mut row = 0;
    for batch in builder.build().unwrap() {
        for sentence in batch.unwrap().column(0).as_string::<i32>() {
            assert_eq!(sentence.unwrap(), format!("Line {row} is good."));
            row += 1;
        }
    }
    assert_eq!(row, rows);
}

#[test]
fn no_rows_give_column_names_and_no_rows() {
    let header = format!("sentence,{}\n", OURS.join(","));
    assert_eq!(text(lines(""), OutputFormat::Csv), header);
    assert_eq!(text(lines(""), OutputFormat::JsonLines), "");
    assert_eq!(text(lines(""), OutputFormat::Text), "");
    let table = read_parquet(output(lines(""), OutputFormat::Parquet).0);
    assert_eq!((table.num_rows(), table.num_columns()), (0, 8));
}

#[test]
fn csv_has_its_column_names_once_however_many_chunks_there_are() {
    let input = "A good line.\n".repeat(10_000);
    let written = text(lines(input), OutputFormat::Csv);
    assert_eq!(written.matches("p_unacceptable").count(), 1);
    assert_eq!(written.lines().count(), 10_001);
}

#[test]
fn the_name_of_a_file_says_the_format_or_asks_for_it() {
    let of = |name: &str| OutputFormat::of(Path::new(name));
    assert_eq!(of("a.txt").unwrap(), OutputFormat::Text);
    assert_eq!(of("a.JSONL").unwrap(), OutputFormat::JsonLines);
    assert_eq!(of("a.csv").unwrap(), OutputFormat::Csv);
    assert_eq!(of("a.parquet").unwrap(), OutputFormat::Parquet);
    for other in ["a", "a.json", "a.tsv"] {
        assert!(of(other).unwrap_err().to_string().contains("--to"));
    }
}
