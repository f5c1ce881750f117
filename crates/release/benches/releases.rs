//! How long a release takes, and what callers get when the candidate is no good: this project's, and a script that
//! pushes the image and moves the alias (`bench/release.sh`), against stand-ins of the same kind, one after the other.
//!
//! `cargo xtask bench release` runs it.
#![allow(clippy::unwrap_used, reason = "whoever measures sees the panic")]

#[path = "../tests/release/shop.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod shop;
#[path = "../tests/release/stand_in.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod stand_in;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum as _};
use serde_json::{Value, json};

use shop::{Ended, Run, Shop, aws, ended};
use stand_in::{StandIn, missing, root};

/// Between two calls of the one caller that is there all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// How long callers are watched after a release has ended.
const AFTER: Duration = Duration::from_secs(5);

/// The function of both sides.
const FUNCTION: &str = "measured";

#[derive(Parser)]
struct Arguments {
    /// How often a release and a rollback are timed.
    #[arg(long)]
    repeat: u32,
    /// Where the report goes.
    #[arg(long)]
    output: PathBuf,
    /// What Cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Releaser {
    Ours,
    Script,
}

/// A candidate, and what is the matter with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Candidate {
    /// Its process ends at every invocation.
    CrashesAtOnce,
    /// Its process ends from the third invocation on.
    CrashesLater,
    /// The image is that of the candidate before.
    StaleImage,
    /// Nothing: a better model.
    Sound,
    /// A model that is worse on *validation* than the one in service.
    Worse,
}

/// A project, its stand-ins, and who releases there.
struct Side {
    releaser: Releaser,
    stand_in: StandIn,
    shop: Shop,
    variation: u32,
}

/// What one caller got, ten times a second or less.
#[derive(Debug, Clone, Copy, Default)]
struct Calls {
    answers: u32,
    failed: u32,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(missing) = missing() {
        eprintln!("error: releases cannot be measured here: {missing}");
        std::process::exit(1);
    }
    let mut sides = [Releaser::Ours, Releaser::Script].map(Side::open);

    let candidates: Vec<Value> = Candidate::value_variants()
        .iter()
        .map(|&candidate| {
            let [ours, script] = sides.each_mut().map(|side| side.candidate(candidate));
            let name = candidate.to_possible_value().unwrap();
            json!({ "candidate": name.get_name(), "ours": ours, "script": script })
        })
        .collect();

    let mut seconds = [(); 2].map(|()| (Vec::new(), Vec::new()));
    for _ in 0..arguments.repeat {
        for (side, (releases, rollbacks)) in sides.iter_mut().zip(&mut seconds) {
            releases.push(side.timed_release());
            rollbacks.push(side.timed_rollback());
        }
    }
    let image = fs::read_dir(sides[0].shop.image().join("blobs/sha256")).unwrap();
    let bytes: u64 = image.map(|blob| blob.unwrap().metadata().unwrap().len()).sum();
    let [ours, script] = seconds.map(|(releases, rollbacks)| json!({ "release": releases, "rollback": rollbacks }));
    let report = json!({
        "image_bytes": bytes, "seconds_watched": AFTER.as_secs(), "candidates": candidates,
        "ours": ours, "script": script,
        "versions": { "aws": version(&root().join(".venv-aws/bin/aws")), "skopeo": version(Path::new("skopeo")) },
    });
    fs::write(&arguments.output, report.to_string()).unwrap();
}

/// A program's version: the first word of what it prints that has a digit.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = said.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit()));
    number.unwrap().rsplit('/').next().unwrap().to_owned()
}

impl Side {
    /// A project of which a first version is in service, brought there by this project's release on both sides.
    fn open(releaser: Releaser) -> Self {
        let stand_in = StandIn::start();
        let shop = Shop::open(&stand_in, FUNCTION);
        shop.candidate(Run::Worse, 1);
        let first = shop.release(&stand_in, &[]);
        assert_eq!(first.code, Some(0), "{}", first.said);
        Self { releaser, stand_in, shop, variation: 1 }
    }

    /// Commits another candidate.
    fn prepare(&mut self, run: Run) {
        self.variation += 1;
        self.shop.candidate(run, self.variation);
    }

