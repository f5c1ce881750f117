//! Python environments with pinned packages, made once and left alone while their requirements stay the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

use crate::process::quietly;

/// The oldest Python that the pinned packages run on.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// Which environment, from which requirements.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// The folder in the project's root.
    pub folder: &'static str,
    /// The file with the pinned packages, from the project's root.
    pub requirements: &'static str,
    /// What a person is told is being installed.
    pub what: &'static str,
}

/// DVC, for the pipeline.
pub const DVC: Recipe =
    Recipe { folder: ".venv", requirements: "requirements.txt", what: "DVC (about 190 MB, a minute or less)" };

/// Linters for Python, YAML, workflows and `CloudFormation` templates.
pub const LINT: Recipe = Recipe {
    folder: ".venv-lint",
    requirements: "requirements-lint.txt",
    what: "ruff, yamllint, zizmor, actionlint and cfn-lint (about 200 MB)",
};

/// `PyTorch`, the yardstick of `cargo xtask bench`.
pub const BENCH: Recipe = Recipe {
    folder: ".venv-bench",
    requirements: "bench/requirements.txt",
    what: "PyTorch (several GB on Linux, some minutes)",
};

/// ONNX's checker and ONNX Runtime: the oracle of the bundle, and the yardstick of `cargo xtask bench infer`.
pub const ONNX: Recipe = Recipe {
    folder: ".venv-onnx",
    requirements: "bench/requirements-onnx.txt",
    what: "ONNX and ONNX Runtime (about 200 MB)",
};

/// Weights & Biases' own client: reads back and uploads what `track` writes.
pub const WANDB: Recipe =
    Recipe { folder: ".venv-wandb", requirements: "requirements-wandb.txt", what: "wandb (about 100 MB)" };

/// An OpenSearch-compatible server, which `cargo xtask test` sends records to.
pub const MONITOR: Recipe =
    Recipe { folder: ".venv-monitor", requirements: "requirements-monitor.txt", what: "osmem-server (20 MB)" };

/// `CycloneDX`'s validator, which the tests hold an image's bill of materials against.
pub const IMAGE: Recipe = Recipe {
    folder: ".venv-image",
    requirements: "bench/requirements-image.txt",
    what: "CycloneDX's validator (about 40 MB)",
};

/// AWS's command line and GTO, for `cargo xtask release`; moto's server, which stands in for AWS in the tests.
pub const AWS: Recipe = Recipe {
    folder: ".venv-aws",
    requirements: "requirements-aws.txt",
    what: "AWS's command line, GTO and moto (about 540 MB)",
};

/// An environment that is there and current.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes the environment unless it is there with exactly these requirements.
    ///
    /// # Errors
    ///
    /// When there is no suitable Python, or a package cannot be installed; with what to do.
    pub fn ensure(root: &Path, recipe: Recipe) -> Result<Self> {
        let root = fs::canonicalize(root).with_context(|| format!("cannot find {}", root.display()))?;
        let environment = Self { folder: root.join(recipe.folder) };
        let requirements = root.join(recipe.requirements);
        let wanted =
            fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
        // An environment holds absolute paths, so one that was moved with its project is no longer good.
        let place = fs::canonicalize(&environment.folder).unwrap_or_else(|_| environment.folder.clone());
        let wanted = format!("# {}\n{wanted}", place.display());
        let stamp = environment.folder.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(environment);
        }

        let python = find_python()?;
        let started = Instant::now();
        let bar = spinner(format!("{}: installing {}", recipe.folder, recipe.what));
        let mut create = Command::new(&python);
        create.args(["-m", "venv", "--clear"]).arg(&environment.folder);
        let (made, said) = quietly(&mut create)?;
        if !made {
            bail!(
                "`{python} -m venv` failed:\n{said}\nOn Debian and Ubuntu it needs `apt install python3-venv`; or \
                 name another Python with PYTHON=/path/to/python3."
            );
        }
        // Everything is pinned, so pip has nothing to resolve; `pip check` says if the pins do not fit together.
        let mut install = environment.python();
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        let (installed, said) = quietly(install.arg(&requirements))?;
        if !installed {
            bail!(
                "pip could not install {}:\n{said}\npip follows its usual settings (PIP_INDEX_URL, pip.conf); \
                 check that it can reach a package index, then run the same command again.",
                recipe.requirements
            );
        }
        let (consistent, said) = quietly(environment.python().args(["-m", "pip", "check"]))?;
        if !consistent {
            bail!("the packages of {} do not fit together:\n{said}", recipe.requirements);
        }
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        bar.finish_and_clear();
        eprintln!("{}: installed {} in {:.0} s", recipe.folder, recipe.requirements, started.elapsed().as_secs_f64());
        Ok(environment)
    }

    /// The environment's Python.
    pub fn python(&self) -> Command {
        Command::new(self.folder.join("bin").join("python"))
    }

    /// A program that a package of the environment brought, with the others on its path, as in an activated
    /// environment: the worker of DVC's queue looks for DVC there.
    pub fn program(&self, name: &str) -> Command {
        let programs = self.folder.join("bin");
        let mut command = Command::new(programs.join(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path))) {
            command.env("PATH", path);
        }
        command
    }
}

/// `$PYTHON`, or the first of the usual names that is new enough.
fn find_python() -> Result<String> {
    let given = std::env::var("PYTHON").ok();
    let names = match &given {
        Some(given) => vec![given.as_str()],
        None => vec!["python3", "python", "python3.14", "python3.13", "python3.12", "python3.11"],
    };
    let mut found = Vec::new();
    for name in names {
        let mut command = Command::new(name);
        command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
        let Ok((true, text)) = quietly(&mut command) else { continue };
        let mut numbers = text.split_whitespace().filter_map(|part| part.parse::<u32>().ok());
        let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { continue };
        if (major, minor) >= OLDEST_PYTHON {
            return Ok(name.to_owned());
        }
        found.push(format!("{name} is {major}.{minor}"));
    }
    let found = if found.is_empty() { "none was found".to_owned() } else { found.join(", ") };
    let (major, minor) = OLDEST_PYTHON;
    bail!("Python {major}.{minor} or newer is needed, but {found}; install one or name it with PYTHON=/path/to/python3")
}

/// A line that shows that something is going on; nothing where the output is no terminal.
fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message.clone());
    bar.enable_steady_tick(Duration::from_millis(120));
    if bar.is_hidden() {
        eprintln!("{message}");
    }
    bar
}
