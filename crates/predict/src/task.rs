//! What is to be done, and the doing of it.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use wellformed_core::files::write_whole;
use wellformed_infer::{Options, Perturbation};

use crate::input::{Given, InputFormat, Limits, Source, open_file, open_stdin};
use crate::layout::Layout;
use crate::output::{Encoder, OutputFormat, encoder};
use crate::pipeline::{self, Summary, Target};
use crate::progress::Progress;
use crate::verdict::{self, Verdicts};

/// Rows of a chunk when each of them is explained, which takes as long as predicting it once for every word.
const EXPLAINED_ROWS: usize = 64;

/// Where sentences come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The command line.
    Sentences(Vec<String>),
    /// Standard input.
    Stdin(InputFormat),
    /// A file.
    File(PathBuf, InputFormat),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The folder of the bundle.
    pub bundle: PathBuf,
    /// Which of its models, on how many threads.
    pub options: Options,
    /// Where sentences come from.
    pub input: Input,
    /// The column with the sentences, where there are columns.
    pub column: String,
    /// How results are written.
    pub format: OutputFormat,
    /// Where to; `None` is standard output.
    pub output: Option<PathBuf>,
    /// Whether the sentences are repeated in the result.
    pub sentence: bool,
    /// Whether the words that weigh are found, and how.
    pub explain: Option<Perturbation>,
    /// Nothing but results and errors.
    pub quiet: bool,
    /// Colour in text.
    pub colour: bool,
}

/// Predicts. A bar while it takes long, and a summary at the end of more than sentences from the command line, go to
/// stderr.
///
/// # Errors
///
/// When the bundle, the input or the output is at fault. A row that cannot be predicted is no error of this kind: it is
/// in the result, and counted in the summary.
pub fn predict(task: &Task) -> Result<Summary> {
    let mut limits = Limits::default();
    if task.explain.is_some() {
        limits.rows = EXPLAINED_ROWS;
    }
    let source: Box<dyn Source> = match &task.input {
        Input::Sentences(sentences) => Box::new(Given::new(sentences.clone())),
        Input::Stdin(format) => open_stdin(*format, &task.column, limits)?,
        Input::File(path, format) => open_file(path, *format, &task.column, limits)?,
    };
    let bulk = !matches!(task.input, Input::Sentences(_));
    let layout = Layout::new(&*source, task.sentence, task.explain.is_some());
    if task.format != OutputFormat::Text && !task.quiet {
        for (name, instead) in layout.renamed() {
            eprintln!("note: the input has a column {name:?} already; ours is called {instead:?}");
        }
    }
    let mut encoder = encoder(task.format, layout, task.sentence, task.colour)?;
    let verdicts = verdict::open(&task.bundle, &task.options, task.explain)?;
    // On one terminal, a bar and results would be in each other's way.
    let hidden = task.quiet || !bulk || (task.output.is_none() && io::stdout().is_terminal());
    let progress = Progress::new(source.extent(), hidden);
    let summary = write(task, source, verdicts, &mut *encoder, &progress);
    progress.end();
    let summary = summary?;
    if bulk && !task.quiet && !summary.cut_off {
        eprintln!("{}", summary.line());
    }
    Ok(summary)
}

fn write(
    task: &Task,
    source: Box<dyn Source>,
    verdicts: Verdicts,
    encoder: &mut dyn Encoder,
    progress: &Progress,
) -> Result<Summary> {
    let mut watch = |summary: &Summary, position: u64| progress.show(summary, position);
    let Some(path) = &task.output else {
        let target = Target { name: "standard output", stream: &mut io::stdout().lock() };
        return pipeline::run(source, verdicts, encoder, target, &mut watch);
    };
    if path.exists() && !path.is_file() {
        bail!("--output {} is not a file: leave --output away, and send standard output there", path.display());
    }
    let name = path.display().to_string();
    let mut outcome = None;
    let written = write_whole(path, |stream| {
        let result = pipeline::run(source, verdicts, encoder, Target { name: &name, stream }, &mut watch);
        let kept = result.as_ref().map(|_| ()).map_err(|_| anyhow!("stopped"));
        outcome = Some(result);
        kept
    });
    match outcome {
        // What went wrong inside says it better than that writing was given up.
        Some(Err(error)) => Err(error),
        Some(Ok(summary)) => written.map(|()| summary),
        None => Err(written.err().unwrap_or_else(|| anyhow!("nothing was written to {name}"))),
    }
}
