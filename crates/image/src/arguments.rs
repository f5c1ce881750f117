//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wellformed_core::bundle::Precision;
use wellformed_image::Models;

/// The container images of what predicts and of what forwards its records: build them, look into them, run them as AWS
/// Lambda would.
///
/// An image is a folder, an OCI image layout; `build` prints where.
///
///   image build                                   models/bundle and the program, in target/images/…
///   image verify target/images/…                  every check, and cold starts at 512 MB and half a processor
///   image invoke target/images/… < events.jsonl   the image's program under a Runtime API
///   image push target/images/… REGISTRY/NAME:TAG
///
/// Exit code 3: the image was checked and is not fit.
#[derive(Debug, Parser)]
#[command(name = "image", version, verbatim_doc_comment, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Build an image from Dockerfile.lambda with docker or buildah, tagged with the git commit.
    Build(Build),
    /// Check an image: size, files, rights, labels, bundle, golden answers, wrong input, cold start; of the forwarder,
    /// that nothing is lost silently where the cluster is away.
    Verify(Verify),
    /// Run an image's program and hand it events, a JSON value to a line of standard input; answers, a line each, on
    /// standard output, the program's log on standard error.
    Invoke(Invoke),
    /// Measure the time from the start of an image's program to its first answer.
    ColdStart(ColdStart),
    /// Print the bill of materials (`CycloneDX` 1.6, JSON); advisories against it are told on standard error.
    Sbom(Sbom),
    /// Push an image as it is, and compare the digest that the registry gives back.
    Push(Push),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Program {
    /// `bootstrap`, for AWS Lambda.
    Lambda,
    /// `serve`, the HTTP server.
    Serve,
    /// `forwarder`, for AWS Lambda: records from `CloudWatch` Logs to Elasticsearch. There is no bundle in its image.
    Forwarder,
}

impl From<Program> for wellformed_image::Target {
    fn from(program: Program) -> Self {
        match program {
            Program::Lambda => Self::Lambda,
            Program::Serve => Self::Serve,
            Program::Forwarder => Self::Forwarder,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModelsWanted {
    /// Both, so that either precision can be chosen when the program is started.
    All,
    /// That of the bundle's default precision.
    Served,
    /// The one with 32-bit weights.
    Fp32,
    /// The one with 8-bit weights.
    Int8,
}

impl From<ModelsWanted> for Models {
    fn from(models: ModelsWanted) -> Self {
        match models {
            ModelsWanted::All => Self::All,
            ModelsWanted::Served => Self::Served,
            ModelsWanted::Fp32 => Self::Of(Precision::Fp32),
            ModelsWanted::Int8 => Self::Of(Precision::Int8),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's root folder.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) root: PathBuf,
    /// Which program.
    #[arg(long, value_enum, default_value_t = Program::Lambda)]
    pub(crate) target: Program,
    /// Build another Dockerfile of the project instead, such as bench/Dockerfile.python.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["target", "models", "rust_image"])]
    pub(crate) file: Option<String>,
    /// An argument for that Dockerfile; may be repeated.
    #[arg(long = "arg", value_name = "NAME=VALUE", requires = "file")]
    pub(crate) arguments: Vec<String>,
    /// The tag, if not the git commit.
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// The image that Rust comes from; otherwise $`WELLFORMED_RUST_IMAGE`, or the one that scripts/local-image made.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) rust_image: Option<String>,
    /// Which of the bundle's models go in, if the program needs a bundle.
    #[arg(long, value_enum, default_value_t = ModelsWanted::Served)]
    pub(crate) models: ModelsWanted,
    /// Build every step anew.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print all that the builder says.
    #[arg(long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Under {
    /// Memory in MB.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    pub(crate) memory: u64,
    /// Processors.
    #[arg(long, value_name = "COUNT", default_value_t = 0.5)]
    pub(crate) cpus: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The image.
    #[arg(value_name = "FOLDER")]
    pub(crate) image: PathBuf,
    /// Which program it is of.
    #[arg(long, value_enum, default_value_t = Program::Lambda)]
    pub(crate) target: Program,
    /// The bundle that it has to answer like; of no meaning to the forwarder.
    #[arg(long, value_name = "PATH", default_value = "models/bundle")]
    pub(crate) bundle: PathBuf,
    /// The most that it may take, in MB (10⁶ bytes), packed and unpacked; 40, or 10 of the forwarder, unless given.
    #[arg(long, value_name = "MB")]
    pub(crate) max_mb: Option<f64>,
    /// The longest median cold start, in ms.
    #[arg(long, value_name = "MS")]
    pub(crate) max_cold_start: Option<f64>,
    #[command(flatten)]
    pub(crate) under: Under,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// The image.
    #[arg(value_name = "FOLDER")]
    pub(crate) image: PathBuf,
    /// A variable for the program, such as `ELASTICSEARCH_URL=http://127.0.0.1:9200`; may be repeated. `NAME` alone takes
    /// the value of this command's own environment: a secret does not belong on a command line.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) variables: Vec<String>,
    #[command(flatten)]
    pub(crate) under: Under,
}

#[derive(Debug, Args)]
pub(crate) struct ColdStart {
    /// The image.
    #[arg(value_name = "FOLDER")]
    pub(crate) image: PathBuf,
    /// Which program it is of.
    #[arg(long, value_enum, default_value_t = Program::Lambda)]
    pub(crate) target: Program,
    /// How often it is started.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) starts: usize,
    #[command(flatten)]
    pub(crate) under: Under,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sbom {
    /// The image.
    #[arg(value_name = "FOLDER")]
    pub(crate) image: PathBuf,
    /// Which program it is of.
    #[arg(long, value_enum, default_value_t = Program::Lambda)]
    pub(crate) target: Program,
    /// The project's root folder, with Cargo.lock.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) root: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The image.
    #[arg(value_name = "FOLDER")]
    pub(crate) image: PathBuf,
    /// HOST/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE")]
    pub(crate) to: String,
}
