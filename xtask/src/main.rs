//! `cargo xtask`: the project's automation.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::bench::{Benchmarks, bench};
use xtask::check;
use xtask::environment::{DVC, Environment};
use xtask::image::image;
use xtask::params_file::ParamsFile;
use xtask::plots;
use xtask::preset::Preset;
use xtask::process::root;
use xtask::release::release;
use xtask::report::report;
use xtask::repro::{Wishes, repro};

/// The project's automation. From a fresh clone:
///
///   cargo xtask repro     a trained, measured model, with nothing set up beforehand
///   cargo xtask test      the whole test suite
///
/// Both can be repeated at will: what is done stays done.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", verbatim_doc_comment, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Put DVC into .venv, as requirements.txt pins it, and make `dvc plots` work offline where npm can be reached.
    /// Quick when it is there already.
    Setup,
    /// Run the pipeline: set up, build, `dvc repro`, and a summary of the metrics.
    ///
    /// DVC runs only the stages whose code, data or parameters changed. If the corpus is out of reach (no web, no DVC
    /// remote), the run falls back to the starter corpus, which the project generates itself, and says so first and
    /// last.
    ///
    /// Examples:
    ///   cargo xtask repro
    ///   cargo xtask repro --preset bert-tiny --set train.epochs=6
    ///   cargo xtask repro --strict -- --force train
    #[command(verbatim_doc_comment)]
    Repro {
        /// Write presets/NAME.yaml into params.yaml first; may be repeated, later ones win.
        #[arg(long = "preset", value_name = "NAME")]
        presets: Vec<String>,
        /// Write one value into params.yaml first, after the presets; may be repeated.
        #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
        sets: Vec<String>,
        /// Fail when the corpus is out of reach; never fall back to the starter corpus.
        #[arg(long)]
        strict: bool,
        /// Passed on to `dvc repro`.
        #[arg(last = true, value_name = "DVC ARGUMENT")]
        dvc_arguments: Vec<String>,
    },
    /// Print a preset as arguments for DVC: dvc exp run $(cargo xtask preset NAME). Without a name, list them all.
    Preset {
        /// The preset, presets/NAME.yaml.
        name: Option<String>,
    },
    /// Run every test: all crates, then the pipeline under real DVC in a copy of the project.
    Test,
    /// Hold models/bundle against ONNX's checker and ONNX Runtime (in .venv-onnx), on all sentences of validation.
    Verify,
    /// Check formatting, clippy, licences (where cargo-deny is installed), Python, YAML, workflows and infra/.
    Lint,
    /// Pages about runs: report/index.html and `MODEL_CARD.md`; with --diff a comparison, with --sweep a table of runs.
    ///
    /// `cargo xtask report --help` says more.
    #[command(disable_help_flag = true)]
    Report {
        /// Passed on to the binary `report`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// The container images of what predicts: build one, hold it against what it should be, ask it, push it.
    ///
    /// `cargo xtask image --help` says more. The default is AWS Lambda's image, of models/bundle.
    #[command(disable_help_flag = true)]
    Image {
        /// Passed on to the binary `image`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Put the model into service: gate, image, registry, a version of the function, canary, everybody.
    ///
    /// `cargo xtask release --help` says more; deploy.yaml says where and how carefully.
    #[command(disable_help_flag = true)]
    Release {
        /// Passed on to the binary `release`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Send everybody back to an older version; an interrupted release is undone.
    #[command(disable_help_flag = true)]
    Rollback {
        /// Passed on to the binary `release`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// What was released when, with which metrics.
    #[command(disable_help_flag = true)]
    Releases {
        /// Passed on to the binary `release`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Measure our speed beside what one would run instead, and write it up.
    ///
    /// A measurement leaves its figures, and the machine it ran on, in reports/bench/; docs/benchmarks.md is made of
    /// those files. Measure on a machine that has nothing else to do.
    ///
    /// Examples:
    ///   cargo xtask bench train --shapes 6x384
    ///   cargo xtask bench monitor --only speed --records 10000000
    ///   cargo xtask bench --write
    #[command(verbatim_doc_comment)]
    Bench(Benchmarks),
}

fn main() -> ExitCode {
    match act(Arguments::parse().task) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code; only releases have one that says more than success.
fn act(task: Task) -> Result<u8> {
    let root = root();
    let done = match task {
        Task::Image { arguments } => return image(&root, &arguments),
        Task::Release { arguments } => return release(&root, "run", &arguments),
        Task::Rollback { arguments } => return release(&root, "rollback", &arguments),
        Task::Releases { arguments } => return release(&root, "list", &arguments),
        Task::Setup => {
            let environment = Environment::ensure(&root, DVC)?;
            println!(".venv is ready: .venv/bin/dvc repro");
            plots::make_offline(&root, &environment)
        }
        Task::Repro { presets, sets, strict, dvc_arguments } => {
            repro(&root, &Wishes { presets, sets, strict, dvc_arguments })
        }
        Task::Preset { name: Some(name) } => {
            let params = ParamsFile::read(&root.join("params.yaml"))?;
            println!("{}", Preset::load(&root, &name)?.overrides(&params)?.join(" "));
            Ok(())
        }
        Task::Preset { name: None } => {
            for preset in Preset::all(&root)? {
                println!("{:10} {}", preset.name, preset.purpose);
            }
            Ok(())
        }
        Task::Verify => check::verify(&root),
        Task::Test => check::test(&root),
        Task::Lint => check::lint(&root),
        Task::Report { arguments } => report(&root, &arguments),
        Task::Bench(asked) => bench(&root, &asked),
    };
    done.map(|()| 0)
}
