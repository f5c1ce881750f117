//! Sentences wait in a bounded queue, and worker threads take them in batches.
//!
//! A worker that is free takes what waits, up to its share of a batch's tokens. It waits for more only when more is to
//! be expected: when the batch before it had more sentences than are waiting now, and ended less than a window ago. So
//! a single client never waits, and many at once find each other.
//!
//! Whoever asked and has gone, or has waited for too long, has dropped the other end of the channel: such a sentence is
//! left out before it costs anything.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;
use wellformed_infer::{Explanation, Perturbation, Prediction, Tokens};

use crate::metrics::Metrics;
use crate::model::Model;
use crate::settings::Settings;

/// The queue and its workers.
pub(crate) struct Batcher {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    model: Arc<dyn Model>,
    metrics: Arc<Metrics>,
    limits: Limits,
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Limits {
    threads: usize,
    batch_tokens: usize,
    window: Duration,
    sentences: usize,
    tokens: usize,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// The sum of the jobs' costs.
    tokens: usize,
    /// Workers in a batch.
    running: usize,
    /// Sentences of the last batch that was taken, and when a batch last ended.
    last_taken: usize,
    last_end: Option<Instant>,
    closed: bool,
}

struct Job {
    work: Work,
    /// Tokens to compute.
    cost: usize,
    arrived: Instant,
}

enum Work {
    Predict(Tokens, oneshot::Sender<Done<Prediction>>),
    Explain(String, Perturbation, oneshot::Sender<Done<Explanation>>),
}

/// A result, with when its batch began and ended.
struct Done<T> {
    value: T,
    began: Instant,
    ended: Instant,
}

/// Why nothing was taken into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full.
    Full,
    /// The server is stopping.
    Stopping,
}

/// The model failed on the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// What was taken into the queue; waiting for it is giving it up, once dropped.
pub(crate) struct Pending<T> {
    arrived: Instant,
    results: Vec<oneshot::Receiver<Done<T>>>,
}

/// Results in the order in which the sentences were handed in.
pub(crate) struct Finished<T> {
    pub(crate) values: Vec<T>,
    /// From the queue's door to the first batch.
    pub(crate) queued: Duration,
    /// From the first batch's beginning to the last one's end.
    pub(crate) inference: Duration,
}

impl<T> Pending<T> {
    pub(crate) async fn wait(self) -> Result<Finished<T>, Failed> {
        let mut values = Vec::with_capacity(self.results.len());
        let mut span: Option<(Instant, Instant)> = None;
        for result in self.results {
            let done = result.await.map_err(|_| Failed)?;
            let (began, ended) = span.unwrap_or((done.began, done.ended));
            span = Some((began.min(done.began), ended.max(done.ended)));
            values.push(done.value);
        }
        let (began, ended) = span.unwrap_or((self.arrived, self.arrived));
        Ok(Finished { values, queued: began.duration_since(self.arrived), inference: ended.duration_since(began) })
    }
}

impl Batcher {
    /// Starts the worker threads.
    pub(crate) fn start(model: Arc<dyn Model>, metrics: Arc<Metrics>, settings: &Settings) -> Result<Self> {
        let limits = Limits {
            threads: settings.threads.max(1),
            batch_tokens: settings.batch_tokens.max(1),
            window: settings.window,
            sentences: settings.queue_sentences,
            tokens: settings.queue_tokens,
        };
        let queue =
            Queue { jobs: VecDeque::new(), tokens: 0, running: 0, last_taken: 0, last_end: None, closed: false };
        let shared = Arc::new(Shared { model, metrics, limits, queue: Mutex::new(queue), changed: Condvar::new() });
        let mut workers = Vec::new();
        for number in 0..shared.limits.threads {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("predict-{number}"));
            workers.push(thread.spawn(move || shared.work()).context("cannot start a thread that predicts")?);
        }
        Ok(Self { shared, workers: Mutex::new(workers) })
    }

    /// Hands sentences in, all or none.
    pub(crate) fn predict(&self, sentences: Vec<Tokens>) -> Result<Pending<Prediction>, Refused> {
        let arrived = Instant::now();
        let (jobs, results) = sentences
            .into_iter()
            .map(|tokens| {
                let (sender, receiver) = oneshot::channel();
                let cost = tokens.ids.len();
                (Job { work: Work::Predict(tokens, sender), cost, arrived }, receiver)
            })
            .unzip();
        self.submit(jobs)?;
        Ok(Pending { arrived, results })
    }

    /// Hands a sentence in to be explained. `tokens` is its length; explaining computes it about as often as it has
    /// words.
    pub(crate) fn explain(
        &self,
        sentence: String,
        perturbation: Perturbation,
        tokens: usize,
    ) -> Result<Pending<Explanation>, Refused> {
        let arrived = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let work = Work::Explain(sentence, perturbation, sender);
        self.submit(vec![Job { work, cost: tokens * tokens, arrived }])?;
        Ok(Pending { arrived, results: vec![receiver] })
    }

    /// Sentences and tokens that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.jobs.len(), queue.tokens)
    }

    /// Takes nothing more. What is in the queue is still worked on.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// Waits until the workers have ended; only after [`Batcher::close`].
    pub(crate) fn join(&self) {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker catches what its model throws; there is nothing to hear from it.
            let _ = worker.join();
        }
    }

    fn submit(&self, jobs: Vec<Job>) -> Result<(), Refused> {
        let limits = &self.shared.limits;
        let cost: usize = jobs.iter().map(|job| job.cost).sum();
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Refused::Stopping);
        }
        let fits = |queue: &Queue| {
            // Any one request fits into an empty queue: other limits bound how large it is.
            queue.jobs.is_empty()
                || (queue.jobs.len() + jobs.len() <= limits.sentences && queue.tokens + cost <= limits.tokens)
        };
        if !fits(&queue) {
            let abandoned = queue.forget_abandoned();
            self.shared.metrics.abandoned(abandoned);
        }
        if !fits(&queue) {
            return Err(Refused::Full);
        }
        let many = jobs.len() > 1;
        queue.tokens += cost;
        queue.jobs.extend(jobs);
        self.shared.metrics.queue(queue.jobs.len(), queue.tokens);
        drop(queue);
        if many {
            self.shared.changed.notify_all();
        } else {
            self.shared.changed.notify_one();
        }
        Ok(())
    }
}

