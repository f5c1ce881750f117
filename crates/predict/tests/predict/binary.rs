//! The binary, on a small bundle.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use parquet::basic::Compression;
use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::bundle::{MANIFEST, Manifest};
use wellformed_core::files::{read_json, write_json};

use crate::support::{read_parquet, write_parquet};

const SENTENCES: [&str; 3] = ["The cat sat on the mat.", "Cat the on mat sat the.", "She has read the book."];

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle")
}

fn predict() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_predict"));
    command.env("WELLFORMED_BUNDLE", bundle()).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    predict().args(arguments).output().unwrap()
}

fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        predict().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who refuses its arguments is gone before it has read anything.
    match child.stdin.take().unwrap().write_all(input) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// The files of a folder that are not hidden, and those that are: what was left half written would be.
fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn sentences_on_the_command_line_are_answered_a_line_each_and_without_chatter() {
    let output = run(&SENTENCES);
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
    let text = out(&output);
    assert_eq!(text.lines().count(), 3);
    for (line, sentence) in text.lines().zip(SENTENCES) {
        assert!(line.starts_with("acceptable ") || line.starts_with("unacceptable "), "{line}");
        assert!(line.contains(" %  ") && line.contains(sentence), "{line}");
        assert!(!line.contains('\x1b'), "no colour in a pipe: {line:?}");
    }
}

#[test]
fn every_way_in_and_out_gives_the_same_answers() {
    let folder = folder();
    let expected = objects(&run(&["--json", SENTENCES[0], SENTENCES[1], SENTENCES[2]]));
    let ours = |object: &Value| {
        let p = |name: &str| object[name].as_f64().unwrap();
        (object["label"].as_str().unwrap().to_owned(), p("p_unacceptable"), p("p_acceptable"), object["tokens"].clone())
    };
    for object in &expected {
        let (label, unacceptable, acceptable, _) = ours(object);
        assert!((unacceptable + acceptable - 1.0).abs() < 1e-12);
        assert!(["acceptable", "unacceptable"].contains(&label.as_str()));
    }
    let expected: Vec<_> = expected.iter().map(ours).collect();

    let input = SENTENCES.join("\n");
    let csv: String = SENTENCES.iter().enumerate().map(|(id, sentence)| format!("{id},\"{sentence}\"\n")).collect();
    let tsv: String = SENTENCES.iter().enumerate().map(|(id, sentence)| format!("{id}\t{sentence}\n")).collect();
    fs::write(path(&folder, "in.txt"), &input).unwrap();
    fs::write(path(&folder, "in.csv"), format!("id,text\n{csv}")).unwrap();
    fs::write(path(&folder, "in.tsv"), format!("id\ttext\n{tsv}")).unwrap();
    let column: ArrayRef = Arc::new(StringArray::from(SENTENCES.to_vec()));
    let table = RecordBatch::try_from_iter([("text", column)]).unwrap();
    write_parquet(&folder.path().join("in.parquet"), &table, Compression::SNAPPY);

    assert_eq!(objects(&fed(&["--json"], input.as_bytes())).iter().map(ours).collect::<Vec<_>>(), expected);
    for name in ["in.txt", "in.csv", "in.tsv", "in.parquet"] {
        for threads in ["1", "2"] {
            let file = path(&folder, name);
            let output = run(&["--file", &file, "--column", "text", "--to", "jsonl", "--threads", threads]);
            assert_eq!(objects(&output).iter().map(ours).collect::<Vec<_>>(), expected, "{name}");
            assert!(err(&output).starts_with("3 sentences: "), "{}", err(&output));
        }
    }
    for name in ["out.jsonl", "out.csv", "out.parquet", "out.txt"] {
        let output = run(&["--file", &path(&folder, "in.csv"), "--column", "text", "--output", &path(&folder, name)]);
        assert_eq!((output.status.code(), out(&output)), (Some(0), String::new()), "{}", err(&output));
    }
    let json = fs::read_to_string(path(&folder, "out.jsonl")).unwrap();
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.iter().map(ours).collect::<Vec<_>>(), expected);
    assert_eq!(json[1]["id"], "1");
    let mut reader = csv::Reader::from_path(path(&folder, "out.csv")).unwrap();
    for (row, expected) in reader.records().zip(&expected) {
        let row = row.unwrap();
        assert_eq!((&row[2], row[4].parse().unwrap()), (expected.0.as_str(), expected.2));
    }
    let table = read_parquet(fs::read(path(&folder, "out.parquet")).unwrap());
    let p = table.column_by_name("p_acceptable").unwrap().as_primitive::<arrow::datatypes::Float64Type>();
    assert_eq!(p.values(), &expected.iter().map(|row| row.2).collect::<Vec<_>>()[..]);
}

