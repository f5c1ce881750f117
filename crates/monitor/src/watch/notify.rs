//! Where word goes.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use wellformed_core::record::{NAMESPACE, Timestamp};
use wellformed_drift::{Report, Verdict};

use wellformed_verdict::words::moment;

/// The token for GitHub.
const TOKEN: &str = "GITHUB_TOKEN";
/// The address of GitHub's API, where it is not github.com's.
const API: &str = "GITHUB_API_URL";

/// Who is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Word goes to")]
pub(crate) struct Sinks {
    /// An address that takes a POST with JSON. It may hold a secret, so it is better given as `MONITOR_WEBHOOK`.
    #[arg(long, value_name = "URL", env = "MONITOR_WEBHOOK", hide_env_values = true)]
    pub(crate) webhook: Option<String>,
    /// A repository on GitHub, in which a workflow may listen to `repository_dispatch`.
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) github: Option<String>,
    /// Metrics for `CloudWatch` on standard output.
    #[arg(long)]
    pub(crate) emf: bool,
}

/// What is told.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) event: &'static str,
    pub(crate) report: Report,
    pub(crate) bundle: String,
}

impl Message {
    fn body(&self) -> Value {
        json!({
            "text": self.text,
            "event": self.event,
            "verdict": self.report.verdict.name(),
            "bundle": self.bundle,
            "records": self.report.records,
            "window_start": self.report.from_ms.map(moment),
            "window_end": self.report.to_ms.map(moment),
            "reasons": self.report.reasons,
        })
    }

    /// What GitHub takes: an event with a payload of at most ten keys and 64 kB.
    fn dispatch(&self) -> Value {
        json!({ "event_type": "drift", "client_payload": self.body() })
    }
}

impl Sinks {
    /// Whether they can be reached as far as one can see from here.
    ///
    /// # Errors
    ///
    /// When an address is none, or GitHub's token is missing.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(webhook) = &self.webhook {
            // The address is not repeated: it may hold a secret.
            let scheme = url::Url::parse(webhook).map(|url| url.scheme().to_owned());
            ensure!(
                scheme.is_ok_and(|scheme| scheme == "https" || scheme == "http"),
                "--webhook is no address that starts with https:// or http://"
            );
        }
        if let Some(repository) = &self.github {
            let parts: Vec<&str> = repository.split('/').collect();
            ensure!(
                parts.len() == 2 && parts.iter().all(|part| !part.is_empty() && !part.contains(char::is_whitespace)),
                "--github is {repository:?}, but must be OWNER/NAME"
            );
            token()?;
        }
        Ok(())
    }

    /// Tells everyone. Whoever can be reached is told, even if another cannot.
    ///
    /// # Errors
    ///
    /// When someone cannot be reached.
    pub(crate) fn tell(&self, message: &Message) -> Result<()> {
        let webhook = self.webhook.as_ref().map(|url| post(url, &[], &message.body()).context("the webhook"));
        let github = self.github.as_ref().map(|repository| {
            let api = std::env::var(API).unwrap_or_else(|_| "https://api.github.com".to_owned());
            let url = format!("{}/repos/{repository}/dispatches", api.trim_end_matches('/'));
            let authorization = format!("Bearer {}", token()?);
            let headers = [
                ("authorization", authorization.as_str()),
                ("accept", "application/vnd.github+json"),
                ("x-github-api-version", "2022-11-28"),
            ];
            post(&url, &headers, &message.dispatch()).with_context(|| format!("GitHub, {repository}"))
        });
        for told in [webhook, github].into_iter().flatten() {
            told?;
        }
        Ok(())
    }
}

fn token() -> Result<String> {
    let token = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
    token.with_context(|| format!("--github needs a token that may write contents, in {TOKEN}"))
}

fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<()> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
        .timeout_global(Some(Duration::from_secs(30)))
        .user_agent(concat!("wellformed-monitor/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    let mut request = agent.post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // The library's message may quote the address, which may hold a secret.
    let answer = request.send(body.to_string()).map_err(|error| match error {
        ureq::Error::BadUri(_) => anyhow!("its address is none"),
        other => anyhow!("cannot be reached: {other}"),
    })?;
    let status = answer.status().as_u16();
    ensure!((200..300).contains(&status), "answers with HTTP status {status}");
    Ok(())
}

/// The verdict as a line from which `CloudWatch` makes metrics (Embedded Metric Format).
pub(crate) fn metrics(report: &Report, now: Timestamp) -> Value {
    let level = match report.verdict {
        Verdict::Ok => 0,
        Verdict::InsufficientData => 1,
        Verdict::Warn => 2,
        Verdict::Alert => 3,
    };
    let mut metrics =
        vec![json!({"Name": "DriftVerdict", "Unit": "None"}), json!({"Name": "DriftReasons", "Unit": "Count"})];
    let mcc = report.performance.as_ref().map(|performance| performance.estimated.mcc.value);
    if mcc.is_some() {
        metrics.push(json!({"Name": "EstimatedMcc", "Unit": "None"}));
    }
    let mut line = json!({
        "_aws": {
            "Timestamp": now.unix_millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": metrics}],
        },
        "type": "drift",
        "verdict": report.verdict.name(),
        "DriftVerdict": level,
        "DriftReasons": report.reasons.iter().filter(|reason| reason.verdict >= Verdict::Warn).count(),
    });
    if let Some(mcc) = mcc {
        line["EstimatedMcc"] = json!(mcc);
    }
    line
}
