//! Whether an image is fit to be released: what is in it, and what it does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wellformed_core::bundle::{MANIFEST, MODEL, MODEL_INT8, Manifest, PROFILE, SIGNALS, TOKENIZER};

use crate::builder::{BUNDLE_LABEL, Target};
use crate::cold_start::{ColdStart, cold_start};
use crate::error::Error;
use crate::forwarding;
use crate::golden::Golden;
use crate::image::Image;
use crate::layout::{Entry, Kind};
use crate::sandbox::{Limits, Prepared, Sandbox};

/// Where the bundle lies in an image.
pub const BUNDLE: &str = "opt/bundle";

/// What an image has to be.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// Which program it is of.
    pub target: Target,
    /// The most that a machine may have to download, in bytes.
    pub max_compressed: u64,
    /// The most that its files may take, in bytes.
    pub max_uncompressed: u64,
    /// The digest in bundle.json; `None` where there is no bundle in the image.
    pub bundle_digest: Option<String>,
    /// Labels that it has to have.
    pub labels: BTreeMap<String, String>,
    /// What it has to answer.
    pub golden: Vec<Golden>,
    /// The largest difference of a probability from a golden one. The processor may be another than the one that the
    /// golden answers come from: 32-bit sums are then made in another order.
    pub tolerance: f64,
    /// What it is run under.
    pub limits: Limits,
    /// How often it is started to measure the cold start.
    pub starts: usize,
    /// The longest that the median cold start may take, in milliseconds; `None` only measures.
    pub max_cold_start_ms: Option<f64>,
}

impl Expectations {
    /// What every image of this project has to be: at most 40 MB, its own bundle, the golden answers. `golden` comes from
    /// [`crate::golden()`].
    pub fn new(target: Target, bundle_digest: &str, golden: Vec<Golden>) -> Self {
        Self {
            target,
            max_compressed: 40_000_000,
            max_uncompressed: 40_000_000,
            bundle_digest: Some(bundle_digest.to_owned()),
            labels: BTreeMap::new(),
            golden,
            tolerance: 1e-4,
            limits: Limits::default(),
            starts: 5,
            max_cold_start_ms: None,
        }
    }

    /// What the forwarder's image has to be: at most 10 MB, no bundle, fit for the memory that infra/monitoring.yaml
    /// gives it.
    pub fn forwarder() -> Self {
        Self {
            max_compressed: 10_000_000,
            max_uncompressed: 10_000_000,
            bundle_digest: None,
            limits: Limits { memory_mb: 256, ..Limits::default() },
            ..Self::new(Target::Forwarder, "", Vec::new())
        }
    }
}

/// What was found, check by check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// The image's digest.
    pub digest: String,
    /// `linux/amd64` and the like.
    pub platform: String,
    /// What a machine downloads, in bytes.
    pub compressed_bytes: u64,
    /// What the files take, in bytes.
    pub uncompressed_bytes: u64,
    /// Every check.
    pub checks: Vec<Check>,
    /// The measured cold starts; `None` where the program did not get that far, or is not Lambda's.
    pub cold_start: Option<ColdStart>,
}

impl Verification {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// The checks that did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }
}

/// One check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// What is claimed.
    pub name: String,
    /// Whether it is so.
    pub passed: bool,
    /// What was found.
    pub found: String,
}

