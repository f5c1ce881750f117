//! Images by the crate `image`: built from `Dockerfile.lambda`, checked and run on this machine, pushed by skopeo.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wellformed_core::bundle::Precision;
use wellformed_image::{
    BuildRequest, Builder, Expectations, Image, Models, Platform, RegistryReference, Target, golden, inspect, verify,
};

use crate::checkout::BUNDLE;
use crate::cloud::Secret;
use crate::images::{Images, Wanted};
use crate::record::ImageFacts;
use crate::settings::Architecture;

/// The label of the git commit (OCI image specification, annotations).
const REVISION: &str = "org.opencontainers.image.revision";

/// Images on this machine.
#[derive(Debug, Clone)]
pub struct Containers {
    /// An OCI layout that was built before; `None` builds one.
    pub built: Option<PathBuf>,
    /// The precision that the function serves; `None` for the bundle's own default.
    pub precision: Option<Precision>,
    /// How far a probability may be from the expected one.
    pub tolerance: f64,
    /// Memory of the function in MiB, which the image is tried with.
    pub memory_mib: u32,
}

impl Containers {
    fn request(&self, wanted: &Wanted) -> Result<BuildRequest> {
        let mut request = BuildRequest::of_commit(&wanted.root, Target::Lambda)?;
        ensure!(
            request.revision == wanted.commit,
            "the working tree is at {} now, but {} is being released",
            request.revision,
            wanted.commit
        );
        request.platform = platform(wanted.architecture);
        // Only what is served goes into the image.
        request.models = self.precision.map_or(Models::Served, Models::Of);
        Ok(request)
    }

    /// The image that was built, and no other that has come to lie in its place.
    fn open(&self, built: &ImageFacts, wanted: &Wanted) -> Result<Image> {
        let folder = match &self.built {
            Some(folder) => folder.clone(),
            None => self.request(wanted)?.folder(),
        };
        let image = Image::open(&folder, &built.reference)?;
        ensure!(
            image.digest() == built.digest,
            "{} holds the image {}, but {} was built for this release; run `cargo xtask rollback`, which gives it up, and \
             release again",
            folder.display(),
            image.digest(),
            built.digest
        );
        Ok(image)
    }
}

fn platform(architecture: Architecture) -> Platform {
    match architecture {
        Architecture::X86_64 => Platform::Amd64,
        Architecture::Arm64 => Platform::Arm64,
    }
}

impl Images for Containers {
    fn build(&self, wanted: &Wanted) -> Result<ImageFacts> {
        let image = if let Some(folder) = &self.built {
            let image = Image::open(folder, &folder.display().to_string())?;
            let revision = image.label(REVISION).unwrap_or("no commit");
            ensure!(
                revision == wanted.commit,
                "{} was built from {revision}, but {} is being released",
                folder.display(),
                wanted.commit
            );
            image
        } else {
            let mut last = String::new();
            let request = self.request(wanted)?;
            Builder::find()?.build(&request, &mut |line| line.clone_into(&mut last))?
        };
        Ok(ImageFacts {
            reference: image.reference.clone(),
            digest: image.digest().to_owned(),
            bytes: image.compressed(),
            platform: image.platform(),
        })
    }

    fn verify(&self, built: &ImageFacts, wanted: &Wanted) -> Result<Value> {
        let image = self.open(built, wanted)?;
        let answers = golden(&wanted.root.join(BUNDLE), self.precision)?;
        let mut expected = Expectations::new(Target::Lambda, &wanted.bundle, answers);
        expected.max_compressed = wanted.budget;
        expected.max_uncompressed = expected.max_uncompressed.max(2 * wanted.budget);
        expected.tolerance = self.tolerance;
        expected.limits.memory_mb = u64::from(self.memory_mib);
        expected.labels = BTreeMap::from([(REVISION.to_owned(), wanted.commit.clone())]);
        let platform = platform(wanted.architecture);
        ensure!(
            image.platform() == platform.name(),
            "{} is for {}, but the function is {}",
            built.reference,
            image.platform(),
            platform.name()
        );
        let (checks, found) = if platform.can_be_built_here() {
            let verification = verify(&image, &expected)?;
            (verification.checks.clone(), serde_json::to_value(&verification)?)
        } else {
            // Not a program of this processor: what it answers is found out by its number, in the cloud.
            let checks = inspect(&image, &expected)?;
            (checks.clone(), serde_json::json!({"checks": checks, "not_run": "another processor than this machine's"}))
        };
        let failed: Vec<String> = checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| format!("not so: {} ({})", check.name, check.found))
            .collect();
        if !failed.is_empty() {
            bail!("{}", failed.join("; "));
        }
        Ok(found)
    }

    fn push(&self, built: &ImageFacts, wanted: &Wanted, to: &str, password: Option<&Secret>) -> Result<String> {
        let host = to.split('/').next().unwrap_or_default();
        let to = RegistryReference::parse(to)?;
        if let Some(password) = password {
            login(host, password)?;
        }
        let pushed = self.open(built, wanted).and_then(|image| Ok(image.push(&to)?));
        if password.is_some() {
            // The password is good for some hours; it need not lie about. Where it does, it does no more harm.
            let _ = Command::new("skopeo").args(["logout", host]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        Ok(pushed?.digest)
    }
}

/// Logs in to a registry. The password goes through a pipe.
fn login(host: &str, password: &Secret) -> Result<()> {
    let mut command = Command::new("skopeo");
    command.args(["login", "--username", "AWS", "--password-stdin"]);
    if host.starts_with("127.0.0.1") || host.starts_with("localhost") {
        command.arg("--tls-verify=false");
    }
    command.arg(host).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start `skopeo`, which brings images to registries; install it")?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that has ended already says why below.
        let _ = pipe.write_all(password.reveal().as_bytes());
    }
    let output = child.wait_with_output().context("`skopeo login` was lost")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`skopeo login {host}` failed: {}", said.trim());
    Ok(())
}