#[test]
fn both_precisions_answer_and_another_is_refused() {
    for precision in ["fp32", "int8"] {
        let output = run(&["--precision", precision, SENTENCES[0]]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
    let output = run(&["--precision", "fp16", SENTENCES[0]]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("fp32, int8"), "{}", err(&output));
}

#[test]
fn explained_sentences_come_with_a_weight_for_each_word() {
    let sentence = SENTENCES[0];
    for how in ["omit", "mask"] {
        let objects = objects(&run(&["--json", "--explain", "--perturbation", how, sentence]));
        let words = objects[0]["words"].as_array().unwrap();
        assert!(!words.is_empty());
        for word in words {
            let at = |name: &str| usize::try_from(word[name].as_u64().unwrap()).unwrap();
            assert_eq!(&sentence[at("start")..at("end")], word["text"].as_str().unwrap());
            assert!(word["weight"].as_f64().unwrap().abs() <= 1.0);
        }
    }
    let output = run(&["--explain", sentence]);
    let text = out(&output);
    assert!(text.contains("against | for") && text.contains("\n  cat "), "{text}");
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let code = |arguments: &[&str], input: &str| fed(arguments, input.as_bytes()).status.code();
    let sentences = SENTENCES.join("\n");
    assert_eq!(code(&[], &sentences), Some(0));
    assert_eq!(code(&["--bundle", "no/such/bundle"], &sentences), Some(1));
    assert_eq!(code(&["--file", "no-such-file.txt"], ""), Some(1));
    assert_eq!(code(&["--no-such-option"], ""), Some(2));
    assert_eq!(code(&[], &format!("{sentences}\n\n")), Some(3), "an empty line");
}

#[test]
fn check_tells_by_its_exit_code_whether_a_sentence_is_unacceptable() {
    // A bundle that finds one of the sentences acceptable and another not, whatever its model thinks of them.
    let mut judged: Vec<(f64, String)> = objects(&run(&[&["--json"][..], &SENTENCES].concat()))
        .iter()
        .map(|object| (object["p_acceptable"].as_f64().unwrap(), object["sentence"].as_str().unwrap().to_owned()))
        .collect();
    judged.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ((low, worst), (high, best)) = (&judged[0], &judged[2]);
    let strict = folder();
    for entry in fs::read_dir(bundle()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), strict.path().join(entry.file_name())).unwrap();
    }
    let manifest = strict.path().join(MANIFEST);
    let mut changed: Manifest = read_json(&manifest).unwrap();
    changed.calibration.threshold = f64::midpoint(*low, *high);
    write_json(&manifest, &changed.seal()).unwrap();

    let code = |arguments: &[&str]| {
        let output = predict().arg("--bundle").arg(strict.path()).args(arguments).output().unwrap();
        (output.status.code().unwrap(), out(&output).lines().count())
    };
    assert_eq!(code(&["--check", best]), (0, 1));
    assert_eq!(code(&["--check", worst, best]), (4, 2));
    assert_eq!(code(&["--fail-on-unacceptable", worst]), (4, 1));
    assert_eq!(code(&[worst]), (0, 1), "nobody asked");
    assert_eq!(code(&["--check", worst, ""]), (3, 2), "what could not be predicted comes first");
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_usage_message() {
    let cases: [(&[&str], &str); 7] = [
        (&["A sentence.", "--file", "a.txt"], "cannot be used with"),
        (&["--file", "a.jsonl"], "--format-in"),
        (&["--output", "a.xlsx", "A sentence."], "--to"),
        (&["--json", "--to", "csv", "A sentence."], "cannot be used with"),
        (&["--explain", "--to", "csv", "A sentence."], "no room for the words"),
        (&["--perturbation", "mask", "A sentence."], "--explain"),
        (&["--format-in", "csv", "A sentence."], "cannot be used with"),
    ];
    for (arguments, message) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(err(&output).contains(message) && err(&output).contains("Usage:"), "{}", err(&output));
    }
}

