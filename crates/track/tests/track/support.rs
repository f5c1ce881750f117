//! A run with everything in it, and the programs that look at it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wellformed_core::params::Params;
use wellformed_track::{Artifact, Cell, Chart, ChartKind, Journal, Matrix, Table, Tracker};

/// The longest that anything may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn params(sets: &[&str]) -> Params {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    Params::load_with(&root().join("params.yaml"), &sets, []).unwrap()
}

/// A journal in an empty folder that is no git repository.
pub(crate) fn journal(folder: &Path, sets: &[&str]) -> Journal {
    Journal::new(folder, folder, &params(sets))
}

/// The rows of a training of three epochs with forty steps each, in order.
pub(crate) fn training_rows() -> Vec<(u64, Vec<(&'static str, f64)>)> {
    let mut rows = Vec::new();
    for epoch in 1..=3_u64 {
        for step in 40 * (epoch - 1) + 1..=40 * epoch {
            let x = step as f64;
            rows.push((
                step,
                vec![
                    ("step", x),
                    ("train/loss", 0.7 / x.sqrt()),
                    ("train/lr", 1e-4 * (1.0 - x / 120.0)),
                    ("train/gradient_norm", if step == 7 { f64::INFINITY } else { 1.0 / 3.0 * x }),
                    ("train/sentences_per_second", if step == 8 { f64::NAN } else { 400.0 + x }),
                ],
            ));
        }
        let e = epoch as f64;
        let row = vec![("epoch", e), ("epochs/train_loss", 0.6 / e), ("epochs/tune_mcc", 0.1 * e), ("step", 40.0 * e)];
        rows.push((40 * epoch, row));
    }
    rows
}

pub(crate) fn log_training(tracker: &Tracker) {
    for (step, values) in training_rows() {
        tracker.scalars(step, &values);
    }
    tracker.summary(&[("best/epoch", 3.0), ("best/tune_mcc", 0.3)]);
}

pub(crate) fn wrong() -> Table {
    let row = |id: &str, p: f64, sentence: &str| vec![id.into(), Cell::Number(p), Cell::Empty, sentence.into()];
    Table {
        key: "wrong".to_owned(),
        columns: ["id", "p_acceptable", "note", "sentence"].map(str::to_owned).to_vec(),
        rows: vec![row("a-1", 0.9375, "The newt \"quoted\", it snores."), row("a-2", 0.25, "Über\tall newts.")],
        quotes: Some(3),
    }
}

pub(crate) fn confusion() -> Matrix {
    Matrix {
        key: "confusion_matrix".to_owned(),
        title: "Confusion matrix on validation".to_owned(),
        classes: ["unacceptable", "acceptable"].map(str::to_owned).to_vec(),
        counts: vec![vec![11, 5], vec![3, 40]],
    }
}

fn curve(key: &str, title: &str, x: (&str, &str), y: (&str, &str), points: &[(f64, f64)]) -> Chart {
    let pair = |(column, title): (&str, &str)| (column.to_owned(), title.to_owned());
    let row = |&(x, y): &(f64, f64)| vec!["acceptable".into(), Cell::Number(x), Cell::Number(y)];
    Chart {
        key: key.to_owned(),
        title: title.to_owned(),
        kind: ChartKind::Area { class: "class".to_owned(), x: pair(x), y: pair(y) },
        columns: vec!["class".to_owned(), x.0.to_owned(), y.0.to_owned()],
        rows: points.iter().map(row).collect(),
    }
}

/// ROC, precision and recall, a line and bars.
pub(crate) fn charts() -> Vec<Chart> {
    let roc = curve(
        "roc",
        "ROC on validation",
        ("fpr", "False positive rate"),
        ("tpr", "True positive rate"),
        &[(0.0, 0.0), (0.1, 0.5), (1.0, 1.0)],
    );
    let pr = curve(
        "pr",
        "Precision and recall on validation",
        ("recall", "Recall"),
        ("precision", "Precision"),
        &[(1.0, 0.7), (0.5, 0.9)],
    );
    let reliability = Chart {
        key: "reliability".to_owned(),
        title: "Reliability".to_owned(),
        kind: ChartKind::Line { x: "confidence".to_owned(), y: "accuracy".to_owned(), stroke: Some("line".to_owned()) },
        columns: ["confidence", "accuracy", "line"].map(str::to_owned).to_vec(),
        rows: vec![vec![0.5.into(), 0.4.into(), "before".into()], vec![0.5.into(), 0.5.into(), "after".into()]],
    };
    let sources = Chart {
        key: "by_source".to_owned(),
        title: "Accuracy by source".to_owned(),
        kind: ChartKind::Bar { label: "source".to_owned(), value: "accuracy".to_owned() },
        columns: ["source", "accuracy"].map(str::to_owned).to_vec(),
        rows: vec![vec!["ours".into(), 0.8.into()]],
    };
    vec![roc, pr, reliability, sources]
}

/// A bundle of two files, one of them in a folder.
pub(crate) fn bundle(folder: &Path) -> Artifact {
    let bundle = folder.join("models/bundle");
    fs::create_dir_all(bundle.join("onnx")).unwrap();
    fs::write(bundle.join("bundle.json"), "{\"precision\": \"int8\"}").unwrap();
    fs::write(bundle.join("onnx/model.onnx"), vec![7; 70_000]).unwrap();
    Artifact {
        name: "wellformed".to_owned(),
        kind: "model".to_owned(),
        folder: bundle,
        metadata: json!({"precision": "int8"}),
        aliases: vec!["latest".to_owned(), "best".to_owned()],
    }
}

/// Everything that eval has to say.
pub(crate) fn log_evaluation(tracker: &Tracker) {
    tracker.matrix(confusion());
    tracker.table(wrong());
    for chart in charts() {
        tracker.chart(chart);
    }
    tracker.summary(&[("eval/validation/mcc", 0.5)]);
}

/// The run folders below `wandb/`, oldest first.
pub(crate) fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("wandb")).unwrap().map(|entry| entry.unwrap().path());
    // The client keeps logs of its own beside them.
    let is_run = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("offline-run-");
    let mut found: Vec<PathBuf> = entries.filter(is_run).collect();
    found.sort();
    found
}

pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The pretended training of `examples/pretend.rs`, which Cargo builds with the tests.
pub(crate) fn pretend(folder: &Path, arguments: &[&str]) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/pretend");
    let mut command = Command::new(program);
    // The client keeps logs of its own below the folder that it is called in.
    command.arg(folder).args(arguments).env_remove("WANDB_API_KEY").current_dir(folder);
    command
}

/// Runs a program to its end, or kills it and fails.
pub(crate) fn within_limit(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |mut stream: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let (stdout, stderr) = (read(Box::new(child.stdout.take().unwrap())), read(Box::new(child.stderr.take().unwrap())));
    let Some(status) = wait(&mut child) else {
        child.kill().unwrap();
        panic!("{command:?} did not end within {} s", LIMIT.as_secs());
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

pub(crate) fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come about within {} s", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Where the client is called.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A program of `.venv-wandb`.
pub(crate) fn client(name: &str) -> Command {
    let program = root().join(".venv-wandb/bin").join(name);
    assert!(program.exists(), "no {}: `cargo xtask test` makes it", program.display());
    let mut command = Command::new(std::path::absolute(program).unwrap());
    command.current_dir(FOLDER.path());
    command
}

/// `fixtures/stand_in.py`: a W&B server that keeps everything in memory.
pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("port");
        let mut command = client("python");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stand_in.py")).arg(&file);
        let process = command.args(arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { process, port: 0, folder };
        until("the stand-in", || file.exists());
        server.port = fs::read_to_string(&file).unwrap().parse().unwrap();
        server
    }

    /// What a client needs to find it, and nothing of the user's own settings.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let home = self.folder.path().to_str().unwrap().to_owned();
        vec![
            ("WANDB_BASE_URL", format!("http://127.0.0.1:{}", self.port)),
            ("WANDB_API_KEY", "0123456789012345678901234567890123456789".to_owned()),
            ("WANDB_ERROR_REPORTING", "false".to_owned()),
            ("WANDB_CACHE_DIR", home.clone()),
            ("WANDB_DATA_DIR", home.clone()),
            ("WANDB_CONFIG_DIR", home.clone()),
            ("HOME", home),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("no_proxy", "127.0.0.1".to_owned()),
        ]
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state")).unwrap()
    }

    /// Ends what `--offline-after` began.
    pub(crate) fn bring_back(&self) {
        self.get("/online");
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// `wandb sync` of run folders, which must succeed.
    pub(crate) fn sync(&self, folders: &[PathBuf]) -> String {
        let mut command = client("wandb");
        command.arg("sync").args(folders).envs(self.environment()).current_dir(self.folder.path());
        let output = within_limit(&mut command);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
