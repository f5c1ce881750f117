//! What the binary can be told.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use wellformed_release::flow::Wishes;
use wellformed_release::task::{self, DeployWishes};

const CODES: &str = "\
Exit codes:
  0  in service, or there was nothing to do
  1  something is wrong, and nobody was sent to the new version; if a record is open, run the same command again
  2  the command line is wrong
  3  the gate refused: not better than what is in service
  4  something was wrong in service; the alias is where it was before

What is deployed, where and how carefully: deploy.yaml. AWS is reached by the `aws` command line, with its own settings
(AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and so on).";

const RUN: &str = "\
Examples:
  cargo xtask release --dry-run                          only the plan
  cargo xtask release
  cargo xtask release --force --reason 'a defect of the server, same model'
  cargo xtask release --image target/images/abc          an image that was built before

An interrupted release: the same command again continues it, or undoes it if the commit or the bundle is another now.
`cargo xtask rollback` undoes it in any case.";

/// Put the model into service, go back, and see what was released.
#[derive(Parser)]
#[command(name = "release", version, after_help = CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// Which programs are asked.
#[derive(Args)]
pub(crate) struct Place {
    /// The AWS command line.
    #[arg(long, global = true, value_name = "PATH", default_value = "aws")]
    aws: PathBuf,
    /// DVC, which says whether the bundle is current and brings the predictions of what is in service.
    #[arg(long, global = true, value_name = "PATH", default_value = ".venv/bin/dvc")]
    dvc: PathBuf,
    /// GTO, which tags the model in DVC's registry.
    #[arg(long, global = true, value_name = "PATH", default_value = ".venv-aws/bin/gto")]
    gto: PathBuf,
}

impl From<Place> for task::Place {
    fn from(place: Place) -> Self {
        Self { root: PathBuf::from("."), aws: place.aws, dvc: place.dvc, gto: place.gto }
    }
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Release what is in the working tree: gate, image, registry, version, canary, everybody.
    #[command(after_help = RUN)]
    Run(Release),
    /// Send everybody back to an older version, after it answered rightly by its number. An interrupted release is
    /// undone, and that is all unless --to is given.
    Rollback {
        /// The version; otherwise the one before the one in service.
        #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
    /// What ran when, with which metrics.
    List {
        /// All records, whole, as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Options of a release.
#[derive(Args)]
pub(crate) struct Release {
    /// Print the plan, which checks that everything is there, and stop.
    #[arg(long)]
    dry_run: bool,
    /// Release although the gate says no; --reason is recorded.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why.
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<String>,
    /// Push to this repository (HOST/NAME, without a tag) instead of the one of deploy.yaml; the machine's own settings
    /// for that registry are used.
    #[arg(long, value_name = "REPOSITORY")]
    registry: Option<String>,
    /// Release this image, an OCI layout that was built from the commit before, instead of building one.
    #[arg(long, value_name = "FOLDER")]
    image: Option<PathBuf>,
}

impl Release {
    pub(crate) fn wishes(self) -> Result<DeployWishes> {
        let reason = self.reason.map(|reason| reason.trim().to_owned());
        if self.force && reason.as_deref().is_none_or(str::is_empty) {
            bail!("--reason is empty; say why a model that is not better is released all the same");
        }
        let flow = Wishes { force: reason, registry: self.registry, dry_run: self.dry_run };
        Ok(DeployWishes { flow, image: self.image })
    }
}
