//! Images built from `Dockerfile.lambda`, by docker or by buildah.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use wellformed_core::bundle::{MANIFEST, Manifest, Precision};
use wellformed_core::files::read_json;

use crate::error::{At, Error};
use crate::image::{Image, store};
use crate::layout::add_labels;
use crate::tool::{is_there, output, text, watched};

/// Chooses the builder: `docker` or `buildah`.
pub const BUILDER: &str = "WELLFORMED_BUILDER";
/// Names the image that Rust comes from, where it is not [`RUST_IMAGE`].
pub const RUST: &str = "WELLFORMED_RUST_IMAGE";
/// The default of `Dockerfile.lambda`.
pub const RUST_IMAGE: &str = "docker.io/library/rust:1.95.0-bookworm";
/// What `scripts/local-image rust` makes.
pub const LOCAL_RUST_IMAGE: &str = "localhost/wellformed-rust";

/// The label that holds the digest of the image's bundle.
pub const BUNDLE_LABEL: &str = "wellformed.bundle.digest";

/// What `scripts/local-image python` makes, for `bench/Dockerfile.python`.
pub const LOCAL_PYTHON_IMAGE: &str = "localhost/wellformed-python";

/// Which program the image is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// `bootstrap`, for AWS Lambda.
    Lambda,
    /// `serve`, the HTTP server.
    Serve,
    /// `forwarder`, for AWS Lambda: hands records from `CloudWatch` Logs to Elasticsearch or OpenSearch. It predicts
    /// nothing, so there is no bundle in its image.
    Forwarder,
}

impl Target {
    /// As `--target` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Serve => "serve",
            Self::Forwarder => "forwarder",
        }
    }

    /// The crate that the program is built from.
    pub fn package(self) -> &'static str {
        match self {
            Self::Lambda => "wellformed-lambda",
            Self::Serve => "wellformed-serve",
            Self::Forwarder => "wellformed-monitor",
        }
    }

    /// Where the program lies in the image, without a slash in front.
    pub fn program(self) -> &'static str {
        match self {
            Self::Lambda => "var/task/bootstrap",
            Self::Serve => "usr/bin/serve",
            Self::Forwarder => "var/task/forwarder",
        }
    }

    /// Whether there is a bundle in the image.
    pub fn has_bundle(self) -> bool {
        self != Self::Forwarder
    }
}

/// Which of a bundle's models go into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Models {
    /// Both, so that either precision can be chosen when the program is started.
    All,
    /// That of the bundle's default precision.
    #[default]
    Served,
    /// That of a precision.
    Of(Precision),
}

impl Models {
    fn pattern(self, manifest: &Manifest) -> &'static str {
        match self {
            Self::All => "model*.onnx",
            Self::Served => manifest.default_precision.file(),
            Self::Of(precision) => precision.file(),
        }
    }
}

/// A processor architecture, on Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Platform {
    /// `linux/amd64`: x86-64 with AVX2.
    #[serde(rename = "linux/amd64")]
    Amd64,
    /// `linux/arm64`.
    #[serde(rename = "linux/arm64")]
    Arm64,
}