/// Checks an image: its files and configuration, and, for AWS Lambda's, what its program does under the limits.
///
/// # Errors
///
/// When the image cannot be read or there is nothing to run it with. An image that is not fit is no error: it is a
/// [`Verification`] that did not pass.
pub fn verify(image: &Image, expected: &Expectations) -> Result<Verification, Error> {
    let mut checks = inspect(image, expected)?;
    let mut measured = None;
    if let Some(trial) = Trial::of(expected.target) {
        let prepared = Prepared::new(image)?;
        let variables = (trial.variables)();
        match prepared.start(expected.limits, &variables) {
            Ok(sandbox) => {
                checks.push(check("the program gets ready", true, format!("in {} ms", sandbox.init().as_millis())));
                (trial.run)(&prepared, sandbox, expected, &mut checks)?;
                measured = Some(measure(&prepared, expected, &variables, &(trial.event)(), &mut checks)?);
            }
            Err(error @ (Error::Init { .. } | Error::TimedOut { .. })) => {
                checks.push(check("the program gets ready", false, error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Verification {
        digest: image.digest().to_owned(),
        platform: image.platform(),
        compressed_bytes: image.compressed(),
        uncompressed_bytes: image.uncompressed,
        checks,
        cold_start: measured,
    })
}

/// What can be said without running anything.
///
/// # Errors
///
/// When a layer cannot be read.
pub fn inspect(image: &Image, expected: &Expectations) -> Result<Vec<Check>, Error> {
    let entries = image.layout.entries()?;
    let configuration = &image.layout.configuration.config;
    let mut checks = vec![
        check(
            "the download is within its budget",
            image.compressed() <= expected.max_compressed,
            format!("{} of {} bytes", image.compressed(), expected.max_compressed),
        ),
        check(
            "the files are within their budget",
            image.uncompressed <= expected.max_uncompressed,
            format!("{} of {} bytes", image.uncompressed, expected.max_uncompressed),
        ),
    ];
    checks.push(expected_files(&entries, expected.target));
    let odd: Vec<String> = entries
        .iter()
        .filter(|it| it.kind == Kind::Other || it.mode & 0o7022 != 0 || it.user != 0 || it.group != 0)
        .map(|it| format!("/{} ({:?}, mode {:o}, owner {}:{})", it.path, it.kind, it.mode, it.user, it.group))
        .collect();
    let rights = "nothing is setuid, writable for others than root, a link or a device";
    checks.push(check(rights, odd.is_empty(), listed(&odd)));
    let dated: Vec<String> =
        entries.iter().filter(|it| it.modified != 0).map(|it| format!("/{} ({})", it.path, it.modified)).collect();
    // A layer that another build of this machine left behind; the same content then has another digest than elsewhere.
    let advice = "from another build's cache, build with --no-cache";
    let found = if dated.is_empty() { "all of them".to_owned() } else { format!("{}: {advice}", dated.join(", ")) };
    checks.push(check("every file bears the time 0", dated.is_empty(), found));
    let program = expected.target.program();
    let is_static = image.layout.file(program).is_ok_and(|bytes| is_static_program(&bytes));
    checks.push(check("the program is static", is_static, format!("/{program}")));
    let runs = configuration.entrypoint.first().is_some_and(|it| it.trim_start_matches('/') == program);
    checks.push(check("the program is the entry point", runs, configuration.entrypoint.join(" ")));
    let user = configuration.user.split(':').next().unwrap_or_default().parse::<u32>();
    checks.push(check("the user is not root", user.is_ok_and(|user| user != 0), configuration.user.clone()));
    let secrets: Vec<String> = configuration
        .env
        .iter()
        .map(|variable| variable.split('=').next().unwrap_or_default().to_owned())
        .filter(|name| sounds_secret(name))
        .collect();
    checks.push(check("no variable sounds like a secret", secrets.is_empty(), listed(&secrets)));
    let mut labels = expected.labels.clone();
    labels.extend(expected.bundle_digest.iter().map(|digest| (BUNDLE_LABEL.to_owned(), digest.clone())));
    for (name, value) in &labels {
        let found = image.label(name).unwrap_or("no such label");
        checks.push(check(&format!("the label {name} is right"), found == value, found.to_owned()));
    }
    if let Some(digest) = &expected.bundle_digest {
        checks.push(bundle(image, &entries, digest));
    }
    Ok(checks)
}

/// How the program of an image for AWS Lambda is tried.
struct Trial {
    /// What it needs to be told.
    variables: fn() -> BTreeMap<String, String>,
    /// An event that it has to answer without a function error, to measure the cold start with.
    event: fn() -> Vec<u8>,
    run: Run,
}

/// Tries a program that is ready; `Prepared` is for starting it anew.
type Run = fn(&Prepared, Sandbox, &Expectations, &mut Vec<Check>) -> Result<(), Error>;

impl Trial {
    /// `None` for what does not run in AWS Lambda.
    fn of(target: Target) -> Option<Self> {
        match target {
            Target::Lambda => Some(Self { variables: BTreeMap::new, event: a_sentence, run }),
            Target::Serve => None,
            Target::Forwarder => Some(Self {
                variables: forwarding::variables,
                event: forwarding::control_message,
                run: forwarding::run,
            }),
        }
    }
}

pub(crate) fn check(name: &str, passed: bool, found: String) -> Check {
    Check { name: name.to_owned(), passed, found }
}

pub(crate) fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The program, the bundle's files if there is a bundle, and the folders that they lie in: so no shell and no library
/// either.
fn expected_files(entries: &[Entry], target: Target) -> Check {
    let mut roots = vec![target.program()];
    roots.extend(target.has_bundle().then_some("opt/bundle/"));
    let mut unexpected = Vec::new();
    let mut found = BTreeSet::new();
    for entry in entries {
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        let known = match entry.kind {
            Kind::Folder => roots.iter().any(|it| it.starts_with(&format!("{}/", entry.path))),
            Kind::File if entry.path == target.program() => true,
            Kind::File if folder == BUNDLE && target.has_bundle() => {
                [MANIFEST, TOKENIZER, PROFILE, SIGNALS, MODEL, MODEL_INT8].contains(&name)
            }
            _ => false,
        };
        if known {
            found.insert(entry.path.as_str());
        } else {
            unexpected.push(format!("/{}", entry.path));
        }
    }
    let manifest = format!("{BUNDLE}/{MANIFEST}");
    let needed = [target.program()].into_iter().chain(target.has_bundle().then_some(manifest.as_str()));
    let missing = needed.filter(|path| !found.contains(path));
    let problems: Vec<String> =
        unexpected.into_iter().chain(missing.map(|path| format!("/{path} is missing"))).collect();
    let passed = problems.is_empty();
    let said = if passed { format!("{} files and folders", entries.len()) } else { problems.join(", ") };
    let name = if target.has_bundle() {
        "it holds the program, the bundle, and nothing else"
    } else {
        "it holds the program and nothing else"
    };
    check(name, passed, said)
}

/// The bundle's manifest is the expected one, and every file of it has its digest. Only the model that is not served may
/// be missing.
fn bundle(image: &Image, entries: &[Entry], expected: &str) -> Check {
    let name = "the bundle is the expected one";
    let manifest = image.layout.file(&format!("{BUNDLE}/{MANIFEST}"));
    let manifest = manifest
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).map_err(|error| format!("{MANIFEST}: {error}")));
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(problem) => return check(name, false, problem),
    };
    if !manifest.is_sealed() || manifest.digest != expected {
        return check(name, false, manifest.digest);
    }
    let spare = [MODEL, MODEL_INT8].into_iter().find(|model| *model != manifest.default_precision.file());
    let mut problems = Vec::new();
    for (file, entry) in &manifest.files {
        let path = format!("{BUNDLE}/{file}");
        match entries.iter().find(|it| it.path == path) {
            Some(found) if found.sha256 != entry.sha256 => problems.push(format!("{file} has another digest")),
            None if spare != Some(file.as_str()) => problems.push(format!("{file} is missing")),
            _ => {}
        }
    }
    let passed = problems.is_empty();
    check(name, passed, if passed { manifest.digest } else { problems.join(", ") })
}

/// An ELF-64 program that names no dynamic linker: it has no program header of type `PT_INTERP`.
fn is_static_program(bytes: &[u8]) -> bool {
    let number = |at: usize, size: usize| {
        let bytes = bytes.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |sum: usize, byte| (sum << 8) | usize::from(*byte)))
    };
    let headers = || -> Option<bool> {
        let (first, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        Some(count > 0 && (0..count).all(|index| number(first + index * size, 4).is_some_and(|kind| kind != 3)))
    };
    bytes.starts_with(b"\x7fELF\x02\x01") && headers().unwrap_or(false)
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL", "ACCESS_KEY", "API_KEY", "PRIVATE_KEY"]
        .iter()
        .any(|word| name.contains(word))
}

