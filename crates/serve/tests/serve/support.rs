//! A model that can be held, a server around it, and a client that sends what it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use wellformed_core::record::{Record, TextPolicy};
use wellformed_drift::profile::Source;
use wellformed_drift::{Features, Profile};
use wellformed_infer::{
    Error, Explanation, Label, Manifest, Perturbation, Precision, Prediction, Timing, Tokens, Word,
};
use wellformed_serve::{Ended, Log, LogFormat, Model, Monitor, Records, Server, Settings};
use wellformed_verdict::Judge;

pub(crate) const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const MAX_LENGTH: usize = 24;

/// What the test sees and holds of the model in the server.
#[derive(Default)]
pub(crate) struct Hand {
    held: Mutex<bool>,
    released: Condvar,
    batches: Mutex<Vec<Vec<usize>>>,
    pub(crate) panics: AtomicBool,
}

impl Hand {
    /// Batches from now on wait until [`Hand::release`].
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap() = true;
    }

    pub(crate) fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }

    /// The token counts of the sentences of each batch that the model was given.
    pub(crate) fn batches(&self) -> Vec<Vec<usize>> {
        self.batches.lock().unwrap().clone()
    }

    /// Sentences that the model was given.
    pub(crate) fn seen(&self) -> usize {
        self.batches().iter().map(Vec::len).sum()
    }

    fn computes(&self, lengths: Vec<usize>) {
        self.batches.lock().unwrap().push(lengths);
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.released.wait(held).unwrap();
        }
        drop(held);
        assert!(!self.panics.load(Ordering::Relaxed), "the model was told to panic");
    }
}

/// Counts letters: the more there are in a sentence, the more acceptable it is. A word with a `#` is unknown.
pub(crate) struct Fake {
    hand: Arc<Hand>,
    manifest: Manifest,
}

/// What [`Fake`] says is the probability of *acceptable*.
pub(crate) fn expected(sentence: &str) -> f64 {
    let words: Vec<&str> = sentence.split_whitespace().take(MAX_LENGTH - 2).collect();
    f64::from(words.iter().map(|word| word.len() as u32).sum::<u32>()) / 1000.0
}

fn prediction(ids: &[u32], truncated: bool, unknown_tokens: usize) -> Prediction {
    let acceptable = f64::from(ids.iter().sum::<u32>()) / 1000.0;
    Prediction {
        label: if acceptable > 0.02 { Label::Acceptable } else { Label::Unacceptable },
        probabilities: [1.0 - acceptable, acceptable],
        logits: [0.5, -0.25],
        tokens: ids.len(),
        truncated,
        unknown_tokens,
        signals: None,
        timing: Timing::default(),
    }
}

impl Model for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn digest(&self) -> &str {
        DIGEST
    }

    fn precision(&self) -> Precision {
        Precision::Int8
    }

    fn tokenize(&self, sentence: &str) -> Result<Tokens, Error> {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        if words.is_empty() {
            return Err(Error::Empty);
        }
        let truncated = words.len() > MAX_LENGTH - 2;
        let words = &words[..words.len().min(MAX_LENGTH - 2)];
        let mut ids = vec![0];
        ids.extend(words.iter().map(|word| word.len() as u32));
        ids.push(0);
        let unknown = words.iter().filter(|word| word.contains('#')).count();
        Ok(Tokens { ids, truncated, unknown, time: Duration::ZERO })
    }

    fn run(&self, sentences: &[Tokens]) -> Vec<Prediction> {
        self.hand.computes(sentences.iter().map(|tokens| tokens.ids.len()).collect());
        sentences.iter().map(|tokens| prediction(&tokens.ids, tokens.truncated, tokens.unknown)).collect()
    }

    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error> {
        let tokens = self.tokenize(sentence)?;
        self.hand.computes(vec![tokens.ids.len()]);
        let mut words = Vec::new();
        for word in sentence.split_whitespace().take(MAX_LENGTH - 2) {
            let start = word.as_ptr() as usize - sentence.as_ptr() as usize;
            let sign = if word.len() > 3 { 1.0 } else { -1.0 };
            words.push(Word {
                text: word.to_owned(),
                start,
                end: start + word.len(),
                weight: sign * word.len() as f64 / 100.0,
            });
        }
        let prediction = prediction(&tokens.ids, tokens.truncated, tokens.unknown);
        Ok(Explanation { prediction, perturbation, words })
    }
}

pub(crate) fn manifest() -> Manifest {
    let digest = "ab".repeat(32);
    serde_json::from_value(json!({
        "format": 1,
        "digest": DIGEST,
        "labels": ["unacceptable", "acceptable"],
        "max_length": MAX_LENGTH,
        "vocabulary": 1000,
        "calibration": {"temperature": 1.5, "threshold": 0.02},
        "default_precision": "int8",
        "files": {"model.onnx": {"sha256": digest, "bytes": 1}},
        "origin": {
            "data": {"data/prepared": digest},
            "base_model": "random",
            "base_model_sha256": null,
            "checkpoint_sha256": digest,
            "git_commit": null,
            "uncommitted": false,
            "parameters": {"train": {"lr": 0.001}},
        },
        "metrics": {
            "sentences": 1043, "mcc": 0.371, "mcc_low": 0.3, "mcc_high": 0.439, "accuracy": 0.757,
            "int8_mcc": 0.365, "ece": null,
        },
    }))
    .unwrap()
}