impl Platform {
    /// As docker and buildah name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// As an image's configuration names it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust names it.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// This machine's own.
    pub fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// Whether this machine can run programs of the platform: its own, or through the kernel's `binfmt_misc` and QEMU.
    pub fn can_be_built_here(self) -> bool {
        let emulator = match self {
            Self::Amd64 => "qemu-x86_64",
            Self::Arm64 => "qemu-aarch64",
        };
        self == Self::native() || Path::new("/proc/sys/fs/binfmt_misc").join(emulator).exists()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The project's root folder, with `Dockerfile.lambda` and, for what predicts, `models/bundle`.
    pub root: PathBuf,
    /// Which program.
    pub target: Target,
    /// For which processor.
    pub platform: Platform,
    /// The image that Rust comes from; `None` for `$WELLFORMED_RUST_IMAGE`, or else [`LOCAL_RUST_IMAGE`] if buildah has
    /// it, or else [`RUST_IMAGE`].
    pub rust_image: Option<String>,
    /// The image's tag, such as a git commit.
    pub tag: String,
    /// The git commit, for the label `org.opencontainers.image.revision`.
    pub revision: String,
    /// The project's address, for the label `org.opencontainers.image.source`; may be empty.
    pub source: String,
    /// Which of the bundle's models go into the image, if there is a bundle in it.
    pub models: Models,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// When the commit was made, for the label `org.opencontainers.image.created`. Files and image themselves bear the
    /// time 0, so that the same content has the same digest.
    pub created: SystemTime,
    /// Whether layers of earlier builds may be used.
    pub cache: bool,
}

impl BuildRequest {
    /// Where the image that comes of it is kept, as an OCI layout.
    pub fn folder(&self) -> PathBuf {
        kept(self, self.target.name())
    }

    /// A request for the commit that the project stands at, tagged with it, for this machine's processor. Where tracked
    /// files differ from the commit, tag and revision end in `-dirty`, as `git describe --dirty` has it.
    ///
    /// # Errors
    ///
    /// When `root` is no git repository.
    pub fn of_commit(root: &Path, target: Target) -> Result<Self, Error> {
        let git = |arguments: &[&str]| text(Command::new("git").arg("-C").arg(root).args(arguments));
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            revision += "-dirty";
        }
        let seconds = git(&["show", "--no-patch", "--format=%ct", "HEAD"])?;
        let seconds = seconds.parse().map_err(|_| Error::Invalid(format!("git says that HEAD is of {seconds:?}")))?;
        Ok(Self {
            root: root.to_owned(),
            target,
            platform: Platform::native(),
            rust_image: None,
            tag: revision.clone(),
            revision,
            source: String::new(),
            models: Models::default(),
            labels: BTreeMap::new(),
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            cache: true,
        })
    }
}

/// A program that builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// Docker, with its daemon.
    Docker,
    /// Buildah, which needs no daemon.
    Buildah,
}