    /// Releases an image, whatever comes of it.
    fn release(&self, image: &Path, force: bool) -> Ended {
        match self.releaser {
            Releaser::Ours => {
                let mut arguments = vec!["run", "--image", image.to_str().unwrap()];
                if force {
                    arguments.extend(["--force", "--reason", "its time is taken"]);
                }
                self.shop.run(&self.stand_in, &arguments)
            }
            Releaser::Script => {
                let tag = self.shop.git(&["rev-parse", "HEAD"]);
                let mut command = Command::new(root().join("bench/release.sh"));
                command.arg(FUNCTION).arg(image).arg(tag.trim()).env("AWS", root().join(".venv-aws/bin/aws"));
                ended(command.envs(shop::credentials(&self.stand_in)).output().unwrap())
            }
        }
    }

    /// Releases a candidate while somebody calls; what came of it.
    fn candidate(&mut self, candidate: Candidate) -> Value {
        let before = self.shop.alias(&self.stand_in).0;
        let next = (self.published() + 1).to_string();
        let stale = self.shop.image();
        self.prepare(if candidate == Candidate::Worse { Run::Worse } else { Run::Better });
        let image = if candidate == Candidate::StaleImage { stale } else { self.shop.image() };
        match candidate {
            Candidate::CrashesAtOnce => self.stand_in.break_version(FUNCTION, &next, 1),
            Candidate::CrashesLater => self.stand_in.break_version(FUNCTION, &next, 3),
            Candidate::StaleImage | Candidate::Sound | Candidate::Worse => {}
        }
        let ((ended, seconds), calls) = self.called_meanwhile(|| {
            let began = Instant::now();
            let ended = self.release(&image, false);
            (ended, began.elapsed().as_secs_f64())
        });
        let in_service = self.shop.alias(&self.stand_in).0;
        let live = in_service != before;
        eprintln!(
            "{candidate:?}, {:?}: exit code {:?}, {}, {} of {} calls failed, {seconds:.1} s",
            self.releaser,
            ended.code,
            if live { "in service" } else { "not in service" },
            calls.failed,
            calls.answers
        );
        // What is expected of both with a sound candidate, so that nobody is measured who could not release at all.
        assert!(candidate != Candidate::Sound || (live && ended.code == Some(0)), "{}", ended.said);
        if live && candidate != Candidate::Sound {
            // Somebody has noticed.
            self.send_everybody_to(&before);
        }
        json!({
            "exit_code": ended.code, "live": live, "calls": calls.answers, "failed": calls.failed, "seconds": seconds,
        })
    }

    /// The newest version's number.
    fn published(&self) -> u32 {
        let said = aws(&self.stand_in, &["lambda", "list-versions-by-function", "--function-name", FUNCTION]);
        let versions = said["Versions"].as_array().unwrap().iter();
        versions.filter_map(|version| version["Version"].as_str()?.parse().ok()).max().unwrap()
    }

    fn send_everybody_to(&self, version: &str) {
        let alias = ["lambda", "update-alias", "--function-name", FUNCTION, "--name", "live"];
        aws(&self.stand_in, &[&alias[..], &["--function-version", version]].concat());
    }

    /// Does something while the alias is called again and again, and watches the calls for a while longer.
    fn called_meanwhile<T>(&self, work: impl FnOnce() -> T) -> (T, Calls) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let mut calls = Calls::default();
                while !over.load(Ordering::Relaxed) {
                    calls.answers += 1;
                    calls.failed += u32::from(self.stand_in.call(FUNCTION).1);
                    thread::sleep(PAUSE);
                }
                calls
            });
            let done = work();
            thread::sleep(AFTER);
            over.store(true, Ordering::Relaxed);
            (done, caller.join().unwrap())
        })
    }

    /// Seconds until a new version has everybody.
    fn timed_release(&mut self) -> f64 {
        self.prepare(Run::Better);
        let image = self.shop.image();
        let began = Instant::now();
        let ended = self.release(&image, true);
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        eprintln!("{:?}: a release in {seconds:.1} s", self.releaser);
        seconds
    }

    /// Seconds until the version before has everybody again.
    fn timed_rollback(&self) -> f64 {
        let now = self.shop.alias(&self.stand_in).0;
        let before = (now.parse::<u32>().unwrap() - 1).to_string();
        let began = Instant::now();
        match self.releaser {
            Releaser::Ours => {
                let ended = self.shop.run(&self.stand_in, &["rollback", "--to", &before]);
                assert_eq!(ended.code, Some(0), "{}", ended.said);
            }
            Releaser::Script => self.send_everybody_to(&before),
        }
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(self.shop.alias(&self.stand_in).0, before);
        eprintln!("{:?}: a rollback in {seconds:.1} s", self.releaser);
        seconds
    }
}
