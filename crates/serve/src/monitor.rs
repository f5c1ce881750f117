//! The server's own monitor: its last predictions, held against the bundle's reference profile.
//!
//! ```text
//!  answers ─► records ─► channel ─► thread: window ─► verdict ─► page, JSON, metrics
//!                        (bounded)            (when somebody asks)
//! ```
//!
//! A record is handed over without waiting: where the channel is full, it is lost and counted. The thread owns the
//! window, and judges it when it is asked to, and never sooner after the last time than its rest. Whoever asks
//! meanwhile gets what was found last. So a verdict costs one core a fraction of a second now and then, and no answer
//! waits for it.

mod recent;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;
use wellformed_core::record::Record;
use wellformed_verdict::{Judge, Verdict, notice, policy};

use crate::metrics::seconds;
use crate::problem::{Code, Problem};
use crate::server::App;

use self::recent::Recent;

/// Records that may wait for the thread.
const WAITING: usize = 4096;

/// How long the thread sleeps while records come, so that it takes many in one go and is not woken by each.
const BEAT: Duration = Duration::from_millis(50);

/// Where the page leads back to.
const HOME: &str = "/";

/// The page's own policy, which allows its style and nothing else. It may be shown in no frame.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    HeaderValue::from_str(&format!("{}; frame-ancestors 'none'", policy()))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The server's own monitor, or why there is none.
#[derive(Clone)]
pub struct Monitor(Kind);

#[derive(Clone)]
enum Kind {
    Off,
    NoProfile,
    On(Arc<Handle>),
}

/// The end of the monitor that the server holds.
struct Handle {
    records: SyncSender<Message>,
    thread: Thread,
    shared: Arc<Shared>,
    last: watch::Receiver<Option<Judged>>,
    rest: Duration,
}

/// A record; or nothing, which only wakes the thread.
type Message = Option<Record>;

/// What both ends see.
#[derive(Default)]
struct Shared {
    asked: AtomicBool,
    ending: AtomicBool,
    gauges: Gauges,
}

/// The window as it was judged last.
#[derive(Clone)]
struct Judged {
    at: Instant,
    /// The page and the report as JSON, or what failed.
    found: Result<(Bytes, Bytes), Arc<str>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

struct Gauges {
    verdict: Family<VerdictLabels, Gauge>,
    judged: Gauge<f64, AtomicU64>,
    judging: Histogram,
    window: Gauge,
    lost: Counter,
}

impl Monitor {
    /// No monitor.
    pub fn off() -> Self {
        Self(Kind::Off)
    }

    /// No monitor, because the bundle has no profile.
    pub fn without_profile() -> Self {
        Self(Kind::NoProfile)
    }

    /// Watches the last `window` records, as `monitor check --last` does. They are judged when somebody asks, and never
    /// sooner than `rest` after the last time.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn start(judge: Judge, window: usize, rest: Duration) -> Result<Self> {
        let (records, receiver) = sync_channel(WAITING);
        let (sender, last) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let work = Work {
            records: receiver,
            shared: Arc::clone(&shared),
            recent: Recent::new(window),
            judge,
            last: sender,
            judged: None,
            rest,
        };
        let thread = thread::Builder::new().name("monitor".to_owned());
        // It is not waited for at the end: it has nothing to finish, and may be in the middle of a verdict.
        let thread = thread.spawn(move || work.run()).context("cannot start the thread that watches predictions")?;
        let thread = thread.thread().clone();
        Ok(Self(Kind::On(Arc::new(Handle { records, thread, shared, last, rest }))))
    }

