//! A queue and a thread for each sink.
//!
//! A queue has room for [`CAPACITY`] entries, which is hours of training. When a sink falls so far behind, the oldest
//! system metrics give way, then the oldest rows of scalars; tables, charts, artifacts, summaries, start and finish
//! never do. What was dropped is told at the end.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};

use crate::machine::Sampler;
use crate::sink::{Artifact, Chart, Matrix, Outcome, Run, Sample, Sink, Table};

/// Entries that wait for one sink.
pub const CAPACITY: usize = 1 << 16;

/// System samples that wait for one sink: ten minutes' worth.
const SAMPLES: usize = 64;

/// How often a sink looks whether there are rows of scalars.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Entries at which it is woken to look at once.
const WAKE_AT: usize = 1024;

/// Time between two looks at the machine.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What a sink is to do.
#[derive(Debug)]
enum Entry {
    Start(Arc<Run>),
    Scalars(u64, Vec<(String, f64)>),
    Summary(Vec<(String, f64)>),
    Table(Table),
    Matrix(Matrix),
    Chart(Chart),
    Artifact(Artifact),
    Finish(Outcome),
}

/// A run that is being written. Dropped without [`Tracker::finish`], as a panic does, it marks the run as crashed.
#[derive(Debug)]
pub struct Tracker {
    workers: Vec<Worker>,
    sampler: Option<Sampling>,
    finished: bool,
}

impl Tracker {
    /// A tracker that writes nowhere.
    pub fn off() -> Self {
        Self { workers: Vec::new(), sampler: None, finished: true }
    }

    /// Starts a run in every sink, and the sampling of the machine.
    pub fn start(run: Run, sinks: Vec<Box<dyn Sink>>) -> Self {
        Self::start_with(run, sinks, CAPACITY)
    }

    /// As [`Tracker::start`], with queues of another capacity.
    pub fn start_with(run: Run, sinks: Vec<Box<dyn Sink>>, capacity: usize) -> Self {
        if sinks.is_empty() {
            return Self::off();
        }
        let run = Arc::new(run);
        let workers: Vec<Worker> = sinks.into_iter().map(|sink| Worker::start(sink, capacity)).collect();
        let sampler = Sampling::start(workers.iter().map(|worker| Arc::clone(&worker.queue)).collect());
        let tracker = Self { workers, sampler: Some(sampler), finished: false };
        tracker.push(Entry::Start(run));
        tracker
    }

    /// Numbers at an optimiser step: one row. By convention `step` and `epoch` are among them, as the axes of what
    /// begins with `train/` and `epoch/`.
    pub fn scalars(&self, step: u64, values: &[(&str, f64)]) {
        if !self.workers.is_empty() {
            self.push(Entry::Scalars(step, owned(values)));
        }
    }

    /// Numbers that stand for the whole run.
    pub fn summary(&self, values: &[(&str, f64)]) {
        self.push(Entry::Summary(owned(values)));
    }

    /// A table.
    pub fn table(&self, table: Table) {
        self.push(Entry::Table(table));
    }

    /// A confusion matrix.
    pub fn matrix(&self, matrix: Matrix) {
        self.push(Entry::Matrix(matrix));
    }

    /// A table that is to be drawn.
    pub fn chart(&self, chart: Chart) {
        self.push(Entry::Chart(chart));
    }

    /// A folder of files. Its content is taken when the sink gets to it: do not change it before [`Tracker::finish`].
    pub fn artifact(&self, artifact: Artifact) {
        self.push(Entry::Artifact(artifact));
    }

    /// Waits until every sink has written what it was told so far, but no longer than `limit`. For the moments after
    /// which the caller would not tell it again, should the process be killed.
    pub fn settle(&self, limit: Duration) {
        let since = Instant::now();
        for worker in &self.workers {
            worker.queue.settle(limit.saturating_sub(since.elapsed()));
        }
    }

