//! The queue and its threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use serde_json::json;
use wellformed_track::{Artifact, Chart, Matrix, Outcome, Run, Sample, Sink, Table, Tracker};

use crate::support::{log_evaluation, log_training, training_rows, until};

/// What a sink was told, a line a call.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// All but the samples of the machine, which come when they come.
    fn without_samples(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line != "system").collect()
    }
}

/// A sink that listens, fails where it is told to, and waits at a gate.
#[derive(Default)]
struct Listener {
    heard: Heard,
    fails_at: Option<&'static str>,
    panics: bool,
    gate: Option<Arc<AtomicBool>>,
}

impl Listener {
    fn hear(&mut self, line: String) -> Result<()> {
        if let Some(gate) = &self.gate {
            while !gate.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let fails = self.fails_at.is_some_and(|start| line.starts_with(start));
        assert!(!(fails && self.panics), "as asked");
        if fails {
            bail!("the disk is full");
        }
        self.heard.0.lock().unwrap().push(line);
        Ok(())
    }
}

impl Sink for Listener {
    fn name(&self) -> &'static str {
        "listener"
    }
    fn start(&mut self, run: &Arc<Run>) -> Result<()> {
        self.hear(format!("start {} {}", run.job, run.id))
    }
    fn scalars(&mut self, _time: SystemTime, step: u64, values: &[(String, f64)]) -> Result<()> {
        self.hear(format!("scalars {step} {}", values.len()))
    }
    fn summary(&mut self, _time: SystemTime, values: &[(String, f64)]) -> Result<()> {
        self.hear(format!("summary {}", values[0].0))
    }
    fn system(&mut self, _time: SystemTime, _sample: &Sample) -> Result<()> {
        self.hear("system".to_owned())
    }
    fn table(&mut self, _time: SystemTime, table: &Table) -> Result<()> {
        self.hear(format!("table {}", table.key))
    }
    fn matrix(&mut self, _time: SystemTime, matrix: &Matrix) -> Result<()> {
        self.hear(format!("matrix {}", matrix.key))
    }
    fn chart(&mut self, _time: SystemTime, chart: &Chart) -> Result<()> {
        self.hear(format!("chart {}", chart.key))
    }
    fn artifact(&mut self, _time: SystemTime, artifact: &Artifact) -> Result<()> {
        self.hear(format!("artifact {}", artifact.name))
    }
    fn finish(&mut self, _time: SystemTime, outcome: Outcome) -> Result<()> {
        self.hear(format!("finish {}", outcome.name()))
    }
    fn patience(&self) -> Duration {
        if self.fails_at == Some("never") { Duration::from_millis(50) } else { Duration::from_mins(1) }
    }
}

fn run() -> Run {
    Run::new("ab12cd34", "train", json!({"seed": 1}))
}

fn listener() -> (Heard, Listener) {
    let heard = Heard::default();
    (heard.clone(), Listener { heard, ..Listener::default() })
}

#[test]
fn every_sink_hears_everything_in_order() {
    let ((one, first), (two, second)) = (listener(), listener());
    let tracker = Tracker::start(run(), vec![Box::new(first), Box::new(second)]);
    log_training(&tracker);
    log_evaluation(&tracker);
    tracker.finish(Outcome::Finished);
    let mut expected = vec!["start train ab12cd34".to_owned()];
    expected.extend(training_rows().iter().map(|(step, values)| format!("scalars {step} {}", values.len())));
    let rest = ["summary best/epoch", "matrix confusion_matrix", "table wrong", "chart roc", "chart pr"];
    let end = ["chart reliability", "chart by_source", "summary eval/validation/mcc", "finish finished"];
    expected.extend(rest.into_iter().chain(end).map(str::to_owned));
    assert_eq!(one.without_samples(), expected);
    assert_eq!(two.without_samples(), expected);
}

