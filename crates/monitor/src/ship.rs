//! `monitor ship`: the records of log files into a cluster, each exactly once.
//!
//! What was delivered is remembered after each part, beside the log. If the program or the machine stops in between, the
//! part is sent again, and the cluster has it already.

mod follow;
mod once;
mod state;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::assets;
use crate::bulk::{Document, INDEX};
use crate::cluster::{Cluster, ClusterArguments};
use crate::deliver::{Delivered, Patience, deliver};
use crate::line::{DeadLetter, Line};

use self::follow::{Follower, Part};

const MORE: &str = "\
Beside each LOG, or in --state-folder:
  LOG.shipped.json   how far it was sent; remove it to send everything again, which changes nothing in the cluster
  LOG.refused.jsonl  records that the cluster will never take, with the reason; once that is mended,
                     `monitor ship LOG.refused.jsonl`

The log may be rotated by renaming it within its folder. What was not sent yet is found under the new name, as long as
it is not compressed (logrotate: delaycompress).

Exit codes:
  0  everything was sent
  1  something is wrong: a file, the cluster; what was sent stays sent
  3  everything was sent but for records that will never be taken; they are in LOG.refused.jsonl

Examples:
  monitor ship records.jsonl --url http://127.0.0.1:9200
  monitor ship --once exported.gz kept-payload.json --url http://127.0.0.1:9200
  ELASTICSEARCH_API_KEY_FILE=key monitor ship --follow /var/log/wellformed/records.jsonl --url https://search.example.org";

/// The exit code when records were refused.
const REFUSED: u8 = 3;
/// Bytes of a log that are sent before the place is remembered.
const PART: usize = 4 << 20;

/// The options of `monitor ship`.
#[expect(clippy::doc_markdown, reason = "the comments are the options' help")]
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct Options {
    /// The log files, with one record to a line; other lines are left out.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Stay, and send what is added to the logs. A cluster that is away is waited for.
    #[arg(long)]
    follow: bool,
    /// Send whole files of every kind that records can be read from, such as exports of CloudWatch, payloads that the
    /// forwarder could not deliver, and files in gzip; `-` is standard input. Nothing is remembered.
    #[arg(long, conflicts_with_all = ["follow", "state_folder"])]
    once: bool,
    /// How often a log is looked at with --follow.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// How long a cluster that is away is waited for without --follow.
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Where it is remembered how far each log was sent, and where refused records go; the log's own folder if not
    /// given.
    #[arg(long, value_name = "FOLDER")]
    state_folder: Option<PathBuf>,
    /// The start of the names of the indices; the day of the record is added.
    #[arg(long, value_name = "NAME", default_value = INDEX, help_heading = "Cluster")]
    index: String,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// What was done with a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Records that are new in the cluster.
    pub created: u64,
    /// Records that were there already.
    pub already_there: u64,
    /// Records that can never be sent; they are in the log's file for them.
    pub refused: u64,
    /// Lines that were never records.
    pub others: u64,
    /// Bytes at the end that are no complete line yet.
    pub unfinished: u64,
}

