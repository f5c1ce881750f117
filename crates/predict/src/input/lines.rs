//! Text, a sentence a line.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, Result, bail};
use arrow::array::StringBuilder;
use arrow::datatypes::SchemaRef;

use super::{Chunk, Extent, Limits, Source, disguise, sentence_schema};

const BUFFER: usize = 256 << 10;

/// Lines as they come. Every line is a row, also an empty one; they end in `\n` or `\r\n`, the last one perhaps in
/// nothing. A chunk never waits for input while it has rows, so that `tail -f … | predict` answers at once.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    name: String,
    extent: Option<Extent>,
    limits: Limits,
    /// Lines read.
    line: u64,
    /// Bytes read.
    position: u64,
    ended: bool,
}

/// How a line ended up.
enum Found {
    /// It is in the buffer, without its end.
    Whole,
    /// It has more bytes than a line may have; the rest was skipped.
    TooLong,
    /// There was none.
    End,
}

impl Lines {
    /// Lines of a stream; `name` stands for it in messages.
    pub fn new(stream: Box<dyn Read + Send>, name: &str, extent: Option<Extent>, limits: Limits) -> Self {
        let reader = BufReader::with_capacity(BUFFER, stream);
        Self { reader, name: name.to_owned(), extent, limits, line: 0, position: 0, ended: false }
    }

    /// Reads a line into `line`, and no more of it than a line may have.
    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<Found> {
        line.clear();
        let mut length = 0;
        loop {
            let there = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if there.is_empty() {
                self.ended = true;
                break;
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            length += part.len();
            // One byte more than allowed, because of a carriage return.
            line.extend_from_slice(&part[..part.len().min((self.limits.line_bytes + 1).saturating_sub(line.len()))]);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            self.position += used as u64;
            if end.is_some() {
                break;
            }
        }
        if self.ended && length == 0 {
            return Ok(Found::End);
        }
        self.line += 1;
        if line.len() == length && line.last() == Some(&b'\r') {
            line.pop();
            length -= 1;
        }
        Ok(if length > self.limits.line_bytes { Found::TooLong } else { Found::Whole })
    }
}

impl Source for Lines {
    fn schema(&self) -> SchemaRef {
        sentence_schema()
    }

    fn sentence(&self) -> usize {
        0
    }

    fn extent(&self) -> Option<Extent> {
        self.extent
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut sentences = StringBuilder::new();
        let mut problems = BTreeMap::new();
        let (mut rows, mut bytes) = (0, 0);
        let mut line = Vec::new();
        while !self.ended && rows < self.limits.rows && bytes < self.limits.chunk_bytes {
            if rows > 0 && !self.reader.buffer().contains(&b'\n') {
                // The next line would have to be waited for, or is the last: let go what is there.
                break;
            }
            let read = self.read_line(&mut line).with_context(|| format!("cannot read {}", self.name))?;
            if self.line == 1 {
                if let Some(what) = disguise(&line) {
                    bail!("{} {what}", self.name);
                }
                if line.starts_with(b"\xef\xbb\xbf") {
                    line.drain(..3);
                }
            }
            match read {
                Found::End => break,
                Found::TooLong => {
                    let problem = format!(
                        "line {} has more than {} bytes: a sentence a line is expected",
                        self.line, self.limits.line_bytes
                    );
                    problems.insert(rows, problem);
                    sentences.append_null();
                }
                Found::Whole => {
                    let text = String::from_utf8_lossy(&line);
                    if let std::borrow::Cow::Owned(_) = text {
                        problems.insert(rows, not_utf8(self.line, &line));
                    }
                    sentences.append_value(&text);
                }
            }
            bytes += line.len();
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        Chunk::of_sentences(sentences.finish(), problems, self.position).map(Some)
    }
}

fn not_utf8(number: u64, line: &[u8]) -> String {
    let at = std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
    format!(
        "line {number} is not UTF-8 (byte {} is 0x{:02X}): convert the input first, for example with `iconv -f \
         WINDOWS-1252 -t UTF-8`",
        at + 1,
        line.get(at).copied().unwrap_or_default()
    )
}