    /// Ends the run and waits, within limits, until every sink has written everything.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn push(&self, entry: Entry) {
        let (entry, time) = (Arc::new(entry), SystemTime::now());
        for worker in &self.workers {
            worker.queue.push(time, Arc::clone(&entry));
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if self.finished {
            return;
        }
        self.finished = true;
        if let Some(sampler) = self.sampler.take() {
            sampler.stop();
        }
        self.push(Entry::Finish(outcome));
        let since = Instant::now();
        for worker in self.workers.drain(..) {
            worker.end(since);
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.end(Outcome::Crashed);
    }
}

fn owned(values: &[(&str, f64)]) -> Vec<(String, f64)> {
    values.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}

/// What waits for a sink.
#[derive(Debug)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<(SystemTime, Arc<Entry>)>,
    samples: VecDeque<(SystemTime, Arc<Sample>)>,
    lost_rows: usize,
    lost_samples: usize,
    /// The sink is writing what it took out of the queue.
    busy: bool,
    /// The sink takes nothing more: it has failed or finished.
    closed: bool,
}

impl Queue {
    /// A panic while the lock was held cannot leave a queue half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, time: SystemTime, entry: Arc<Entry>) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        if waiting.entries.len() + waiting.samples.len() >= self.capacity {
            if waiting.samples.pop_front().is_some() {
                waiting.lost_samples += 1;
            // What may not be lost is a handful of entries, so a row is found at once.
            } else if let Some(at) = waiting.entries.iter().position(|(_, entry)| matches!(**entry, Entry::Scalars(..)))
            {
                waiting.entries.remove(at);
                waiting.lost_rows += 1;
            }
        }
        // To wake another thread costs more than all the rest, and lets it in at once where processors are short. Rows
        // of scalars wait for the sink to look.
        let wake = !matches!(*entry, Entry::Scalars(..)) || waiting.entries.len() == WAKE_AT;
        waiting.entries.push_back((time, entry));
        drop(waiting);
        if wake {
            self.changed.notify_all();
        }
    }

    fn push_sample(&self, time: SystemTime, sample: Arc<Sample>) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        let is_full = waiting.entries.len() + waiting.samples.len() >= self.capacity;
        if (is_full || waiting.samples.len() >= SAMPLES) && waiting.samples.pop_front().is_some() {
            waiting.lost_samples += 1;
        } else if is_full {
            waiting.lost_samples += 1;
            return;
        }
        waiting.samples.push_back((time, sample));
    }

    /// Waits until the sink has written all entries, or takes nothing more.
    fn settle(&self, limit: Duration) {
        // Rows of scalars do not wake the sink by themselves.
        self.changed.notify_all();
        let unsettled = |waiting: &mut Waiting| !waiting.closed && (waiting.busy || !waiting.entries.is_empty());
        // Whoever comes too late goes on: nothing is lost but what a killed process loses.
        let _ = self.changed.wait_timeout_while(self.lock(), limit, unsettled);
    }

    fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.entries.clear();
        waiting.samples.clear();
        drop(waiting);
        self.changed.notify_all();
    }
}

/// A sink with its thread.
#[derive(Debug)]
struct Worker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    name: &'static str,
    patience: Duration,
}

impl Worker {
    fn start(sink: Box<dyn Sink>, capacity: usize) -> Self {
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), capacity });
        let (name, patience) = (sink.name(), sink.patience());
        let theirs = Arc::clone(&queue);
        let thread = thread::Builder::new().name(format!("track {name}")).spawn(move || work(sink, &theirs));
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                warn(name, &error.to_string());
                queue.close();
                None
            }
        };
        Self { queue, thread, name, patience }
    }

    /// Waits until the sink is through, for as long as it asks for.
    fn end(self, since: Instant) {
        let mut waiting = self.queue.lock();
        while !waiting.closed {
            let Some(left) = self.patience.checked_sub(since.elapsed()) else { break };
            let result = self.queue.changed.wait_timeout(waiting, left);
            waiting = result.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (closed, rows, samples) = (waiting.closed, waiting.lost_rows, waiting.lost_samples);
        drop(waiting);
        if !closed {
            warn(self.name, &format!("it did not end within {} s", self.patience.as_secs()));
        } else if let Some(thread) = self.thread {
            // The thread has nothing left to do.
            let _ = thread.join();
        }
        if rows + samples > 0 {
            eprintln!(
                "warning: the sink {} did not keep up, so {rows} rows of scalars and {samples} samples of the \
                 machine's load were left out of it",
                self.name
            );
        }
    }
}