impl Builder {
    /// Docker if its daemon answers, else buildah; `$WELLFORMED_BUILDER` decides otherwise.
    ///
    /// # Errors
    ///
    /// When neither works; the message says what is missing.
    pub fn find() -> Result<Self, Error> {
        let wished = std::env::var(BUILDER).ok().filter(|wish| !wish.is_empty());
        let candidates: &[Self] = match wished.as_deref() {
            None => &[Self::Docker, Self::Buildah],
            Some("docker") => &[Self::Docker],
            Some("buildah") => &[Self::Buildah],
            Some(other) => {
                return Err(Error::Invalid(format!("{BUILDER} is {other:?}, but must be docker or buildah")));
            }
        };
        let mut tried = Vec::new();
        for builder in candidates {
            match builder.check() {
                Ok(()) => return Ok(*builder),
                Err(problem) => tried.push(problem),
            }
        }
        Err(Error::NoTool {
            what: "there is nothing to build an image with",
            tried: tried.join("; "),
            advice: "start Docker, or install buildah and skopeo (`apt-get install --no-install-recommends buildah \
                     skopeo runc` as root on Debian and Ubuntu)",
        })
    }

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Buildah => "buildah",
        }
    }

    fn check(self) -> Result<(), String> {
        if !is_there(self.name()) {
            return Err(format!("{} is not installed", self.name()));
        }
        let mut command = Command::new(self.name());
        match self {
            Self::Docker => command.args(["version", "--format", "{{.Server.Version}}"]),
            Self::Buildah => command.arg("info"),
        };
        output(&mut command).map_err(|_| match self {
            Self::Docker => "docker's daemon does not answer".to_owned(),
            Self::Buildah => "`buildah info` fails (it needs root, or /etc/subuid for a user)".to_owned(),
        })?;
        if is_there("skopeo") { Ok(()) } else { Err(format!("{} works, but skopeo is not installed", self.name())) }
    }

    /// Builds an image and keeps it as an OCI layout below Cargo's target folder ([`crate::store`]), put there whole or
    /// not at all. `watch` is given the builder's lines as they come.
    ///
    /// # Errors
    ///
    /// When there is no bundle, the platform cannot be built here, or the build fails; with the builder's last lines.
    pub fn build(self, request: &BuildRequest, watch: &mut dyn FnMut(&str)) -> Result<Image, Error> {
        let manifest = request.target.has_bundle().then(|| manifest(&request.root)).transpose()?;
        if !request.platform.can_be_built_here() {
            return Err(Error::Invalid(format!(
                "{} cannot be built on this machine: its kernel runs no programs of that architecture; register QEMU \
                 with binfmt_misc (Debian: qemu-user-static) or build on such a machine",
                request.platform
            )));
        }
        let mut arguments = BTreeMap::from([("RUST_IMAGE".to_owned(), self.rust_image(request))]);
        if let Some(manifest) = &manifest {
            arguments.insert("MODELS".to_owned(), request.models.pattern(manifest).to_owned());
        }
        let labels = labels(request, manifest.as_ref());
        let file = Dockerfile { path: "Dockerfile.lambda", target: Some(request.target.name()), arguments, labels };
        self.build_file(request, &file, watch)
    }

    /// As [`Builder::build`], from another Dockerfile of the project and without labels of its own: of `request` count
    /// the root, the platform, the tag and the cache. The image is called `NAME:TAG`.
    ///
    /// # Errors
    ///
    /// When the build fails; with the builder's last lines.
    pub fn build_other(
        self,
        request: &BuildRequest,
        path: &str,
        arguments: BTreeMap<String, String>,
        watch: &mut dyn FnMut(&str),
    ) -> Result<Image, Error> {
        let mut arguments = arguments;
        if self.has(LOCAL_PYTHON_IMAGE) {
            arguments.entry("PYTHON_IMAGE".to_owned()).or_insert_with(|| LOCAL_PYTHON_IMAGE.to_owned());
        }
        self.build_file(request, &Dockerfile { path, target: None, arguments, labels: BTreeMap::new() }, watch)
    }

    fn build_file(
        self,
        request: &BuildRequest,
        file: &Dockerfile<'_>,
        watch: &mut dyn FnMut(&str),
    ) -> Result<Image, Error> {
        watched(&mut self.command(request, file), watch)?;
        let folder = file.folder(request);
        let above = folder.parent().unwrap_or(&request.root);
        fs::create_dir_all(above).at("make", above)?;
        let scratch = tempfile::Builder::new().prefix(".image-").tempdir_in(above).at("make", above)?;
        let layout = scratch.path().join("layout");
        let reference = file.reference(request);
        let from = match self {
            // By way of a file: docker itself knows where its daemon is, skopeo does not know its contexts.
            Self::Docker => {
                let archive = scratch.path().join("image.tar");
                output(Command::new("docker").args(["save", "--output"]).arg(&archive).arg(&reference))?;
                format!("docker-archive:{}", archive.display())
            }
            Self::Buildah => format!("containers-storage:{reference}"),
        };
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", &from]).arg(format!("oci:{}:{}", layout.display(), request.tag));
        output(&mut copy)?;
        if !file.labels.is_empty() {
            add_labels(&layout, &file.labels)?;
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).at("write", &folder)?;
        }
        fs::rename(&layout, &folder).at("write", &folder)?;
        Image::open(&folder, &reference)
    }

    fn command(self, request: &BuildRequest, file: &Dockerfile<'_>) -> Command {
        let mut command = Command::new(self.name());
        command.current_dir(&request.root);
        match self {
            // Provenance would make an image index of it, which AWS Lambda does not take.
            Self::Docker => {
                command.args(["build", "--platform", request.platform.name()]);
                command.env("DOCKER_BUILDKIT", "1").env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
                command.args(["--build-arg", "SOURCE_DATE_EPOCH=0"]);
            }
            Self::Buildah => {
                command.args([
                    "bud",
                    "--layers",
                    "--force-rm",
                    "--format",
                    "oci",
                    "--platform",
                    request.platform.name(),
                ]);
                command.args(["--timestamp", "0"]);
                // A machine that builds is often itself a container, in which no other can be started.
                command.args(["--isolation", "chroot"]);
            }
        }
        if self == Self::Buildah && file.arguments.values().any(|value| value.starts_with("localhost/")) {
            // An image of this machine's own: for where package indexes are reached in this machine's own way only.
            command.arg("--pull-never");
            command.args(["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]);
            if let Some(crates) = crates_of_this_machine() {
                command.arg("--volume").arg(format!("{}:/usr/local/cargo/registry:ro", crates.display()));
            }
        }
        if !request.cache {
            command.arg("--no-cache");
        }
        command.args(["--file", file.path, "--tag", &file.reference(request)]);
        if let Some(target) = file.target {
            command.args(["--target", target]);
        }
        for (name, value) in &file.arguments {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        }
        command.arg(".");
        command
    }

    fn rust_image(self, request: &BuildRequest) -> String {
        let named = request.rust_image.clone().or_else(|| std::env::var(RUST).ok().filter(|name| !name.is_empty()));
        named.unwrap_or_else(|| if self.has(LOCAL_RUST_IMAGE) { LOCAL_RUST_IMAGE } else { RUST_IMAGE }.to_owned())
    }

    /// Whether the builder has an image of this name; of docker's nothing is known.
    pub fn has(self, name: &str) -> bool {
        let mut inspect = Command::new("buildah");
        inspect.args(["inspect", "--type", "image", name]);
        self == Self::Buildah && output(&mut inspect).is_ok()
    }
}

/// A Dockerfile and what it is built with.
struct Dockerfile<'a> {
    /// From the project's root.
    path: &'a str,
    target: Option<&'a str>,
    arguments: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Dockerfile<'_> {
    /// `lambda`, `serve` and `forwarder` for the images that ship; `python` for `bench/Dockerfile.python`.
    fn name(&self) -> &str {
        self.target.unwrap_or_else(|| self.path.rsplit('.').next().unwrap_or(self.path))
    }

    fn reference(&self, request: &BuildRequest) -> String {
        format!("localhost/wellformed-{}:{}", self.name(), request.tag)
    }

    fn folder(&self, request: &BuildRequest) -> PathBuf {
        kept(request, self.name())
    }
}

