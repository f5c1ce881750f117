//! What the binary does with what was typed.

use std::collections::BTreeMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use wellformed_core::bundle::Manifest;
use wellformed_core::files::read_json;
use wellformed_image::sbom::{Advisories, advisories, sbom};
use wellformed_image::{
    BuildRequest, Builder, Expectations, Image, Limits, Prepared, RegistryReference, Target, cold_start, golden,
    trial_event, verify,
};

use crate::arguments::{Arguments, Build, ColdStart, Invoke, Push, Sbom, Task, Under, Verify};

/// Whether all is well; `false` for an image that is not fit.
pub(crate) fn run(arguments: Arguments) -> Result<bool> {
    match arguments.task {
        Task::Build(it) => build(it),
        Task::Verify(it) => check(&it),
        Task::Invoke(it) => invoke(&it),
        Task::ColdStart(it) => measure(&it),
        Task::Sbom(it) => materials(&it),
        Task::Push(it) => push(&it),
    }
}

fn open(folder: &Path) -> Result<Image> {
    let name = folder.display().to_string();
    Image::open(folder, &name).with_context(|| format!("{name} is no image; `image build` makes one"))
}

fn limits(under: &Under) -> Limits {
    Limits { memory_mb: under.memory, cpus: under.cpus, ..Limits::default() }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn build(it: Build) -> Result<bool> {
    let builder = Builder::find()?;
    let mut request = BuildRequest::of_commit(&it.root, it.target.into())?;
    if let Some(tag) = it.tag {
        request.tag = tag;
    }
    (request.rust_image, request.models, request.cache) = (it.rust_image, it.models.into(), !it.no_cache);
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")?);
    bar.enable_steady_tick(Duration::from_millis(120));
    let began = std::time::Instant::now();
    let mut watch = |line: &str| {
        if it.verbose {
            bar.suspend(|| eprintln!("{line}"));
        } else {
            bar.set_message(line.to_owned());
        }
    };
    let image = match &it.file {
        None => builder.build(&request, &mut watch)?,
        Some(file) => builder.build_other(&request, file, pairs(&it.arguments)?, &mut watch)?,
    };
    bar.finish_and_clear();
    println!("{}", image.layout.folder().display());
    eprintln!(
        "{} is {}, {:.1} MB packed, {:.1} MB unpacked, built by {} in {:.0} s",
        image.reference,
        image.digest(),
        megabytes(image.compressed()),
        megabytes(image.uncompressed),
        builder.name(),
        began.elapsed().as_secs_f64()
    );
    Ok(true)
}

fn pairs(arguments: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |argument: &String| {
        let (name, value) =
            argument.split_once('=').with_context(|| format!("--arg is {argument:?}, but must be NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    arguments.iter().map(pair).collect()
}

fn check(it: &Verify) -> Result<bool> {
    let image = open(&it.image)?;
    let target = Target::from(it.target);
    let mut expected = if target.has_bundle() {
        let manifest: Manifest = read_json(&it.bundle.join("bundle.json"))?;
        Expectations::new(target, &manifest.digest, golden(&it.bundle, None)?)
    } else {
        Expectations::forwarder()
    };
    if let Some(most) = it.max_mb.map(|most| (most * 1e6) as u64) {
        (expected.max_compressed, expected.max_uncompressed) = (most, most);
    }
    (expected.limits, expected.max_cold_start_ms) = (limits(&it.under), it.max_cold_start);
    let found = verify(&image, &expected)?;
    if it.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for check in &found.checks {
            println!("{:6} {}: {}", if check.passed { "ok" } else { "FAILED" }, check.name, check.found);
        }
    }
    let failed = found.failures().count();
    eprintln!("{}: {} checks, {failed} failed", found.digest, found.checks.len());
    Ok(found.passed())
}

fn invoke(it: &Invoke) -> Result<bool> {
    let prepared = Prepared::new(&open(&it.image)?)?;
    let mut sandbox = prepared.start(limits(&it.under), &variables(&it.variables)?)?;
    eprintln!("ready in {:.1} ms, run by {}", sandbox.init().as_secs_f64() * 1e3, prepared.engine());
    let mut fine = true;
    for line in stdin().lock().lines() {
        let answer = sandbox.invoke(line.context("cannot read standard input")?.as_bytes())?;
        answer.log.iter().for_each(|line| eprintln!("{line}"));
        if let Some(error) = &answer.function_error {
            eprintln!("function error {error}");
            fine = false;
        }
        let mut out = stdout().lock();
        out.write_all(&answer.payload)?;
        out.write_all(b"\n")?;
    }
    sandbox.shutdown().iter().for_each(|line| eprintln!("{line}"));
    Ok(fine)
}

/// `NAME=VALUE`, or `NAME` with the value that it has here.
fn variables(given: &[String]) -> Result<BTreeMap<String, String>> {
    let variable = |given: &String| {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                given.as_str(),
                std::env::var(given).with_context(|| format!("--env names {given}, which is not set here"))?,
            ),
        };
        Ok((name.to_owned(), value))
    };
    given.iter().map(variable).collect()
}

fn measure(it: &ColdStart) -> Result<bool> {
    let (variables, event) = trial_event(it.target.into())
        .context("the server does not run in AWS Lambda, so it has no cold start there")?;
    let prepared = Prepared::new(&open(&it.image)?)?;
    let bar = ProgressBar::new(it.starts as u64);
    let found = cold_start(&prepared, limits(&it.under), &variables, &event, it.starts, &mut |_| bar.inc(1))?;
    bar.finish_and_clear();
    if it.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    }
    let extremes = |figures: &[f64]| {
        let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let high = figures.iter().copied().fold(0.0, f64::max);
        format!("{:.1} ms ({low:.1} to {high:.1})", wellformed_image::median(figures))
    };
    eprintln!(
        "{} starts at {} MB and {} processors: ready after {}, first answer after {}, later ones after {}; memory {}",
        found.first_answer_ms.len(),
        it.under.memory,
        it.under.cpus,
        extremes(&found.init_ms),
        extremes(&found.first_answer_ms),
        extremes(&found.warm_ms),
        found.peak_memory_mb.map_or_else(|| "unknown".to_owned(), |most| format!("{most:.1} MB")),
    );
    Ok(true)
}

fn materials(it: &Sbom) -> Result<bool> {
    let image = open(&it.image)?;
    let bill = sbom(&it.root, &image, it.target.into())?;
    println!("{bill:#}");
    match advisories(&it.root, it.target.into()) {
        Advisories::Checked { found } if found.is_empty() => eprintln!("no advisory applies"),
        Advisories::Checked { found } => {
            for advisory in &found {
                eprintln!("{advisory}");
            }
            return Ok(false);
        }
        Advisories::NotChecked { why, how } => eprintln!("advisories: NOT CHECKED, {why}; {how}"),
    }
    Ok(true)
}

fn push(it: &Push) -> Result<bool> {
    let pushed = open(&it.image)?.push(&RegistryReference::parse(&it.to)?)?;
    println!("{}", pushed.reference);
    eprintln!("{}", if pushed.was_there { "it was there already" } else { "pushed" });
    Ok(true)
}
