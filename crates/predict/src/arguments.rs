//! What the binary can be told, and what is meant by it.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use wellformed_infer::{Options, Perturbation, Precision};
use wellformed_predict::input::InputFormat;
use wellformed_predict::output::OutputFormat;
use wellformed_predict::task::{Input, Task};

const MORE: &str = "\
Text for people has a line a sentence: the verdict, how probable it is, the sentence, and notes in brackets. JSON lines,
CSV and Parquet have the columns of the input, and then
  label           acceptable or unacceptable
  p_unacceptable  the calibrated probabilities, which add up to 1
  p_acceptable
  tokens          what the model read, [CLS] and [SEP] included
  truncated       whether the sentence is longer than that
  unknown_tokens  how many of the tokens the vocabulary does not have
  error           why the row could not be predicted, for example because it is empty; the columns above are then null
  words           with --explain: text, start and end (in bytes), weight of each word
If the input has a column of that name, ours is called predicted_label, and so on.

A row of the input gives a row of the result, in the same order. Memory does not grow with the input.

Exit codes:
  0  every row is predicted (or whoever read the output has seen enough, as `head` does)
  1  something is wrong: the bundle, a file
  2  the command line is wrong
  3  some rows could not be predicted; the result is complete and says which
  4  with --check: a sentence is unacceptable

Environment:
  WELLFORMED_BUNDLE  the bundle, if --bundle does not say
  NO_COLOR           no colour, not even on a terminal

Examples:
  predict \"The cat sat on the mat.\" \"Cat the mat on sat.\"
  predict --explain \"The cats sleeps.\"
  predict < sentences.txt
  predict --json < sentences.txt | jq .p_acceptable
  predict --file essays.csv --column text --output judged.parquet
  predict --file big.parquet --precision int8 --output big.csv
  predict --check --quiet < README.txt > /dev/null || echo 'there is something to improve'";

/// Say of English sentences whether they are acceptable: sentences given here, lines, or a file.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(name = "predict", version, after_help = MORE, next_line_help = true)]
pub(crate) struct Arguments {
    /// Sentences. Without any, and without --file, standard input is read, a sentence a line.
    #[arg(value_name = "SENTENCE", conflicts_with = "file")]
    sentences: Vec<String>,
    /// A file of sentences: text, CSV or TSV with a line of column names, or Parquet. `-` is standard input.
    #[arg(long, short, value_name = "PATH")]
    file: Option<PathBuf>,
    /// What the input is: text, csv, tsv or parquet [default: what the file's name says; text on standard input].
    #[arg(long, value_name = "FORMAT", conflicts_with = "sentences", hide_possible_values = true)]
    format_in: Option<FormatIn>,
    /// The column with the sentences, in CSV, TSV and Parquet.
    #[arg(long, value_name = "NAME", default_value = "sentence")]
    column: String,
    /// How results are written: text, jsonl, csv or parquet [default: what --output's name says; otherwise text].
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    to: Option<FormatOut>,
    /// Short for --to jsonl.
    #[arg(long, conflicts_with = "to")]
    json: bool,
    /// Where results go: a file, written whole or not at all [default: standard output].
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Leave the sentences out of the results.
    #[arg(long)]
    no_sentence: bool,
    /// Show what each word contributes: the probability of acceptable with the word, minus without it.
    #[arg(long)]
    explain: bool,
    /// How a word is taken away for --explain: left out, or made [MASK].
    #[arg(long, value_name = "HOW", requires = "explain", default_value = "omit")]
    perturbation: How,
    /// Exit with 4 if a sentence is unacceptable.
    #[arg(long, alias = "fail-on-unacceptable")]
    pub(crate) check: bool,
    /// The folder of the exported model.
    #[arg(long, value_name = "PATH", env = "WELLFORMED_BUNDLE", default_value = "models/bundle", hide_env = true)]
    bundle: PathBuf,
    /// Which of the bundle's models [default: the one that the bundle prefers].
    #[arg(long, value_parser = PossibleValuesParser::new(Precision::ALL.map(Precision::name)).map(|name| precision(&name)))]
    precision: Option<Precision>,
    /// Threads that predict; 0 is one per core [default: 1 for sentences given here, otherwise 0].
    #[arg(long, value_name = "N")]
    threads: Option<u16>,
    /// No progress, no summary, no notes.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatIn {
    Text,
    Csv,
    Tsv,
    Parquet,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatOut {
    Text,
    Jsonl,
    Csv,
    Parquet,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    Omit,
    Mask,
}

fn precision(name: &str) -> Precision {
    if name == Precision::Int8.name() { Precision::Int8 } else { Precision::Fp32 }
}

fn usage(kind: ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    Arguments::command().error(kind, message)
}

impl Arguments {
    /// What is meant.
    pub(crate) fn task(self) -> Result<Task, clap::Error> {
        let input = self.input()?;
        let given = matches!(input, Input::Sentences(_));
        let output = self.output.filter(|path| path != Path::new("-"));
        let format = match (self.to, self.json, &output) {
            (Some(FormatOut::Text), ..) | (None, false, None) => OutputFormat::Text,
            (Some(FormatOut::Jsonl), ..) | (None, true, _) => OutputFormat::JsonLines,
            (Some(FormatOut::Csv), ..) => OutputFormat::Csv,
            (Some(FormatOut::Parquet), ..) => OutputFormat::Parquet,
            (None, false, Some(path)) => {
                OutputFormat::of(path).map_err(|error| usage(ErrorKind::ValueValidation, error))?
            }
        };
        let terminal = output.is_none() && io::stdout().is_terminal();
        if terminal && format == OutputFormat::Parquet {
            return Err(usage(ErrorKind::ValueValidation, "Parquet is not for terminals: say --output FILE"));
        }
        if self.explain && format == OutputFormat::Csv {
            let problem = "CSV has no room for the words of --explain: say --to text, jsonl or parquet";
            return Err(usage(ErrorKind::ArgumentConflict, problem));
        }
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Ok(Task {
            bundle: self.bundle,
            options: Options {
                precision: self.precision,
                threads: self.threads.map_or(usize::from(given), usize::from),
            },
            input,
            column: self.column,
            format,
            output,
            sentence: !self.no_sentence,
            explain: self.explain.then_some(match self.perturbation {
                How::Omit => Perturbation::Omit,
                How::Mask => Perturbation::Mask,
            }),
            quiet: self.quiet,
            colour: terminal && !set("NO_COLOR") && !dumb,
        })
    }

    fn input(&self) -> Result<Input, clap::Error> {
        let said = self.format_in.map(|format| match format {
            FormatIn::Text => InputFormat::Text,
            FormatIn::Csv => InputFormat::Csv,
            FormatIn::Tsv => InputFormat::Tsv,
            FormatIn::Parquet => InputFormat::Parquet,
        });
        match &self.file {
            _ if !self.sentences.is_empty() => Ok(Input::Sentences(self.sentences.clone())),
            Some(path) if path != Path::new("-") => {
                let format = said.map_or_else(|| InputFormat::of(path), Ok);
                Ok(Input::File(path.clone(), format.map_err(|error| usage(ErrorKind::ValueValidation, error))?))
            }
            None if io::stdin().is_terminal() => {
                let problem = "there is nothing to predict: give a sentence, as in predict \"The cat sat.\", a file with \
                               --file PATH, or lines on standard input (--file - to type them)";
                Err(usage(ErrorKind::MissingRequiredArgument, problem))
            }
            _ => Ok(Input::Stdin(said.unwrap_or(InputFormat::Text))),
        }
    }
}