#[test]
fn a_sink_that_fails_or_panics_is_dropped_and_its_neighbours_go_on() {
    for panics in [false, true] {
        let ((bad, mut first), (good, second)) = (listener(), listener());
        (first.fails_at, first.panics) = (Some("scalars 2 "), panics);
        let tracker = Tracker::start(run(), vec![Box::new(first), Box::new(second)]);
        for step in 1..=4 {
            tracker.scalars(step, &[("train/loss", 0.5)]);
        }
        tracker.finish(Outcome::Finished);
        assert_eq!(bad.without_samples(), ["start train ab12cd34", "scalars 1 1"]);
        assert_eq!(good.without_samples().len(), 6);
        assert_eq!(good.without_samples().last().unwrap(), "finish finished");
    }
}

#[test]
fn a_tracker_that_is_dropped_or_unwound_past_marks_the_run_as_crashed() {
    let (heard, sink) = listener();
    drop(Tracker::start(run(), vec![Box::new(sink)]));
    assert_eq!(heard.without_samples(), ["start train ab12cd34", "finish crashed"]);

    let (heard, sink) = listener();
    let training = std::panic::AssertUnwindSafe(|| {
        let tracker = Tracker::start(run(), vec![Box::new(sink)]);
        tracker.scalars(1, &[("train/loss", 0.5)]);
        panic!("training panics, as asked");
    });
    assert!(std::panic::catch_unwind(training).is_err());
    assert_eq!(heard.without_samples(), ["start train ab12cd34", "scalars 1 1", "finish crashed"]);
}

#[test]
fn a_sink_that_stands_still_stops_nobody_and_loses_the_oldest_rows_and_nothing_else() {
    let gate = Arc::new(AtomicBool::new(false));
    let (heard, mut sink) = listener();
    sink.gate = Some(Arc::clone(&gate));
    let tracker = Tracker::start_with(run(), vec![Box::new(sink)], 100);
    tracker.summary(&[("kept", 1.0)]);
    // The calls return although nothing is taken from the queue: the test would hang if one waited.
    for step in 1..=1000 {
        tracker.scalars(step, &[("train/loss", 0.5)]);
    }
    gate.store(true, Ordering::SeqCst);
    tracker.finish(Outcome::Finished);
    let lines = heard.without_samples();
    assert_eq!((lines[0].as_str(), lines.last().unwrap().as_str()), ("start train ab12cd34", "finish finished"));
    assert!(lines.contains(&"summary kept".to_owned()));
    let steps: Vec<u64> =
        lines.iter().filter_map(|line| line.strip_prefix("scalars ")?.split(' ').next()?.parse().ok()).collect();
    assert!(steps.contains(&1000) && !steps.contains(&500), "{steps:?}");
    assert!((90..=200).contains(&steps.len()), "{} rows", steps.len());
    assert!(steps.is_sorted());
}

#[test]
fn a_sink_that_never_ends_is_not_waited_for() {
    let (heard, mut sink) = listener();
    (sink.fails_at, sink.gate) = (Some("never"), Some(Arc::default()));
    Tracker::start(run(), vec![Box::new(sink)]).finish(Outcome::Finished);
    assert!(heard.lines().is_empty());
}

#[test]
fn the_machine_is_sampled_and_no_sample_comes_before_the_start() {
    let (heard, sink) = listener();
    let tracker = Tracker::start(run(), vec![Box::new(sink)]);
    if cfg!(target_os = "linux") {
        until("a sample", || heard.lines().contains(&"system".to_owned()));
    }
    tracker.finish(Outcome::Finished);
    assert_eq!(heard.lines()[0], "start train ab12cd34");
}

#[test]
fn a_tracker_that_is_off_takes_everything() {
    let tracker = Tracker::off();
    log_training(&tracker);
    log_evaluation(&tracker);
    tracker.finish(Outcome::Finished);
}

#[test]
fn rows_from_several_threads_all_arrive() {
    let (heard, sink) = listener();
    let tracker = Tracker::start(run(), vec![Box::new(sink)]);
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    tracker.scalars(next.fetch_add(1, Ordering::SeqCst) as u64, &[("train/loss", 0.5)]);
                }
            });
        }
    });
    tracker.finish(Outcome::Finished);
    assert_eq!(heard.without_samples().len(), 2002);
}