/// A log or records that can be read.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A server that runs in a thread of the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) hand: Arc<Hand>,
    pub(crate) log: Lines,
    pub(crate) records: Lines,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ended>>,
}

pub(crate) fn start() -> Running {
    start_with(Settings::default())
}

pub(crate) fn start_with(settings: Settings) -> Running {
    start_logging(settings, LogFormat::Json)
}

pub(crate) fn start_logging(settings: Settings, format: LogFormat) -> Running {
    start_recording(settings, format, TextPolicy::default())
}

pub(crate) fn start_recording(settings: Settings, format: LogFormat, texts: TextPolicy) -> Running {
    let lines = Lines::default();
    let records = Records::new(texts).watched_by(monitor(100, Duration::ZERO)).to(lines.clone()).unwrap();
    let mut running = launch(settings, format, records);
    running.records = lines;
    running
}

/// The server's own monitor, with a profile of [`Fake`]'s predictions on [`usual`] sentences.
pub(crate) fn monitor(window: usize, rest: Duration) -> Monitor {
    let judge = Judge::new(profile(), wellformed_verdict::Settings::default(), DIGEST.to_owned()).unwrap();
    Monitor::start(judge, window, rest).unwrap()
}

pub(crate) fn profile() -> Profile {
    let facts = TextPolicy::default();
    let features = |index: usize| {
        let (sentence, facts) = (usual(index), facts.describe(&usual(index)));
        let words: Vec<u32> = sentence.split_whitespace().map(|word| word.len() as u32).collect();
        let judged = prediction(&[&[0], &*words, &[0]].concat(), false, 0);
        Features {
            tokens: judged.tokens as u32,
            unknown_tokens: 0,
            truncated: false,
            characters: Some(facts.characters),
            non_ascii_share: Some(facts.non_ascii_share),
            signals: None,
            p_acceptable: judged.probabilities[1],
            label: judged.label,
            precision: Some(Precision::Int8),
            text_hash: None,
            latency_ms: None,
            cold_start: None,
        }
    };
    let source = Source {
        split: "validation".to_owned(),
        precision: Precision::Int8,
        max_length: MAX_LENGTH,
        threshold: 0.02,
        files: BTreeMap::new(),
    };
    let features: Vec<Features> = (0..300).map(features).collect();
    Profile::build(source, &features, None).unwrap()
}

/// A sentence of three to nine words of one to nine letters, the same for the same number.
pub(crate) fn usual(index: usize) -> String {
    // Weyl sequences: they look like chance, and fill their range evenly.
    let chance = |step: f64, at: usize| ((at + 1) as f64 * step).fract();
    let words = 3 + (7.0 * chance(0.618_033_988_75, index)) as usize;
    let word = |at: usize| "a".repeat(1 + (9.0 * chance(0.414_213_562_37, 10 * index + at)) as usize);
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

pub(crate) fn start_with_records(settings: Settings, records: Records) -> Running {
    launch(settings, LogFormat::Json, records)
}

fn launch(settings: Settings, format: LogFormat, records: Records) -> Running {
    let hand = Arc::new(Hand::default());
    let log = Lines::default();
    let fake = Fake { hand: Arc::clone(&hand), manifest: manifest() };
    let output = Log::to(format, log.clone()).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), fake, settings, output, records).unwrap();
    server.record_start(Instant::now());
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ended = runtime.block_on(server.run(async {
            let _ = stopped.await;
        }));
        runtime.shutdown_background();
        ended.unwrap()
    });
    Running { address, hand, log, records: Lines::default(), stop: Some(stop), thread: Some(thread) }
}

impl Running {
    /// The records, once the server has ended.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops the server, if nobody has, and waits for its end.
    pub(crate) fn end(&mut self) -> Ended {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.address, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        post(self.address, path, body)
    }

    /// Sends a request from a thread of its own.
    pub(crate) fn post_later(&self, path: &'static str, body: Value) -> JoinHandle<Answer> {
        let address = self.address;
        std::thread::spawn(move || post(address, path, &body))
    }

    /// The value of a metric, with its labels as they are printed; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) fn queued(&self) -> usize {
        self.get("/health/ready").json()["queue"]["sentences"].as_u64().unwrap() as usize
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hand.release();
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// Waits until something is so; fails when it does not become so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status, code and field of an error.
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().unwrap().len() > 10, "{self:?}");
        (self.status, error["code"].as_str().unwrap().to_owned(), error["field"].as_str().map(str::to_owned))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn acceptable(&self) -> Vec<f64> {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let all = json["predictions"].as_array().unwrap();
        all.iter().map(|one| one["probabilities"]["acceptable"].as_f64().unwrap()).collect()
    }
}

/// Reads everything until the server closes the connection.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer ({read:?}): {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
}

/// Opens a connection and writes.
pub(crate) fn write(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || method == "POST" {
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    text + "\r\n" + body
}

pub(crate) fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    read(write(address, &request(method, path, headers, body)))
}

pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, &[], "")
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    send(address, "POST", path, &[JSON], &body.to_string())
}