/// What the running program answers.
fn run(_: &Prepared, mut sandbox: Sandbox, expected: &Expectations, checks: &mut Vec<Check>) -> Result<(), Error> {
    let sentences: Vec<&str> = expected.golden.iter().map(|golden| golden.sentence.as_str()).collect();
    let mut log = Vec::new();
    let mut wrong = Vec::new();
    let mut digests = BTreeSet::new();
    for golden in &expected.golden {
        let answer = sandbox.invoke(json!({ "sentence": golden.sentence }).to_string().as_bytes())?;
        let found = answer.json();
        digests.extend(found["bundle"].as_str().map(str::to_owned));
        wrong.extend(differs(golden, &found["predictions"][0], expected.tolerance));
        wrong.extend(answer.function_error);
        log.extend(answer.log);
    }
    let all = sandbox.invoke(json!({ "sentences": sentences }).to_string().as_bytes())?;
    let found = all.json();
    for (index, golden) in expected.golden.iter().enumerate() {
        wrong.extend(differs(golden, &found["predictions"][index], expected.tolerance));
    }
    log.extend(all.log);
    let count = expected.golden.len();
    let said = if wrong.is_empty() { format!("{count} sentences, one by one and together") } else { wrong.join("; ") };
    checks.push(check("it answers as the bundle does outside", wrong.is_empty() && count > 0, said));
    let right = digests.len() == 1 && digests.first() == expected.bundle_digest.as_ref();
    let found: Vec<String> = digests.into_iter().collect();
    checks.push(check("its answers name the bundle", right, listed(&found)));

    let mut refused = Vec::new();
    let mistakes: [(&str, &str); 4] = [
        (r#"{"sentence": "The baker"#, "malformed_json"),
        ("{}", "missing_field"),
        (r#"{"sentence": "  "}"#, "empty_sentence"),
        (r#"{"sentences": ["The oven.", 4]}"#, "wrong_type"),
    ];
    for (payload, code) in mistakes {
        let answer = sandbox.invoke(payload.as_bytes())?;
        let found = answer.json();
        let (status, error) = (&found["statusCode"], &found["error"]["code"]);
        if answer.function_error.is_some() || *status != 400 || *error != code {
            refused.push(format!("{payload} gives status {status}, code {error}, but 400 {code} was expected"));
        }
        log.extend(answer.log);
    }
    let said = if refused.is_empty() { format!("{} kinds of it", mistakes.len()) } else { refused.join("; ") };
    checks.push(check("wrong input gets the documented error", refused.is_empty(), said));
    let lives = sandbox.is_alive();
    checks.push(check("it lives on after wrong input", lives, if lives { "yes" } else { "it ended" }.to_owned()));
    log.extend(sandbox.shutdown());

    let unreadable = log.iter().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    let said = format!("{} lines, {unreadable} of them not JSON", log.len());
    checks.push(check("its log is JSON, a record to a line", unreadable == 0 && !log.is_empty(), said));
    // Only sentences that could not be in a log by chance.
    let told = sentences.iter().filter(|it| it.contains(' ')).filter(|it| log.iter().any(|line| line.contains(*it)));
    let told: Vec<String> = told.map(|sentence| format!("{sentence:?}")).collect();
    checks.push(check("no sentence is in its log", told.is_empty(), listed(&told)));
    Ok(())
}

/// An event for `bootstrap`.
fn a_sentence() -> Vec<u8> {
    br#"{"sentence": "The baker opened the oven before the sun came up."}"#.to_vec()
}

/// The variables and the event with which the cold start of a program in AWS Lambda is measured; `None` for what does
/// not run there.
pub fn trial_event(target: Target) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    Trial::of(target).map(|trial| ((trial.variables)(), (trial.event)()))
}

/// In what an answer is not the golden one.
fn differs(golden: &Golden, found: &Value, tolerance: f64) -> Option<String> {
    let p = found["probabilities"]["acceptable"].as_f64().unwrap_or(f64::NAN);
    let same = found["label"] == golden.label
        && (p - golden.p_acceptable).abs() <= tolerance
        && found["tokens"].as_u64() == Some(golden.tokens as u64);
    (!same).then(|| {
        format!(
            "{:?} is {} with {p:.6} of {} tokens, but {} with {:.6} of {} outside",
            golden.sentence, found["label"], found["tokens"], golden.label, golden.p_acceptable, golden.tokens
        )
    })
}

fn measure(
    prepared: &Prepared,
    expected: &Expectations,
    variables: &BTreeMap<String, String>,
    event: &[u8],
    checks: &mut Vec<Check>,
) -> Result<ColdStart, Error> {
    let result = cold_start(prepared, expected.limits, variables, event, expected.starts, &mut |_| {})?;
    let median = result.median_ms();
    let within = expected.max_cold_start_ms.is_none_or(|most| median <= most);
    let budget = expected.max_cold_start_ms.map_or_else(String::new, |most| format!(" of {most:.0} ms"));
    let said = format!("{median:.1} ms{budget}, median of {} starts", result.first_answer_ms.len());
    checks.push(check("it starts within its budget", within, said));
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
        let path = path.to_owned();
        Entry { path, kind, mode, user: 0, group: 0, bytes: 0, sha256: String::new(), modified: 0 }
    }

    fn minimal() -> Vec<Entry> {
        let folders = ["opt", "opt/bundle", "var", "var/task"].map(|path| entry(path, Kind::Folder, 0o755));
        let files = ["opt/bundle/bundle.json", "var/task/bootstrap"].map(|path| entry(path, Kind::File, 0o444));
        folders.into_iter().chain(files).collect()
    }

    #[test]
    fn a_shell_a_library_or_a_stray_folder_is_found() {
        assert!(expected_files(&minimal(), Target::Lambda).passed);
        for stray in [
            entry("bin/sh", Kind::File, 0o755),
            entry("lib", Kind::Folder, 0o755),
            entry("opt/bundle/notes.txt", Kind::File, 0o444),
            entry("var/task/bootstrap2", Kind::File, 0o555),
        ] {
            let mut entries = minimal();
            entries.push(stray.clone());
            let check = expected_files(&entries, Target::Lambda);
            assert!(!check.passed && check.found.contains(&stray.path), "{check:?}");
        }
    }

    #[test]
    fn an_image_without_its_program_is_found() {
        let mut entries = minimal();
        entries.retain(|it| it.path != "var/task/bootstrap");
        assert!(!expected_files(&entries, Target::Lambda).passed);
        assert!(!expected_files(&minimal(), Target::Serve).passed, "Lambda's program is not the server");
    }

    #[test]
    fn a_bundle_in_the_image_of_what_does_not_predict_is_found() {
        let mut entries = minimal();
        entries.retain(|it| !it.path.starts_with("opt"));
        entries[2].path = "var/task/forwarder".to_owned();
        assert!(expected_files(&entries, Target::Forwarder).passed);
        for stray in [entry("opt", Kind::Folder, 0o755), entry("opt/bundle/bundle.json", Kind::File, 0o444)] {
            let mut entries = entries.clone();
            entries.push(stray.clone());
            let check = expected_files(&entries, Target::Forwarder);
            assert!(!check.passed && check.found.contains(&stray.path), "{check:?}");
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "HF_TOKEN", "db_password", "WANDB_API_KEY"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["PATH", "LAMBDA_TASK_ROOT", "WELLFORMED_PRECISION", "KEYBOARD"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }

    #[test]
    fn a_program_that_needs_a_dynamic_linker_is_told_from_a_static_one() {
        assert!(!is_static_program(b"#!/bin/sh\n"));
        assert!(!is_static_program(b"\x7fELF\x02\x01"), "cut off");
        // The test program itself is linked dynamically, as Rust does on GNU/Linux unless told otherwise.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static_program(&own));
    }

    #[test]
    fn another_label_another_probability_or_other_tokens_are_no_golden_answer() {
        let golden = Golden { sentence: "It rains.".into(), label: "acceptable".into(), p_acceptable: 0.75, tokens: 5 };
        let answer = |label: &str, p: f64, tokens: usize| json!({ "label": label, "probabilities": { "acceptable": p, "unacceptable": 1.0 - p }, "tokens": tokens });
        assert_eq!(differs(&golden, &answer("acceptable", 0.750_05, 5), 1e-4), None);
        for wrong in [
            answer("unacceptable", 0.75, 5),
            answer("acceptable", 0.7502, 5),
            answer("acceptable", 0.75, 6),
            Value::Null,
        ] {
            assert!(differs(&golden, &wrong, 1e-4).is_some(), "{wrong}");
        }
    }
}