    /// Whether records are of use.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.0, Kind::On(_))
    }

    /// Hands a record over. It never waits.
    pub(crate) fn take(&self, mut record: Record) {
        let Kind::On(handle) = &self.0 else { return };
        recent::shorten(&mut record);
        if handle.records.try_send(Some(record)).is_err() {
            handle.shared.gauges.lost.inc();
        }
    }

    /// Asks for a verdict, if the last one is old enough, without waiting for it.
    pub(crate) fn ask(&self) {
        if let Kind::On(handle) = &self.0
            && handle.is_due()
        {
            handle.ask();
        }
    }

    /// Takes no more, and lets the thread end.
    pub(crate) fn finish(&self) {
        if let Kind::On(handle) = &self.0 {
            handle.shared.ending.store(true, Ordering::Release);
            handle.wake();
        }
    }

    /// What there is to see, in the metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Kind::On(handle) = &self.0 else { return };
        let gauges = &handle.shared.gauges;
        gauges.show(None);
        let help = "1 for the last verdict on the server's own predictions, 0 for the others";
        registry.register("monitor_verdict", help, gauges.verdict.clone());
        let help = "When the verdict was found, in Unix time; 0 before the first";
        registry.register_with_unit("monitor_judged", help, Unit::Seconds, gauges.judged.clone());
        let help = "Time that a verdict takes the monitor's thread";
        registry.register_with_unit("monitor_judging", help, Unit::Seconds, gauges.judging.clone());
        registry.register("monitor_window_records", "Records that are judged", gauges.window.clone());
        let help = "Records that the monitor's thread could not take in time";
        registry.register("monitor_records_lost", help, gauges.lost.clone());
    }

    /// The page and the report as JSON, as they were found within the rest, or found now.
    async fn latest(&self) -> Result<(Bytes, Bytes), Problem> {
        let handle = match &self.0 {
            Kind::On(handle) => handle,
            Kind::Off => return Err(Problem::monitor_off()),
            Kind::NoProfile => return Err(Problem::no_profile()),
        };
        let mut last = handle.last.clone();
        if handle.is_due() {
            last.mark_unchanged();
            handle.ask();
            // It ends after the last answer, unless something went wrong in it.
            last.changed().await.map_err(|_| Problem::no_verdict("the monitor's thread has ended"))?;
        }
        let judged = last.borrow().clone();
        let judged = judged.ok_or_else(|| Problem::no_verdict("nothing was found"))?;
        judged.found.map_err(|error| Problem::no_verdict(&error))
    }
}

impl Handle {
    fn is_due(&self) -> bool {
        self.last.borrow().as_ref().is_none_or(|judged| judged.at.elapsed() >= self.rest)
    }

    fn ask(&self) {
        self.shared.asked.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the thread wherever it sleeps. Where the channel is full, it does not sleep at the channel.
    fn wake(&self) {
        let _ = self.records.try_send(None);
        self.thread.unpark();
    }
}

impl Default for Gauges {
    fn default() -> Self {
        Self {
            verdict: Family::default(),
            judged: Gauge::default(),
            judging: seconds(),
            window: Gauge::default(),
            lost: Counter::default(),
        }
    }
}

impl Gauges {
    /// Shows a verdict, or that there is none yet.
    fn show(&self, found: Option<Verdict>) {
        for verdict in Verdict::ALL {
            let gauge = self.verdict.get_or_create(&VerdictLabels { verdict: verdict.name() });
            gauge.set(i64::from(found == Some(verdict)));
        }
    }
}

/// The thread's end.
struct Work {
    records: Receiver<Message>,
    shared: Arc<Shared>,
    recent: Recent,
    judge: Judge,
    last: watch::Sender<Option<Judged>>,
    /// What was said last, and how many records had come by then.
    judged: Option<(Judged, u64)>,
    rest: Duration,
}

impl Work {
    fn run(mut self) {
        // Thresholds are made on Rayon's threads. Here this thread alone is meant: the cores are for predicting.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        if let Err(error) = &alone {
            eprintln!("warning: the monitor's thread cannot keep to itself, and takes all cores to judge: {error}");
        }
        while !self.shared.ending.load(Ordering::Acquire) {
            let asked = self.shared.asked.swap(false, Ordering::AcqRel);
            let came = self.take_all();
            if asked {
                self.answer();
                continue;
            }
            if !came {
                let Ok(message) = self.records.recv() else { return };
                self.take(message);
            }
            if !self.shared.asked.load(Ordering::Acquire) && !self.shared.ending.load(Ordering::Acquire) {
                thread::park_timeout(BEAT);
            }
        }
    }

