//! `cargo xtask repro`: from a bare checkout to a trained and measured model.
//!
//! Plain `dvc repro` does what `params.yaml` says or fails. This command adds what a first run needs: the environment,
//! presets, the build as a step of its own, and, when the corpus can be had neither from the web nor from a DVC
//! remote, a run on the corpus that the project generates itself, announced first and last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::{DVC, Environment};
use crate::params_file::{Change, ParamsFile};
use crate::preset;
use crate::process::{cargo, quietly, run, status};

/// What `fetch` ends with when a source cannot be reached, as opposed to being wrong.
pub const UNREACHABLE: i32 = 3;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Presets to write into params.yaml, in order.
    pub presets: Vec<String>,
    /// Single values to write into params.yaml after them.
    pub sets: Vec<String>,
    /// Fail rather than fall back to the starter corpus.
    pub strict: bool,
    /// Passed on to `dvc repro`.
    pub dvc_arguments: Vec<String>,
}

/// Runs the pipeline.
///
/// # Errors
///
/// When any step fails, with the step's own message above.
pub fn repro(root: &Path, wishes: &Wishes) -> Result<()> {
    let project = Project { root: root.to_owned(), environment: Environment::ensure(root, DVC)? };
    for change in preset::apply(root, &wishes.presets, &wishes.sets)? {
        eprintln!("params.yaml: {change}");
    }
    project.pull_corpus()?;

    let started = Instant::now();
    build(&[])?;
    let built = started.elapsed();
    let started = Instant::now();
    let fallback = project.run_or_fall_back(wishes)?;
    let ran = started.elapsed();

    eprintln!();
    eprintln!("Build: {}. Pipeline: {}.", minutes(built.as_secs()), minutes(ran.as_secs()));
    println!("{}", project.summary()?);
    if let Some(fallback) = fallback {
        eprintln!("{}", fallback.last_words());
    }
    Ok(())
}

/// Builds the stages as `scripts/stage` does, so that it finds them built.
///
/// # Errors
///
/// When the build fails.
pub fn build(extra: &[&str]) -> Result<()> {
    if std::env::var_os("WELLFORMED_BINARIES").is_some() {
        return Ok(());
    }
    let features = std::env::var("WELLFORMED_FEATURES").unwrap_or_default();
    let features: Vec<String> = features
        .split([',', ' '])
        .filter(|feature| !feature.is_empty())
        .flat_map(|feature| ["train", "eval", "export"].map(|stage| format!("wellformed-{stage}/{feature}")))
        .collect();
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--workspace", "--bins", "--features", &features.join(",")]);
    run(command.args(extra))?;
    Ok(())
}

/// The sentences that everything is reported on.
pub const VALIDATION: &str = "data/prepared/validation.parquet";

/// Requires outputs of stages.
///
/// # Errors
///
/// When one is not there: which, and from which stage it comes.
pub fn needs(root: &Path, outputs: &[(&str, &str)]) -> Result<()> {
    match outputs.iter().find(|(path, _)| !root.join(path).exists()) {
        Some((path, stage)) => bail!("{path} is not there; run `cargo xtask repro` first (stage {stage})"),
        None => Ok(()),
    }
}

/// Where a binary of the project is once [`build`] has built it.
pub fn binary(root: &Path, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    std::env::var_os("WELLFORMED_BINARIES").map_or_else(|| target.join("release"), Into::into).join(name)
}

/// A project with its environment.
struct Project {
    root: PathBuf,
    environment: Environment,
}

/// What the fallback wrote into params.yaml, and whether there was anything of the user's own in it.
struct Fallback {
    changes: Vec<Change>,
    params_were_committed: bool,
}

