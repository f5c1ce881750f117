//! What the pipeline promises: order, flat memory, answers at once, an end.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Result, bail};
use arrow::datatypes::SchemaRef;
use wellformed_predict::input::{Chunk, Extent, Given, Limits, Lines, Source};
use wellformed_predict::output::{OutputFormat, Text};
use wellformed_predict::pipeline::{CHUNKS_IN_FLIGHT, Summary, Target, run};

use crate::support::{Pieces, chunks, lines, text, verdicts};

fn piped(pieces: &[&str]) -> Box<dyn Source> {
    let pieces = Pieces(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect());
    Box::new(Lines::new(Box::new(pieces), "input", None, Limits::default()))
}

/// Chunks of one sentence, without end or up to a count, and how many of them there have been.
struct Counted {
    made: Arc<AtomicUsize>,
    most: Option<usize>,
    fails: bool,
}

impl Source for Counted {
    fn schema(&self) -> SchemaRef {
        Given::new(Vec::new()).schema()
    }

    fn sentence(&self) -> usize {
        0
    }

    fn extent(&self) -> Option<Extent> {
        None
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.most == Some(self.made.load(Ordering::SeqCst)) {
            if self.fails {
                bail!("the input broke");
            }
            return Ok(None);
        }
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        Given::new(vec![format!("Chunk {number} is good.")]).next_chunk()
    }
}

fn through(source: Box<dyn Source>, stream: &mut dyn Write) -> Result<Summary> {
    run(source, verdicts(), &mut Text::new(true, false), Target { name: "the test", stream }, &mut |_, _| {})
}

#[test]
fn rows_keep_their_order_over_chunks_of_any_size() {
    let mut pieces = Vec::new();
    let mut row = 0;
    for size in [1, 700, 3, 5000, 2, 1, 1] {
        pieces.push((row..row + size).map(|row| format!("{row} good\n")).collect::<String>().into_bytes());
        row += size;
    }
    let source = Lines::new(Box::new(Pieces(pieces.into())), "input", None, Limits::default());
    let written = text(Box::new(source), OutputFormat::Text);
    for (row, line) in written.lines().enumerate() {
        assert!(line.ends_with(&format!("  {row} good")), "row {row} is {line}");
    }
    assert_eq!(written.lines().count(), row);
}

#[test]
fn however_slow_the_writer_only_so_many_chunks_are_in_memory() {
    struct Slow {
        made: Arc<AtomicUsize>,
        written: usize,
        most: usize,
    }
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Time for the other threads to run ahead, if they could.
            std::thread::sleep(Duration::from_millis(5));
            self.most = self.most.max(self.made.load(Ordering::SeqCst) - self.written);
            self.written += 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let made = Arc::new(AtomicUsize::new(0));
    let source = Counted { made: Arc::clone(&made), most: Some(100), fails: false };
    let mut slow = Slow { made, written: 0, most: 0 };
    let summary = through(Box::new(source), &mut slow).unwrap();
    assert_eq!((summary.acceptable, slow.written), (100, 100), "a write for each chunk");
    assert!(slow.most <= CHUNKS_IN_FLIGHT, "{} chunks were in memory", slow.most);
    assert!(slow.most > 1, "reading and writing overlap");
}

#[test]
fn chunks_have_so_many_rows_and_bytes_and_wait_for_nothing() {
    let sizes = |source| chunks(source).iter().map(Chunk::rows).collect::<Vec<_>>();
    assert_eq!(sizes(piped(&["one\ntwo\nth", "ree\nfour", "\n", "five"])), [2, 1, 1, 1]);
    assert_eq!(sizes(lines("a\n".repeat(10_000))), [4096, 4096, 1808]);
    assert_eq!(sizes(lines(format!("{}\n", "a".repeat(1 << 20)).repeat(9)))[0], 1, "long lines do not fit the buffer");
    let limits = Limits { rows: 3, chunk_bytes: 10, ..Limits::default() };
    let limited =
        |text: &str| sizes(Box::new(Lines::new(Box::new(io::Cursor::new(text.to_owned())), "", None, limits)));
    assert_eq!(limited("a\nb\nc\nd\n"), [3, 1]);
    assert_eq!(limited("1234567\n1234567\n1234567\n"), [2, 1]);
}

