//! A model that is none, and ways to send sentences through it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::Result;
use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use wellformed_infer::{Error, Label, Prediction, Timing, Word};
use wellformed_predict::input::{Chunk, Limits, Lines, Source, Table};
use wellformed_predict::layout::Layout;
use wellformed_predict::output::{OutputFormat, encoder};
use wellformed_predict::pipeline::{Summary, Target, run};
use wellformed_predict::verdict::{Verdict, Verdicts};

/// Finds acceptable what contains `good`, unknown every `?`, and cuts after four words. The more words, the surer.
pub(crate) fn judged(sentence: &str) -> Result<Verdict, Error> {
    if sentence.trim().is_empty() {
        return Err(Error::Empty);
    }
    let words = sentence.split_whitespace().count();
    let sure = 1.0 - 0.5_f64.powi(words.min(4) as i32 + 1);
    let label = if sentence.contains("good") { Label::Acceptable } else { Label::Unacceptable };
    let probabilities = if label == Label::Acceptable { [1.0 - sure, sure] } else { [sure, 1.0 - sure] };
    let prediction = Prediction {
        label,
        probabilities,
        logits: [0.0, 0.0],
        tokens: words.min(4) + 2,
        truncated: words > 4,
        unknown_tokens: sentence.matches('?').count(),
        signals: None,
        timing: Timing::default(),
    };
    Ok(Verdict { prediction, words: Vec::new() })
}

pub(crate) fn verdicts() -> Verdicts {
    Box::new(|sentences| sentences.iter().map(|sentence| judged(sentence)).collect())
}

/// As [`verdicts`], with a weight for each word: a tenth of its letters, against the sentence at every second.
pub(crate) fn explained() -> Verdicts {
    let word = |sentence: &str, (at, text): (usize, &str)| {
        let start = text.as_ptr() as usize - sentence.as_ptr() as usize;
        let weight = text.len() as f64 / if at.is_multiple_of(2) { 10.0 } else { -10.0 };
        Word { text: text.to_owned(), start, end: start + text.len(), weight }
    };
    Box::new(move |sentences| {
        let one = |sentence: &&str| {
            let words = sentence.split_whitespace().enumerate().map(|each| word(sentence, each)).collect();
            Ok(Verdict { words, ..judged(sentence)? })
        };
        sentences.iter().map(one).collect()
    })
}

pub(crate) fn stream(bytes: impl AsRef<[u8]>) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(bytes.as_ref().to_vec()))
}

pub(crate) fn lines(bytes: impl AsRef<[u8]>) -> Box<dyn Source> {
    Box::new(Lines::new(stream(bytes), "input", None, Limits::default()))
}

pub(crate) fn csv(text: impl AsRef<[u8]>) -> Box<dyn Source> {
    Box::new(Table::open(stream(text), "table.csv", None, b',', "sentence", Limits::default()).unwrap())
}

/// All chunks of a source.
pub(crate) fn chunks(mut source: Box<dyn Source>) -> Vec<Chunk> {
    std::iter::from_fn(|| source.next_chunk().unwrap()).collect()
}

/// All rows of a source: sentences, and reasons why there are none.
pub(crate) fn rows(source: Box<dyn Source>) -> Vec<Result<String, String>> {
    let chunks = chunks(source);
    let row = |chunk: &Chunk, row| chunk.sentence(row).map(str::to_owned).map_err(str::to_owned);
    chunks.iter().flat_map(|chunk| (0..chunk.rows()).map(move |at| row(chunk, at))).collect()
}

/// What comes out.
pub(crate) fn output(source: Box<dyn Source>, format: OutputFormat) -> (Vec<u8>, Summary) {
    output_of(source, format, verdicts(), true)
}

pub(crate) fn output_of(
    source: Box<dyn Source>,
    format: OutputFormat,
    verdicts: Verdicts,
    sentence: bool,
) -> (Vec<u8>, Summary) {
    let words = verdicts(&["good"])[0].as_ref().is_ok_and(|verdict| !verdict.words.is_empty());
    let layout = Layout::new(&*source, sentence, words);
    let mut encoder = encoder(format, layout, sentence, false).unwrap();
    let mut bytes = Vec::new();
    let target = Target { name: "the test", stream: &mut bytes };
    let summary = run(source, verdicts, &mut *encoder, target, &mut |_, _| {}).unwrap();
    (bytes, summary)
}

pub(crate) fn text(source: Box<dyn Source>, format: OutputFormat) -> String {
    String::from_utf8(output(source, format).0).unwrap()
}

pub(crate) fn write_parquet(path: &Path, table: &RecordBatch, compression: Compression) {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
}

pub(crate) fn read_parquet(bytes: Vec<u8>) -> RecordBatch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, bytes).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

/// A stream that gives one of its pieces at a time, as a pipe does.
pub(crate) struct Pieces(pub(crate) VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}