impl Job {
    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool {
        match &self.work {
            Work::Predict(_, sender) => sender.is_closed(),
            Work::Explain(_, _, sender) => sender.is_closed(),
        }
    }

    fn explains(&self) -> bool {
        matches!(self.work, Work::Explain(..))
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.tokens -= job.cost;
        Some(job)
    }

    fn forget_abandoned(&mut self) -> usize {
        let before = self.jobs.len();
        self.jobs.retain(|job| !job.abandoned());
        self.tokens = self.jobs.iter().map(|job| job.cost).sum();
        before - self.jobs.len()
    }

    /// How long a worker that is free waits before it takes what is there; `None` when it takes it now.
    fn patience(&self, limits: &Limits, now: Instant) -> Option<Duration> {
        let first = self.jobs.front()?;
        let busy = self.running > 0
            || self.last_end.is_some_and(|end| first.arrived.saturating_duration_since(end) < limits.window);
        let enough = self.jobs.len() >= self.last_taken || self.tokens >= limits.batch_tokens;
        if self.closed || !busy || enough || first.explains() {
            return None;
        }
        let left = limits.window.saturating_sub(now.saturating_duration_since(first.arrived));
        (!left.is_zero()).then_some(left)
    }

    /// The next batch: what its tokens allow, shared among the workers that are free; an explanation by itself.
    fn take(&mut self, limits: &Limits) -> Vec<Job> {
        let free = limits.threads.saturating_sub(self.running).max(1);
        let share = self.tokens.div_ceil(free).min(limits.batch_tokens);
        let mut batch: Vec<Job> = Vec::new();
        let mut tokens = 0;
        while let Some(next) = self.jobs.front() {
            let fits = batch.is_empty() || (tokens + next.cost <= share && !next.explains());
            if !fits {
                break;
            }
            tokens += next.cost;
            batch.extend(self.pop());
            if batch[0].explains() {
                break;
            }
        }
        self.last_taken = batch.len();
        batch
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's life.
    fn work(&self) {
        while let Some(batch) = self.next_batch() {
            self.run(batch);
            let mut queue = self.lock();
            queue.running -= 1;
            queue.last_end = Some(Instant::now());
        }
    }

    /// Waits for a batch; `None` when there will be none any more.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        loop {
            if queue.jobs.front().is_some_and(Job::abandoned) {
                let abandoned = queue.forget_abandoned();
                self.metrics.abandoned(abandoned);
                self.metrics.queue(queue.jobs.len(), queue.tokens);
            }
            if queue.jobs.is_empty() {
                if queue.closed {
                    return None;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Some(patience) = queue.patience(&self.limits, Instant::now()) {
                queue = self.changed.wait_timeout(queue, patience).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let mut batch = queue.take(&self.limits);
            let taken = batch.len();
            batch.retain(|job| !job.abandoned());
            self.metrics.abandoned(taken - batch.len());
            self.metrics.queue(queue.jobs.len(), queue.tokens);
            if batch.is_empty() {
                continue;
            }
            queue.running += 1;
            let more = !queue.jobs.is_empty();
            drop(queue);
            if more {
                self.changed.notify_one();
            }
            return Some(batch);
        }
    }

    fn run(&self, batch: Vec<Job>) {
        let began = Instant::now();
        let mut sentences = Vec::with_capacity(batch.len());
        let mut senders = Vec::with_capacity(batch.len());
        for job in batch {
            match job.work {
                Work::Predict(tokens, sender) => {
                    sentences.push(tokens);
                    senders.push(sender);
                }
                Work::Explain(sentence, perturbation, sender) => {
                    self.explain(&sentence, perturbation, sender);
                    return;
                }
            }
        }
        let tokens = sentences.iter().map(|tokens| tokens.ids.len()).sum();
        // A model that panics costs its batch, not the server: the senders are dropped, and their requests fail.
        let Ok(predictions) = catch_unwind(AssertUnwindSafe(|| self.model.run(&sentences))) else { return };
        let ended = Instant::now();
        self.metrics.batch(sentences.len(), tokens, ended.duration_since(began));
        for (sender, value) in senders.into_iter().zip(predictions) {
            // Whoever has gone does not hear it.
            let _ = sender.send(Done { value, began, ended });
        }
    }

    fn explain(&self, sentence: &str, perturbation: Perturbation, sender: oneshot::Sender<Done<Explanation>>) {
        let began = Instant::now();
        let explained = catch_unwind(AssertUnwindSafe(|| self.model.explain(sentence, perturbation)));
        // An empty sentence was refused when it was tokenised.
        let Ok(Ok(value)) = explained else { return };
        let _ = sender.send(Done { value, began, ended: Instant::now() });
    }
}