#[test]
fn a_missing_bundle_is_named_with_what_to_do() {
    let output = run(&["--bundle", "no/such/bundle", "A sentence."]);
    assert_eq!((output.status.code(), out(&output)), (Some(1), String::new()));
    let message = err(&output);
    assert!(message.starts_with("error: there is no bundle at no/such/bundle:"), "{message}");
    assert!(message.contains("cargo xtask repro") && message.contains("WELLFORMED_BUNDLE"), "{message}");
}

#[test]
fn output_is_written_whole_or_not_at_all() {
    let folder = folder();
    let (input, result) = (path(&folder, "in.csv"), path(&folder, "out.csv"));
    fs::write(&result, "what was there before").unwrap();
    fs::write(&input, format!("sentence\n{}one,too many\n", "Some sentence.\n".repeat(9000))).unwrap();
    let output = run(&["--file", &input, "--output", &result]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("in.csv, line 9002: 2 values, but there are 1 columns"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&result).unwrap(), "what was there before");
    assert_eq!(names(&folder), ["in.csv", "out.csv"], "nothing half written is left");

    fs::write(&input, "sentence\nSome sentence.\n\"\"\n").unwrap();
    let output = run(&["--file", &input, "--output", &input]);
    assert_eq!(
        output.status.code(),
        Some(3),
        "with an error in a row the output is complete, even in place of the input"
    );
    let written = fs::read_to_string(&input).unwrap();
    assert!(written.ends_with(",the sentence is empty\n") && written.lines().count() == 3, "{written}");
}

#[test]
fn an_output_that_is_no_file_is_left_alone() {
    let folder = folder();
    let output = run(&["--to", "csv", "--output", &path(&folder, "."), "A sentence."]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("is not a file"), "{}", err(&output));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = predict().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than pipes hold, so that it has to stop in the middle; after that nobody reads what is fed.
    let feeding = std::thread::spawn(move || {
        for _ in 0..1000 {
            if stdin.write_all("The cat sat.\n".repeat(1000).as_bytes()).is_err() {
                return true;
            }
        }
        false
    });
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    assert!(first.contains("The cat sat."));
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
    assert!(feeding.join().unwrap(), "it stopped before the end of the input");
}

#[test]
fn notes_and_the_summary_go_to_stderr_and_quiet_silences_them() {
    let input = b"sentence,label\nThe cat sat.,1\n";
    let output = fed(&["--format-in", "csv", "--to", "csv"], input);
    let message = err(&output);
    assert!(message.contains("already; ours is called \"predicted_label\""), "{message}");
    assert!(message.contains("1 sentence: "), "{message}");
    assert!(out(&output).starts_with("sentence,label,predicted_label,p_unacceptable,"), "{}", out(&output));
    let output = fed(&["--format-in", "csv", "--to", "csv", "--quiet"], input);
    assert_eq!(err(&output), "");
}

#[test]
fn the_help_teaches() {
    let output = run(&["--help"]);
    let help = out(&output);
    for part in ["Exit codes:", "Examples:", "predict --explain", "WELLFORMED_BUNDLE", "NO_COLOR", "unknown_tokens"] {
        assert!(help.contains(part), "{part} is missing from:\n{help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
}