#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    struct Typed(Receiver<&'static str>);
    impl Read for Typed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Ok(text) = self.0.recv() else { return Ok(0) };
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }
    struct Seen(Sender<String>);
    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (keys, typed) = channel();
    let (seen, screen) = channel();
    let running = std::thread::spawn(move || {
        let source = Lines::new(Box::new(Typed(typed)), "input", None, Limits::default());
        through(Box::new(source), &mut Seen(seen))
    });
    for (line, answer) in [("One good\n", "acceptable"), ("Two\n", "unacceptable")] {
        keys.send(line).unwrap();
        let shown = screen.recv_timeout(Duration::from_mins(1)).expect("an answer while the input is open");
        assert!(shown.starts_with(answer), "{shown}");
    }
    drop(keys);
    assert_eq!(running.join().unwrap().unwrap().rows(), 2);
}

/// Takes so many writes, then fails.
struct Fails(usize, io::ErrorKind);

impl Write for Fails {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(self.1.into());
        }
        self.0 -= 1;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn when_the_reader_of_the_output_goes_an_endless_input_comes_to_an_end() {
    let source = Counted { made: Arc::new(AtomicUsize::new(0)), most: None, fails: false };
    let summary = through(Box::new(source), &mut Fails(3, io::ErrorKind::BrokenPipe)).unwrap();
    assert!(summary.cut_off);
}

#[test]
fn when_the_output_fails_so_does_the_run_also_while_the_input_is_waited_for() {
    /// A line, and then nothing for ever.
    struct Stuck(bool);
    impl Read for Stuck {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 {
                loop {
                    std::thread::park();
                }
            }
            self.0 = true;
            buffer[..5].copy_from_slice(b"good\n");
            Ok(5)
        }
    }
    let source = Lines::new(Box::new(Stuck(false)), "input", None, Limits::default());
    let error = through(Box::new(source), &mut Fails(0, io::ErrorKind::StorageFull)).unwrap_err();
    assert!(format!("{error:#}").starts_with("cannot write the test: "), "{error:#}");
}

#[test]
fn when_the_input_breaks_what_came_before_is_written_and_the_run_fails() {
    let source = Counted { made: Arc::new(AtomicUsize::new(0)), most: Some(20), fails: true };
    let mut written = Vec::new();
    let error = through(Box::new(source), &mut written).unwrap_err();
    assert_eq!(error.to_string(), "the input broke");
    assert_eq!(String::from_utf8(written).unwrap().lines().count(), 20);
}

#[test]
fn rows_that_cannot_be_predicted_do_not_reach_the_model_and_the_others_keep_their_answers() {
    let written = text(lines(b"good 1\n\xff\nbad 2\n\n\xfe\ngood 3\n"), OutputFormat::Text);
    let words: Vec<&str> = written.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["acceptable", "error", "unacceptable", "error", "error", "acceptable"]);
}

#[test]
#[should_panic(expected = "a bug in the model")]
fn a_panic_in_the_model_is_not_taken_for_the_end_of_the_input() {
    let verdicts = Box::new(|_: &[&str]| panic!("a bug in the model"));
    let target = Target { name: "the test", stream: &mut Vec::new() };
    let _ = run(lines("good\n"), verdicts, &mut Text::new(true, false), target, &mut |_, _| {});
}

#[test]
fn the_summary_is_one_line_with_counts_and_share() {
    let summary =
        Summary { acceptable: 2, unacceptable: 1, errors: 1, elapsed: Duration::from_secs(2), cut_off: false };
    assert_eq!(summary.line(), "4 sentences: 2 acceptable (66.7 %), 1 unacceptable, 1 error; 2.0 s, 2 sentences/s");
}
