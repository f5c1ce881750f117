//! `cargo xtask test` and `cargo xtask lint`: everything that is checked, in a stated order, the same everywhere.

use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::{AWS, DVC, Environment, IMAGE, LINT, MONITOR, ONNX, WANDB};
use crate::process::{cargo, quietly, run, status};
use crate::repro::{UNREACHABLE, VALIDATION, binary, build, needs};

/// The whole test suite, the quick and telling parts first:
///
/// 1. unit, integration and documentation tests of every crate (the architecture's rules among them);
/// 2. the stages' binaries, built as the pipeline builds them;
/// 3. every kind of model file against ONNX's checker and ONNX Runtime;
/// 4. runs written for Weights & Biases, read back and uploaded by its own client; what docs/bundle.md says of using a
///    bundle from Python, run as it stands there;
/// 5. records of predictions, from the function in Lambda through the forwarder into an OpenSearch-compatible server,
///    and each panel of the dashboards on what has arrived there;
/// 6. the model against Hugging Face transformers on the real base model, which `fetch` brings if it can;
/// 7. the pipeline under real DVC: small runs in a copy of the project, remotes, experiments, a clone without data;
/// 8. the templates of infra/, and DVC's remote on S3 under their policies, against moto;
/// 9. the image of `Dockerfile.lambda`: built twice to the same digest, inspected, run under Lambda's limits, pushed;
/// 10. releases against moto, a registry, and the pushed images themselves: canary, crash, rollback, killed at every step.
///
/// # Errors
///
/// When a test fails.
pub fn test(root: &Path) -> Result<()> {
    let all = ["test", "--release", "--locked", "--workspace"];
    // What the environments take is mostly downloads, so Cargo compiles meanwhile.
    thread::scope(|scope| {
        let environments = scope.spawn(|| {
            let mut needed = [DVC, ONNX, WANDB, AWS, IMAGE, MONITOR].into_iter();
            needed.try_for_each(|wanted| Environment::ensure(root, wanted).map(drop))
        });
        run(cargo().args(all).arg("--no-run"))?;
        environments.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    run(cargo().args(all))?;
    build(&[])?;
    for claims in ["onnx", "track", "export", "monitor", "kibana", "install"] {
        ignored(claims, &[])?;
    }
    if default_base_is_there(root)? {
        ignored("parity", &[])?;
    } else {
        eprintln!(
            "NOT TESTED: models/base is another model than presets/minilm.yaml names, or out of reach, so it is not \
             compared with transformers here"
        );
    }
    ignored("dvc", &[])?;
    ignored("infra", &[])?;
    // Shown, so that what cannot be tested here says why.
    ignored("image", &["--nocapture"])?;
    ignored("release", &["--nocapture"])
}

/// The tests of one name that need more than Cargo. All of the workspace is named, so that Cargo builds nothing anew with
/// other features.
fn ignored(claims: &str, arguments: &[&str]) -> Result<()> {
    let tests = ["test", "--release", "--locked", "--workspace", "--test", claims, "--", "--ignored"];
    run(cargo().args(tests).args(arguments))
}

/// Holds `models/bundle` against ONNX's checker and, on every sentence of *validation*, against ONNX Runtime.
///
/// # Errors
///
/// When there is no bundle yet, or it fails.
pub fn verify(root: &Path) -> Result<()> {
    needs(root, &[("models/bundle/bundle.json", "export"), (VALIDATION, "prepare")])?;
    let environment = Environment::ensure(root, ONNX)?;
    build(&[])?;
    let mut command = environment.python();
    command.args(["bench/check_bundle.py", "--bundle", "models/bundle", "--data", VALIDATION, "--predict"]);
    run(command.arg(binary(root, "predict")).current_dir(root))
}

/// Whether `models/base` holds the model of `presets/minilm.yaml`, which the fixtures are about; if there is no base
/// model yet, `fetch` brings that of params.yaml first, unless its source is out of reach.
fn default_base_is_there(root: &Path) -> Result<bool> {
    let record = root.join("models/base/source.json");
    if !record.exists() {
        let mut fetch = Command::new("scripts/stage");
        match status(fetch.args(["fetch", "--only", "base"]).current_dir(root))? {
            0 => {}
            UNREACHABLE => return Ok(false),
            _ => bail!("the base model could not be fetched; fetch's own message is above"),
        }
    }
    let record: Value = serde_json::from_str(&fs::read_to_string(&record)?).context("models/base/source.json")?;
    let digest = record["files"]["model.safetensors"]["sha256"].as_str().unwrap_or("none");
    Ok(fs::read_to_string(root.join("presets/minilm.yaml"))?.contains(digest))
}

/// Formatting, lints, licences, and the files that no compiler reads.
///
/// # Errors
///
/// When a check fails; each check's own message says where.
pub fn lint(root: &Path) -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let (installed, _) = quietly(cargo().args(["deny", "--version"])).unwrap_or_default();
    if installed {
        run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        eprintln!("cargo-deny is not installed (`cargo install cargo-deny --locked`): licences are not checked here");
    }
    let tools = Environment::ensure(root, LINT)?;
    let within = |command: &mut Command| run(command.current_dir(root));
    within(tools.program("ruff").args(["check", "."]))?;
    within(tools.program("ruff").args(["format", "--check", "."]))?;
    within(tools.program("yamllint").args(["--strict", "."]))?;
    within(tools.program("zizmor").args(["--offline", "--no-progress", ".github/workflows"]))?;
    within(&mut tools.program("actionlint"))?;
    within(tools.program("cfn-lint").args(["infra/foundation.yaml", "infra/monitoring.yaml", "infra/service.yaml"]))
}