/// The folder of the image with a name.
fn kept(request: &BuildRequest, name: &str) -> PathBuf {
    store(&request.root).join(format!("{name}-{}-{}", request.platform.architecture(), request.tag))
}

/// The manifest of the bundle that goes into an image.
fn manifest(root: &Path) -> Result<Manifest, Error> {
    let path = root.join("models/bundle").join(MANIFEST);
    if !path.is_file() {
        return Err(Error::Invalid(format!(
            "there is no {}: an image needs a bundle, run `cargo xtask repro` or `dvc pull models/bundle` first",
            path.display()
        )));
    }
    read_json(&path).map_err(|error| Error::Form { path, problem: format!("{error:#}") })
}

fn labels(request: &BuildRequest, manifest: Option<&Manifest>) -> BTreeMap<String, String> {
    let mut labels = request.labels.clone();
    let created = humantime::format_rfc3339_seconds(request.created).to_string();
    for (name, value) in [
        ("org.opencontainers.image.created", created.as_str()),
        ("org.opencontainers.image.revision", &request.revision),
        ("org.opencontainers.image.source", &request.source),
        ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
        (BUNDLE_LABEL, manifest.map_or("", |manifest| &manifest.digest)),
    ] {
        if !value.is_empty() {
            labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    labels
}

fn crates_of_this_machine() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("registry")).filter(|registry| registry.is_dir())
}