    /// Takes what waits; whether anything did.
    fn take_all(&mut self) -> bool {
        let mut came = false;
        while let Ok(message) = self.records.try_recv() {
            self.take(message);
            came = true;
        }
        came
    }

    fn take(&mut self, message: Message) {
        if let Some(record) = message {
            self.recent.take(record);
            self.shared.gauges.window.set(self.recent.len() as i64);
        }
    }

    /// Tells everyone who waits what is found, which is what was found last if nothing has come since.
    fn answer(&mut self) {
        let known = self.judged.take();
        let resting = |judged: &Judged| judged.at.elapsed() < self.rest;
        let (judged, seen) = match known {
            Some((judged, seen)) if resting(&judged) => (judged, seen),
            Some((judged, seen)) if seen == self.recent.seen() => (Judged { at: Instant::now(), ..judged }, seen),
            _ => (self.find(), self.recent.seen()),
        };
        self.judged = Some((judged.clone(), seen));
        self.last.send_replace(Some(judged));
    }

    fn find(&mut self) -> Judged {
        let gauges = &self.shared.gauges;
        let began = Instant::now();
        let found = self.recent.judge(&mut self.judge, gauges.lost.get(), HOME);
        gauges.judging.observe(began.elapsed().as_secs_f64());
        let found = match found {
            Ok((verdict, page, json)) => {
                gauges.show(Some(verdict));
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                gauges.judged.set(now.as_secs_f64());
                Ok((Bytes::from(page), Bytes::from(json)))
            }
            Err(error) => {
                gauges.show(None);
                eprintln!("warning: the server's predictions cannot be judged: {error:#}");
                Err(Arc::from(format!("{error:#}")))
            }
        };
        Judged { at: Instant::now(), found }
    }
}

/// `GET /monitor`: the page, or the report for a client that asks for JSON.
pub(crate) async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let vary = [(VARY, HeaderValue::from_static("accept"))];
    if prefers_json(&headers) {
        return (vary, report(State(app)).await).into_response();
    }
    let policy = [(CONTENT_SECURITY_POLICY, POLICY.clone())];
    match app.records.monitor().latest().await {
        Ok((page, _)) => (vary, policy, Html(page)).into_response(),
        Err(problem) => {
            let page = Html(notice("There is no verdict", problem.message(), Some(HOME)));
            let mut response = (problem.status(), vary, policy, page).into_response();
            response.extensions_mut().insert(Code(problem.code));
            response
        }
    }
}

/// `GET /monitor.json`: the report, as `monitor check --json` prints it.
pub(crate) async fn report(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let (_, json) = app.records.monitor().latest().await?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
}

/// Whether JSON is asked for and a page is not. A browser asks for a page; a client that does not say gets one.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds: Vec<&str> =
        accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next()).map(str::trim).collect();
    kinds.contains(&"application/json") && !kinds.contains(&"text/html")
}

#[cfg(test)]
mod tests {
    use wellformed_core::record::{Channel, Level, Problem, Service, Timestamp};

    use super::*;

    #[test]
    fn what_the_thread_does_not_take_in_time_is_lost_and_counted_and_nobody_waits() {
        // The test has the thread's end, and takes nothing.
        let (records, receiver) = sync_channel(2);
        let (_sender, last) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let handle = Handle { records, thread: thread::current(), shared, last, rest: Duration::ZERO };
        let monitor = Monitor(Kind::On(Arc::new(handle)));
        for _ in 0..5 {
            monitor.take(Record::Problem(Problem {
                timestamp: Timestamp::now(),
                level: Level::Warn,
                service: Service::Serve,
                version: "1".to_owned(),
                request_id: "a".to_owned(),
                bundle: "b".to_owned(),
                channel: Channel::Http,
                status: 422,
                code: "empty_sentence".to_owned(),
                aws: None,
            }));
        }
        let Kind::On(handle) = &monitor.0 else { unreachable!() };
        assert_eq!(handle.shared.gauges.lost.get(), 3);
        assert_eq!(receiver.try_iter().count(), 2);
    }
}
