//! The project as it lies here: git, DVC, the bundle, GTO.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wellformed_core::bundle::{MANIFEST, Manifest, Precision};
use wellformed_core::files::read_json;
use wellformed_infer::{Options, Predictor};
use wellformed_report::compare::compare;
use wellformed_report::number::{signed, three};
use wellformed_report::predictions;
use wellformed_report::run::Run;
use wellformed_report::tree::{Commit, Tree};

use crate::project::{Golden, Project};
use crate::record::{Judgement, Model, PairedTest, Record, short};
use crate::state::Route;

/// Where the bundle lies.
pub const BUNDLE: &str = "models/bundle";
/// The model's name in DVC's registry: an entry of `artifacts:` in dvc.yaml.
pub const ARTIFACT: &str = "wellformed";
/// The stage that GTO assigns to what is in service.
pub const STAGE: &str = "live";

/// The project as it lies here.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Its root folder.
    pub root: PathBuf,
    /// DVC.
    pub dvc: PathBuf,
    /// GTO.
    pub gto: PathBuf,
    /// The precision that the function serves; `None` for the bundle's own default.
    pub precision: Option<Precision>,
    /// How sure the paired test has to be.
    pub confidence: f64,
}

/// Runs a program; whether it succeeded, and what it printed, both streams.
fn run(program: &Path, arguments: &[&str], root: &Path) -> Result<(bool, String)> {
    let output = Command::new(program).args(arguments).current_dir(root).output();
    let output = output.with_context(|| format!("cannot start `{}`", program.display()))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).trim_end().to_owned()))
}

impl Checkout {
    fn git(&self, arguments: &[&str]) -> Result<String> {
        let (done, said) = run(Path::new("git"), arguments, &self.root)?;
        ensure!(done, "`git {}` failed: {said}", arguments.join(" "));
        Ok(said)
    }

    fn manifest(&self) -> Result<Manifest> {
        let path = self.root.join(BUNDLE).join(MANIFEST);
        ensure!(
            path.is_file(),
            "there is no {BUNDLE}/{MANIFEST}, so there is nothing to release; `.venv/bin/dvc pull {BUNDLE}` or `cargo \
             xtask repro` brings it"
        );
        let manifest: Manifest = read_json(&path)?;
        ensure!(
            manifest.is_sealed(),
            "{BUNDLE}/{MANIFEST} was changed after it was written (its digest is another); `.venv/bin/dvc checkout \
             {BUNDLE}` brings back what is committed"
        );
        Ok(manifest)
    }
}

impl Project for Checkout {
    fn candidate(&self) -> Result<Model> {
        let manifest = self.manifest()?;
        Ok(Model {
            commit: self.git(&["rev-parse", "HEAD"])?,
            bundle: manifest.digest,
            base: manifest.origin.base_model,
            sentences: manifest.metrics.sentences,
            mcc: manifest.metrics.mcc,
            mcc_interval: [manifest.metrics.mcc_low, manifest.metrics.mcc_high],
            int8_mcc: manifest.metrics.int8_mcc,
            accuracy: manifest.metrics.accuracy,
        })
    }

    fn check_current(&self) -> Result<()> {
        let changed = self.git(&["status", "--porcelain", "--untracked-files=no"])?;
        if !changed.is_empty() {
            bail!(
                "these differ from the commit, and a release is made of a commit:\n{changed}\nCommit them, or `git \
                 stash` them, then run the same command again"
            );
        }
        let (asked, said) = run(&self.dvc, &["status", "--json"], &self.root)
            .context("DVC says whether the bundle is current; `cargo xtask setup` installs it")?;
        ensure!(asked, "`dvc status` failed:\n{said}");
        // Messages go before the JSON.
        let json = said.find('{').map_or("{}", |at| &said[at..]);
        let status: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(json).context("`dvc status --json` did not print JSON")?;
        if !status.is_empty() {
            let stages: Vec<&str> = status.keys().map(String::as_str).collect();
            bail!(
                "the bundle is not that of this commit: `dvc status` says that {} changed; `.venv/bin/dvc checkout` or \
                 `cargo xtask repro` makes it current",
                stages.join(", ")
            );
        }
        wellformed_infer::verify(&self.root.join(BUNDLE))
            .with_context(|| format!("{BUNDLE} is not what its manifest says"))?;
        Ok(())
    }

