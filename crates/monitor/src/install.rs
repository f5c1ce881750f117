//! `monitor install`: lifecycle policy, index templates, data views, dashboard and alert rules into their places.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use wellformed_kibana::assets::Program;
use wellformed_kibana::install::{
    self, Answer, Definitions, Flavour, Mode, Outcome, Request, Server, Step, install_cluster, install_program,
};
use wellformed_kibana::verdict;

use crate::assets;
use crate::cluster::{Cluster, ClusterArguments, Credentials};

const MORE: &str = "\
The login is that of the cluster (see --url), for Kibana and OpenSearch Dashboards too.

What it does to each: created, updated, unchanged, or skipped with the reason. Panels that were edited by hand stay until
their definition changes, and objects that were deleted come back. Of an alert rule, whom it tells and whether it is
switched on stay as they are.

Exit codes:
  0  everything is in place (or, with --dry-run, could be looked at)
  1  something is wrong; what was done before stays done, and a repetition goes on from there

Examples:
  monitor install --url http://127.0.0.1:9200 --kibana http://127.0.0.1:5601
  monitor install --url https://search.example.org --kibana https://kibana.example.org/s/models --dry-run
  ELASTICSEARCH_API_KEY_FILE=key monitor install --url https://search.example.org
  monitor install --dashboards http://127.0.0.1:5601     # OpenSearch Dashboards alone";

/// The options of `monitor install`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct Options {
    /// The address of Kibana, 8.9 or newer; of a space, with `/s/NAME` at its end.
    #[arg(long, value_name = "URL", env = "KIBANA_URL")]
    kibana: Option<String>,
    /// The address of OpenSearch Dashboards, 2 or newer.
    #[arg(long, value_name = "URL", env = "OPENSEARCH_DASHBOARDS_URL")]
    dashboards: Option<String>,
    /// Change nothing; look what is there, and say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Installs.
///
/// # Errors
///
/// When no server is named, a server does not answer or refuses something, or the login is incomplete.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mode = if options.dry_run { Mode::Rehearse } else { Mode::Install };
    let programs = [
        (Program::Kibana, "--kibana", &options.kibana),
        (Program::OpenSearchDashboards, "--dashboards", &options.dashboards),
    ];
    if options.cluster.url.is_none() && programs.iter().all(|(_, _, url)| url.is_none()) {
        bail!("no server is named: give at least one of --url, --kibana and --dashboards");
    }
    let mut summary = Summary { mode, counts: [0; 4] };
    // The cluster first: a dashboard without its indices shows nothing.
    if options.cluster.url.is_some() {
        let cluster = options.cluster.open()?;
        let flavour = install::flavour(&cluster)?;
        println!("{flavour} at {}", cluster.url());
        summary.print(&install_cluster(&cluster, flavour, &definitions(flavour)?, mode)?);
    }
    for (program, option, url) in programs {
        let Some(url) = url else { continue };
        let credentials = Credentials::read(|name| std::env::var(name).ok())?;
        let server = Cluster::open(url, credentials, options.cluster.ca.as_deref()).context(option)?;
        println!("{} at {}", program.name(), server.url());
        summary.print(&install_program(&server, program, mode)?);
    }
    println!("{}", summary.line());
    Ok(ExitCode::SUCCESS)
}

/// What this crate and the crate of the dashboards want in the cluster.
fn definitions(flavour: Flavour) -> Result<Definitions> {
    let of = match flavour {
        Flavour::Elasticsearch => assets::Flavour::Elasticsearch,
        Flavour::OpenSearch => assets::Flavour::OpenSearch,
    };
    Ok(Definitions {
        templates: vec![(assets::NAME, assets::index_template(of)?), (verdict::TEMPLATE, verdict::index_template())],
        lifecycles: vec![(assets::NAME, assets::lifecycle_policy(of))],
    })
}

/// How many of each outcome: created, updated, unchanged, skipped.
struct Summary {
    mode: Mode,
    counts: [usize; 4],
}

impl Summary {
    fn print(&mut self, steps: &[Step]) {
        for step in steps {
            println!("  {}", step.line(self.mode));
            let place = match step.outcome {
                Outcome::Created => 0,
                Outcome::Updated => 1,
                Outcome::Unchanged => 2,
                Outcome::Skipped(_) => 3,
            };
            self.counts[place] += 1;
        }
    }

    fn line(&self) -> String {
        let [created, updated, unchanged, skipped] = self.counts;
        let (to, end) = match self.mode {
            Mode::Install => ("", ""),
            Mode::Rehearse => ("to be ", "; nothing was changed"),
        };
        format!("{to}created: {created}, {to}updated: {updated}, unchanged: {unchanged}, skipped: {skipped}{end}")
    }
}

impl Server for Cluster {
    fn address(&self) -> String {
        self.url().to_string()
    }

    fn ask(&self, request: &Request) -> Result<Answer, String> {
        let body = request.body.as_ref().map(|(kind, bytes)| (kind.as_str(), bytes.as_slice()));
        let answer = self.send(request.method, &request.path, &request.headers, body);
        let answer = answer.map_err(|error| error.cause)?;
        Ok(Answer { status: answer.status, body: answer.body })
    }
}