/// Sends logs.
///
/// # Errors
///
/// When a log cannot be read, another `ship` has it, or the cluster does not take what it is sent.
pub fn run(options: &Options) -> Result<ExitCode> {
    let cluster = options.cluster.open()?;
    if options.once {
        return once::run(options, &cluster);
    }
    let mut shippers = Vec::new();
    for log in &options.logs {
        ensure!(log.as_os_str() != "-", "standard input has no place to remember; name a file, or use --once");
        shippers.push(Shipper::open(log, options, cluster.clone())?);
    }
    if options.follow {
        loop {
            for shipper in &mut shippers {
                shipper.ship(&Patience::until(None), &ProgressBar::hidden())?;
            }
            thread::sleep(options.every);
        }
    }
    let bar = progress(&shippers);
    let patience = Patience::until(Some(Instant::now() + options.patience));
    let mut refused = false;
    for shipper in &mut shippers {
        shipper.ship(&patience, &bar)?;
        refused |= shipper.done.refused > 0;
    }
    bar.finish_and_clear();
    for shipper in &shippers {
        println!("{}", shipper.summary());
    }
    Ok(if refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn progress(shippers: &[Shipper]) -> ProgressBar {
    let bytes = shippers.iter().map(|shipper| shipper.follower.bytes_left()).sum();
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Sends one log.
struct Shipper {
    log: PathBuf,
    letters: PathBuf,
    index: String,
    cluster: Cluster,
    follower: Follower,
    installed: bool,
    done: Shipped,
    /// Held as long as this program runs, so that no other one sends the same log.
    _lock: File,
}

impl Shipper {
    fn open(log: &Path, options: &Options, cluster: Cluster) -> Result<Self> {
        let name = log.file_name().with_context(|| format!("{} is no file", log.display()))?.to_string_lossy();
        let folder = match (&options.state_folder, log.parent()) {
            (Some(folder), _) => folder.clone(),
            (None, Some(folder)) if !folder.as_os_str().is_empty() => folder.to_owned(),
            (None, _) => PathBuf::from("."),
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let beside = |ending: &str| folder.join(format!("{name}.{ending}"));
        let lock = lock(&beside("shipped.lock"), log)?;
        if !options.follow {
            ensure!(log.is_file(), "{} is not there, or no file; with --follow it may come later", log.display());
        }
        Ok(Self {
            log: log.to_owned(),
            letters: beside("refused.jsonl"),
            index: options.index.clone(),
            cluster,
            follower: Follower::open(log, &beside("shipped.json"))?,
            installed: false,
            done: Shipped::default(),
            _lock: lock,
        })
    }

    /// Sends what is there, in parts.
    fn ship(&mut self, patience: &Patience, bar: &ProgressBar) -> Result<()> {
        while let Some(part) = self.follower.next(PART)? {
            let bytes = part.bytes();
            self.ship_part(&part, patience, bar)?;
            // The place is remembered last: whatever happens before, the part is sent again.
            self.follower.done(part)?;
            bar.inc(bytes);
        }
        self.done.unfinished = self.follower.unfinished();
        Ok(())
    }

    fn ship_part(&mut self, part: &Part, patience: &Patience, bar: &ProgressBar) -> Result<()> {
        let (mut documents, mut lines, mut letters) = (Vec::new(), Vec::new(), Vec::new());
        for line in part.lines() {
            let read = match Line::read(&line) {
                Line::Record(record) => Document::of(record, &self.index).map_err(|error| error.to_string()),
                Line::Damaged(reason) => Err(reason),
                Line::Other => {
                    self.done.others += 1;
                    continue;
                }
            };
            match read {
                Ok(document) => {
                    documents.push(document);
                    lines.push(line);
                }
                Err(refused) => letters.push(DeadLetter { refused, line: line.into_owned() }),
            }
        }
        if !documents.is_empty() {
            let mut notice = |text: &str| notice(bar, text);
            if !self.installed {
                ensure_installed(&self.cluster, patience, &mut notice)?;
                self.installed = true;
            }
            let Delivered { created, already_there, refused, .. } =
                deliver(&self.cluster, &documents, patience, &mut notice)
                    .with_context(|| format!("{} was sent in part; run the same command again", self.log.display()))?;
            self.done.created += created;
            self.done.already_there += already_there;
            for one in refused {
                let line = lines[one.place].clone().into_owned();
                letters.push(DeadLetter { refused: format!("{}: {}", one.kind, one.reason), line });
            }
        }
        self.done.refused += letters.len() as u64;
        self.keep(&letters)
    }

    /// Keeps what will never be taken, on the disk before the log counts as sent. The file is for its owner only: where
    /// sentences are recorded, it holds sentences.
    fn keep(&self, letters: &[DeadLetter]) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for letter in letters {
            lines.extend(serde_json::to_vec(letter)?);
            lines.push(b'\n');
        }
        let keep = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&self.letters)?;
            file.write_all(&lines)?;
            file.sync_all()
        };
        keep().with_context(|| format!("cannot keep {} refused records in {}", letters.len(), self.letters.display()))
    }

    fn summary(&self) -> String {
        let Shipped { created, already_there, refused, others, unfinished } = self.done;
        // Writing to a String cannot fail.
        let mut text = format!(
            "{}: {} records sent ({created} new, {already_there} there already)",
            self.log.display(),
            created + already_there
        );
        if refused > 0 {
            let _ = write!(text, ", {refused} refused (see {})", self.letters.display());
        }
        if others > 0 {
            let _ = write!(text, ", {others} other lines left out");
        }
        if unfinished > 0 {
            let _ = write!(text, ", {unfinished} bytes at the end are no whole line yet");
        }
        text
    }
}

fn notice(bar: &ProgressBar, text: &str) {
    if bar.is_hidden() || !std::io::stderr().is_terminal() {
        eprintln!("warning: {text}");
    } else {
        bar.println(format!("warning: {text}"));
    }
}

/// Waits until the cluster says that it has the index template.
fn ensure_installed(cluster: &Cluster, patience: &Patience, notice: &mut dyn FnMut(&str)) -> Result<()> {
    let mut pause = Duration::from_secs(1);
    loop {
        match assets::template_is_installed(cluster) {
            Ok(true) => return Ok(()),
            Ok(false) => bail!(assets::missing(cluster)),
            Err(error) if !error.passing => return Err(error.into()),
            Err(error) if patience.until.is_some_and(|until| Instant::now() + pause >= until) => {
                return Err(error.into());
            }
            Err(error) => {
                notice(&format!("{error}; trying again in {} s", pause.as_secs()));
                thread::sleep(pause);
                pause = (2 * pause).min(patience.longest);
            }
        }
    }
}

fn lock(path: &Path, log: &Path) -> Result<File> {
    let cannot = || format!("cannot lock {}", path.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another `monitor ship` is sending {} ({} is locked)", log.display(), path.display())
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}
