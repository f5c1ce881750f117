//! Reading, predicting and writing at the same time.
//!
//! Three threads with a short queue between each two. Rows keep their order, because each thread takes chunks in the
//! order in which they come; memory stays flat, because a thread waits when the queue behind it is full.

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use wellformed_infer::Label;

use crate::input::{Chunk, Source};
use crate::output::Encoder;
use crate::verdict::{Verdict, Verdicts};

/// Chunks that wait in a queue, at most.
const QUEUE: usize = 2;

/// Chunks in memory at a time, at most: one with each of the three threads, and those in the two queues.
pub const CHUNKS_IN_FLIGHT: usize = 3 + 2 * QUEUE;

/// A chunk with its answers.
#[derive(Debug)]
pub struct Answered {
    /// The rows.
    pub chunk: Chunk,
    /// For every row its verdict, or why there is none.
    pub verdicts: Vec<Result<Verdict, String>>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Sentences found acceptable.
    pub acceptable: u64,
    /// Sentences found unacceptable.
    pub unacceptable: u64,
    /// Rows that could not be predicted.
    pub errors: u64,
    /// How long it took, from the first row on.
    pub elapsed: Duration,
    /// Whether the reader of our output went away before its end, as `head` does.
    pub cut_off: bool,
}

impl Summary {
    /// Rows.
    pub fn rows(&self) -> u64 {
        self.acceptable + self.unacceptable + self.errors
    }

    /// In one line.
    pub fn line(&self) -> String {
        let (predicted, seconds) = (self.acceptable + self.unacceptable, self.elapsed.as_secs_f64());
        let share = if predicted == 0 { 0.0 } else { 100.0 * self.acceptable as f64 / predicted as f64 };
        let counted = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        format!(
            "{}: {} acceptable ({share:.1} %), {} unacceptable, {}; {seconds:.1} s, {:.0} sentences/s",
            counted(self.rows(), "sentence"),
            self.acceptable,
            self.unacceptable,
            counted(self.errors, "error"),
            self.rows() as f64 / seconds.max(1e-9)
        )
    }

    fn add(&mut self, answered: &Answered) {
        for verdict in &answered.verdicts {
            match verdict.as_ref().map(|verdict| verdict.prediction.label) {
                Ok(Label::Acceptable) => self.acceptable += 1,
                Ok(Label::Unacceptable) => self.unacceptable += 1,
                Err(_) => self.errors += 1,
            }
        }
    }
}

/// Where results go.
pub struct Target<'a> {
    /// What stands for it in messages.
    pub name: &'a str,
    /// The stream.
    pub stream: &'a mut dyn Write,
}

/// Sends all rows of a source through the model into a target. `watch` is told after each chunk what has come of it,
/// and how far into the input that is.
///
/// When the target's reader has gone, the rest is left undone and the summary says so. The threads are not waited for
/// then, nor after an error: the reading one may be waiting for input that never comes.
///
/// # Errors
///
/// When reading or writing fails.
pub fn run(
    mut source: Box<dyn Source>,
    verdicts: Verdicts,
    encoder: &mut dyn Encoder,
    target: Target<'_>,
    watch: &mut dyn FnMut(&Summary, u64),
) -> Result<Summary> {
    let started = Instant::now();
    let (to_predict, to_be_predicted) = sync_channel::<Result<Chunk>>(QUEUE);
    let (to_write, to_be_written) = sync_channel::<Result<Answered>>(QUEUE);
    let reading = thread::Builder::new().name("read".to_owned()).spawn(move || {
        while let Some(chunk) = source.next_chunk().transpose() {
            let failed = chunk.is_err();
            if to_predict.send(chunk).is_err() || failed {
                break;
            }
        }
    })?;
    let predicting = thread::Builder::new().name("predict".to_owned()).spawn(move || {
        for chunk in to_be_predicted {
            let answered = chunk.and_then(|chunk| answer(chunk, &verdicts));
            let failed = answered.is_err();
            if to_write.send(answered).is_err() || failed {
                break;
            }
        }
    })?;
    let mut summary = Summary::default();
    let mut bytes = Vec::new();
    let mut write = |bytes: &mut Vec<u8>| -> Result<bool> {
        let written = target.stream.write_all(bytes).and_then(|()| target.stream.flush());
        bytes.clear();
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot write {}", target.name)),
        }
    };
    for answered in to_be_written {
        let answered = answered?;
        encoder.encode(&answered, &mut bytes).with_context(|| format!("cannot write {}", target.name))?;
        summary.add(&answered);
        summary.elapsed = started.elapsed();
        if !write(&mut bytes)? {
            return Ok(Summary { cut_off: true, ..summary });
        }
        watch(&summary, answered.chunk.position);
    }
    // The predicting thread has ended, well or in a panic, and in the first case so has the reading one.
    for thread in [predicting, reading] {
        if let Err(panic) = thread.join() {
            resume_unwind(panic);
        }
    }
    encoder.finish(&mut bytes).with_context(|| format!("cannot write {}", target.name))?;
    let cut_off = !write(&mut bytes)?;
    Ok(Summary { cut_off, elapsed: started.elapsed(), ..summary })
}

fn answer(chunk: Chunk, verdicts: &Verdicts) -> Result<Answered> {
    let rows: Vec<Result<&str, &str>> = (0..chunk.rows()).map(|row| chunk.sentence(row)).collect();
    let sentences: Vec<&str> = rows.iter().filter_map(|row| row.ok()).collect();
    let mut answers = verdicts(&sentences).into_iter();
    let verdicts = rows.into_iter().map(|row| {
        if let Err(problem) = row {
            return Ok(Err(problem.to_owned()));
        }
        let answer = answers.next().ok_or_else(|| anyhow!("there are fewer answers than sentences"))?;
        Ok(answer.map_err(|error| error.to_string()))
    });
    let verdicts = verdicts.collect::<Result<_>>()?;
    Ok(Answered { chunk, verdicts })
}