fn warn(name: &str, problem: &str) {
    eprintln!("warning: the sink {name} is dropped, and the run goes on without it: {problem}");
}

/// A sink's thread: entries in order until the last, or until one fails.
fn work(mut sink: Box<dyn Sink>, queue: &Queue) {
    let name = sink.name();
    let mut through = || -> Result<()> {
        let mut started = false;
        loop {
            let mut waiting = queue.lock();
            if std::mem::take(&mut waiting.busy) {
                queue.changed.notify_all();
            }
            while waiting.entries.is_empty() && (waiting.samples.is_empty() || !started) {
                let woken = queue.changed.wait_timeout(waiting, LOOK_EVERY);
                waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            let entries = std::mem::take(&mut waiting.entries);
            waiting.busy = true;
            // A sample that was taken before the start is written after it.
            let samples = if started { std::mem::take(&mut waiting.samples) } else { VecDeque::new() };
            drop(waiting);
            for (time, sample) in samples {
                sink.system(time, &sample)?;
            }
            for (time, entry) in entries {
                match &*entry {
                    Entry::Start(run) => sink.start(run)?,
                    Entry::Scalars(step, values) => sink.scalars(time, *step, values)?,
                    Entry::Summary(values) => sink.summary(time, values)?,
                    Entry::Table(table) => sink.table(time, table)?,
                    Entry::Matrix(matrix) => sink.matrix(time, matrix)?,
                    Entry::Chart(chart) => sink.chart(time, chart)?,
                    Entry::Artifact(artifact) => sink.artifact(time, artifact)?,
                    Entry::Finish(outcome) => {
                        let samples = std::mem::take(&mut queue.lock().samples);
                        for (time, sample) in samples {
                            sink.system(time, &sample)?;
                        }
                        return sink.finish(time, *outcome);
                    }
                }
                started = true;
            }
        }
    };
    let result = catch_unwind(AssertUnwindSafe(&mut through));
    let result = result.unwrap_or_else(|_| bail!("it panicked; its own message is above"));
    if let Err(error) = result {
        warn(name, &format!("{error:#}"));
    }
    drop(sink);
    queue.close();
}

/// The thread that looks at the machine.
#[derive(Debug)]
struct Sampling {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Sampling {
    fn start(queues: Vec<Arc<Queue>>) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&stop);
        let sampling = move || {
            let mut sampler = Sampler::new();
            let mut wait = Duration::from_secs(1);
            loop {
                let sample = sampler.sample();
                if !sample.0.is_empty() {
                    let (sample, time) = (Arc::new(sample), SystemTime::now());
                    for queue in &queues {
                        queue.push_sample(time, Arc::clone(&sample));
                    }
                }
                let (stopped, changed) = &*theirs;
                let guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                let (guard, _) = changed
                    .wait_timeout_while(guard, wait, |stopped| !*stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                if *guard {
                    return;
                }
                wait = SAMPLE_EVERY;
            }
        };
        // Without the thread the run lacks samples, nothing else.
        Self { stop, thread: thread::Builder::new().name("track machine".to_owned()).spawn(sampling).ok() }
    }

    fn stop(self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        // A sample in the making ends within the limit of `nvidia-smi`.
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}