    fn judge(&self, in_service: &Model) -> Result<Judgement> {
        let against = Some(in_service.commit.clone());
        let refused = |verdict: String| Judgement { passes: false, verdict, against: against.clone(), test: None };
        if self.manifest()?.digest == in_service.bundle {
            return Ok(refused("this very bundle is in service".to_owned()));
        }
        let commit = match Commit::find(&self.root, &in_service.commit) {
            Ok(commit) => commit,
            Err(error) => return Ok(refused(format!("cannot be compared with what is in service: {error:#}"))),
        };
        let before = Run::read(&Tree::of_commit(&self.root, commit.clone()))?;
        let after = Run::read(&Tree::working(&self.root))?;
        let old = predictions::of_commit(&self.root, &commit, &self.dvc);
        let new = predictions::of_working_tree(&self.root);
        let mut comparison = compare(before, after, [&old, &new], &[]);
        comparison.confidence = self.confidence;
        let Some(tested) = comparison.validation().and_then(|part| part.tested.as_ref()) else {
            return Ok(refused(format!("cannot be compared with what is in service: {}", comparison.notes.join(" "))));
        };
        let test = PairedTest {
            sentences: tested.sentences,
            mcc_before: tested.mcc.before,
            mcc_after: tested.mcc.after,
            interval: [tested.mcc.interval.low, tested.mcc.interval.high],
            p: tested.mcc.p,
            improved: tested.mcnemar.improved,
            worsened: tested.mcnemar.worsened,
            mcnemar_p: tested.mcnemar.mid_p,
        };
        let certain = test.p < 1.0 - self.confidence;
        let difference = test.mcc_after - test.mcc_before;
        let words = match (certain, difference > 0.0) {
            (true, true) => "better, and more than chance would explain",
            (true, false) => "worse, and more than chance would explain",
            (false, _) if test.improved + test.worsened == 0 => "every decision is the same",
            (false, _) => "no more than chance would explain",
        };
        let same_sentences = comparison.notes.is_empty();
        let verdict = format!(
            "MCC on validation {} in service, {} now ({}, p = {:.4}, {} sentences better, {} worse): {words}{}",
            three(test.mcc_before),
            three(test.mcc_after),
            signed(difference),
            test.p,
            test.improved,
            test.worsened,
            if same_sentences { String::new() } else { format!("; but {}", comparison.notes.join(" ")) }
        );
        let passes = certain && difference > 0.0 && same_sentences;
        Ok(Judgement { passes, verdict, against, test: Some(test) })
    }

    fn golden(&self, sentences: &[String]) -> Result<Vec<Golden>> {
        let options = Options { precision: self.precision, ..Options::default() };
        let predictor = Predictor::open(&self.root.join(BUNDLE), &options)?;
        let judge = |(place, sentence): (usize, &String)| {
            let prediction = predictor.predict(sentence);
            let prediction = prediction.with_context(|| format!("probe.sentences[{place}] of deploy.yaml"))?;
            Ok(Golden {
                sentence: sentence.clone(),
                label: prediction.label.name().to_owned(),
                p_acceptable: prediction.probabilities[1],
            })
        };
        sentences.iter().enumerate().map(judge).collect()
    }

    fn announce(&self, record: &Record) -> Result<Vec<String>> {
        let model = record.model.as_ref().context("the record does not say which model this is")?;
        let mut tags = Vec::new();
        let run_gto = |arguments: &[&str]| -> Result<String> {
            let (done, said) = run(&self.gto, arguments, &self.root)?;
            // What was tagged before an interruption is tagged.
            ensure!(done || said.contains("already"), "`gto {}` failed: {said}", arguments.join(" "));
            Ok(said)
        };
        let released = format!("{ARTIFACT}@v{}.0.0", record.number);
        let version = format!("v{}.0.0", record.number);
        if record.route == Route::Release {
            let message = format!("Release {}: bundle {}", record.number, model.bundle);
            run_gto(&["register", ARTIFACT, &model.commit, "--version", &version, "--message", &message])?;
            tags.push(released);
        }
        let message = format!("In service since {}", record.title());
        run_gto(&["assign", ARTIFACT, &model.commit, "--stage", STAGE, "--message", &message])?;
        tags.push(format!("{ARTIFACT}#{STAGE} at {}", short(&model.commit)));
        Ok(tags)
    }
}