impl Project {
    fn dvc(&self, arguments: &[&str]) -> Command {
        let mut command = self.environment.program("dvc");
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Where a DVC remote is set up, the corpus comes from there if it can; if not, `fetch` will see.
    fn pull_corpus(&self) -> Result<()> {
        let corpus = "data/raw/corpus.zip";
        if self.root.join(corpus).exists() || !self.root.join("dvc.lock").exists() {
            return Ok(());
        }
        let (listed, remotes) = quietly(&mut self.dvc(&["remote", "list"]))?;
        if !listed || remotes.trim().is_empty() {
            return Ok(());
        }
        let (pulled, _) = quietly(&mut self.dvc(&["pull", corpus]))?;
        let outcome = if pulled { "came from the DVC remote" } else { "is not in the DVC remote" };
        eprintln!("{corpus} {outcome}");
        Ok(())
    }

    /// `dvc repro`; on a corpus that is out of reach, the starter corpus.
    fn run_or_fall_back(&self, wishes: &Wishes) -> Result<Option<Fallback>> {
        let arguments: Vec<&str> = wishes.dvc_arguments.iter().map(String::as_str).collect();
        let repro = || status(self.dvc(&["repro"]).args(&arguments));
        if repro()? == 0 {
            return Ok(None);
        }
        // Whether it was fetch that failed: its outputs are then not what dvc.lock says.
        let (fetched, _) = quietly(&mut self.dvc(&["status", "--quiet", "fetch"]))?;
        if fetched {
            bail!("the pipeline stopped; the stage's own message is above");
        }
        // DVC does not pass a stage's exit code on, so fetch is asked again, without DVC, a part at a time.
        eprintln!("\nfetch failed. Once more, without DVC, to see what it was:");
        let mut fallback = Fallback { changes: Vec::new(), params_were_committed: self.params_are_committed()? };
        match self.fetch("data")? {
            0 => {}
            UNREACHABLE if wishes.strict => bail!("the corpus is out of reach, and --strict allows no other"),
            UNREACHABLE => {
                eprintln!("{}", Fallback::first_words());
                fallback.take("starter", &self.root)?;
            }
            _ => bail!("the corpus could not be fetched; fetch's own message is above"),
        }
        let on_starter = !fallback.changes.is_empty();
        match self.fetch("base")? {
            0 => {}
            UNREACHABLE if on_starter => {
                eprintln!("{}", boxed(&["The base model is out of reach too: the run starts from RANDOM WEIGHTS."]));
                fallback.take("scratch", &self.root)?;
            }
            // The way out is the user's choice: fetch has named them.
            _ => bail!("the base model could not be fetched; fetch's own message is above"),
        }
        if repro()? != 0 {
            bail!("the pipeline stopped; the stage's own message is above");
        }
        Ok(on_starter.then_some(fallback))
    }

    /// A part of the stage `fetch`, run by hand: its exit code.
    fn fetch(&self, part: &str) -> Result<i32> {
        status(Command::new("scripts/stage").args(["fetch", "--only", part]).current_dir(&self.root))
    }

    /// Whether params.yaml is as in the last commit.
    fn params_are_committed(&self) -> Result<bool> {
        let mut git = Command::new("git");
        git.args(["diff", "--quiet", "HEAD", "--", "params.yaml"]).current_dir(&self.root);
        Ok(quietly(&mut git)?.0)
    }

    /// The headline figures of `reports/eval/metrics.json`.
    fn summary(&self) -> Result<String> {
        let path = self.root.join("reports/eval/metrics.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let metrics: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let source = ParamsFile::read(&self.root.join("params.yaml"))?.get("data.source").unwrap_or_default();
        let mut lines = vec![format!("Corpus `{source}`, from reports/eval/metrics.json:")];
        for part in ["tune", "validation", "in_domain", "out_of_domain"] {
            let number = |name: &str| metrics[part][name].as_f64();
            let (Some(mcc), Some(accuracy)) = (number("mcc"), number("accuracy")) else { continue };
            let interval = match (number("mcc_low"), number("mcc_high")) {
                (Some(low), Some(high)) => format!(" ({low:.3} to {high:.3})"),
                _ => String::new(),
            };
            lines.push(format!("  {part:14} MCC {mcc:.3}{interval}, accuracy {accuracy:.3}"));
        }
        lines.push("More: .venv/bin/dvc metrics show, dvc plots show, dvc exp show".to_owned());
        Ok(lines.join("\n"))
    }
}

impl Fallback {
    fn take(&mut self, preset: &str, root: &Path) -> Result<()> {
        self.changes.extend(preset::apply(root, &[preset.to_owned()], &[])?);
        Ok(())
    }

    fn first_words() -> String {
        boxed(&[
            "The corpus can be had neither from the web nor from a DVC remote.",
            "This run trains on the STARTER CORPUS, which the project generates itself.",
            "Its metrics will say nothing about CoLA. (--strict fails instead.)",
        ])
    }

    fn last_words(&self) -> String {
        let mut lines = vec![
            "These metrics describe the STARTER CORPUS only, not CoLA.".to_owned(),
            "params.yaml was changed:".to_owned(),
        ];
        lines.extend(self.changes.iter().map(|change| format!("  {change}")));
        lines.push("Back to the committed parameters, once the corpus is within reach:".to_owned());
        if self.params_were_committed {
            lines.push("  git checkout params.yaml && cargo xtask repro".to_owned());
        } else {
            // There were changes of the user's own: only ours are taken back.
            let back: Vec<String> = self.changes.iter().map(|c| format!("--set {}={}", c.key, c.old)).collect();
            lines.push(format!("  cargo xtask repro {}", back.join(" ")));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        boxed(&lines)
    }
}

/// Lines in a frame that nobody overlooks.
fn boxed(lines: &[&str]) -> String {
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let rule = "!".repeat(width + 6);
    let rows: Vec<String> = lines.iter().map(|line| format!("!! {line:width$} !!")).collect();
    format!("\n{rule}\n{}\n{rule}\n", rows.join("\n"))
}

fn minutes(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_frames_its_longest_line() {
        assert_eq!(boxed(&["one", "three"]), "\n!!!!!!!!!!!\n!! one   !!\n!! three !!\n!!!!!!!!!!!\n");
    }

    #[test]
    fn the_last_words_say_what_changed_and_how_to_undo_it() {
        let change = Change { key: "data.source".to_owned(), old: "cola".to_owned(), new: "starter".to_owned() };
        let mut fallback = Fallback { changes: vec![change], params_were_committed: true };
        let clean = fallback.last_words();
        assert!(clean.contains("STARTER CORPUS only"), "{clean}");
        assert!(clean.contains("data.source: cola -> starter"), "{clean}");
        assert!(clean.contains("git checkout params.yaml && cargo xtask repro"), "{clean}");
        fallback.params_were_committed = false;
        let dirty = fallback.last_words();
        assert!(dirty.contains("cargo xtask repro --set data.source=cola"), "{dirty}");
        assert!(!dirty.contains("git checkout"), "a checkout would lose the user's own changes: {dirty}");
    }
}
