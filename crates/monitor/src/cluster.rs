//! An Elasticsearch or OpenSearch cluster: where it is, how to log in, and one request.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use thiserror::Error;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use url::Url;

/// The address.
pub const URL: &str = "ELASTICSEARCH_URL";
/// An API key, as the cluster prints it: `encoded`, or `id:api_key`.
pub const API_KEY: &str = "ELASTICSEARCH_API_KEY";
/// A file with the API key.
pub const API_KEY_FILE: &str = "ELASTICSEARCH_API_KEY_FILE";
/// A user's name.
pub const USERNAME: &str = "ELASTICSEARCH_USERNAME";
/// The user's password.
pub const PASSWORD: &str = "ELASTICSEARCH_PASSWORD";
/// A file with the password.
pub const PASSWORD_FILE: &str = "ELASTICSEARCH_PASSWORD_FILE";
/// A file with the certificates to trust instead of the web's, in PEM.
pub const CA_FILE: &str = "ELASTICSEARCH_CA_FILE";
/// The certificates themselves, in PEM, for the forwarder: the image that Lambda starts has no file but the program.
pub const CA: &str = "ELASTICSEARCH_CA";

/// Bytes of an answer: a page of a search is much smaller.
const LARGEST_ANSWER: u64 = 256 << 20;

/// Where a cluster is, as options of a command. Secrets come from the environment or from files, never from the command
/// line, which every user of a machine can read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArguments {
    /// The address of Elasticsearch or OpenSearch, such as `https://search.example.org:9200`. Log in with
    /// `ELASTICSEARCH_API_KEY`, or with `ELASTICSEARCH_USERNAME` and `ELASTICSEARCH_PASSWORD`; each of the two secrets can
    /// be in a file instead, named by the same variable with `_FILE`.
    #[arg(long, value_name = "URL", env = URL)]
    pub url: Option<String>,
    /// Certificates to trust instead of the web's, in PEM: of a cluster that signs its own.
    #[arg(long, value_name = "FILE", env = CA_FILE)]
    pub ca: Option<PathBuf>,
}

impl ClusterArguments {
    /// The cluster.
    ///
    /// # Errors
    ///
    /// When there is no address, or as [`Cluster::open`].
    pub fn open(&self) -> Result<Cluster> {
        let url = self.url.as_deref().with_context(|| {
            format!("no cluster is named: give its address with --url or in {URL}, such as http://127.0.0.1:9200")
        })?;
        let credentials = Credentials::read(|name| std::env::var(name).ok())?;
        Cluster::open(url, credentials, self.ca.as_deref())
    }
}

/// A value that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    None,
    /// With the value of the header `Authorization`.
    Header(Secret),
}

impl Credentials {
    /// Reads the variables of this module with `variable`, which returns a variable's value. An empty variable counts as
    /// one that is not set.
    ///
    /// # Errors
    ///
    /// When both an API key and a user are given, one of user and password is missing, or a file cannot be read.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let secret = |name: &str, file: &str| -> Result<Option<String>> {
            match (variable(name), variable(file)) {
                (Some(_), Some(_)) => bail!("both {name} and {file} are set; leave one of them away"),
                (Some(secret), None) => Ok(Some(secret)),
                (None, Some(path)) => {
                    let text =
                        fs::read_to_string(&path).with_context(|| format!("cannot read {path}, named by {file}"))?;
                    ensure!(!text.trim().is_empty(), "{path}, named by {file}, is empty");
                    Ok(Some(text.trim().to_owned()))
                }
                (None, None) => Ok(None),
            }
        };
        let (key, user) = (secret(API_KEY, API_KEY_FILE)?, variable(USERNAME));
        let password = secret(PASSWORD, PASSWORD_FILE)?;
        let header = match (key, user, password) {
            (None, None, None) => return Ok(Self::None),
            (Some(key), None, None) if key.contains(':') => format!("ApiKey {}", BASE64_STANDARD.encode(key)),
            (Some(key), None, None) => format!("ApiKey {key}"),
            (None, Some(user), Some(password)) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
            }
            (Some(_), _, _) => bail!("both an API key and a user or password are set; leave one of the two away"),
            (None, Some(_), None) => bail!("{USERNAME} is set, but neither {PASSWORD} nor {PASSWORD_FILE}"),
            (None, None, Some(_)) => bail!("a password is set, but not {USERNAME}"),
        };
        ensure!(
            header.chars().all(|c| (' '..='~').contains(&c)),
            "a credential holds a character that HTTP cannot send"
        );
        Ok(Self::Header(Secret(header)))
    }
}

/// A cluster that can be asked.
#[derive(Debug, Clone)]
pub struct Cluster {
    agent: Agent,
    url: Url,
    credentials: Credentials,
}

/// What a cluster answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Whether the status is of the kind 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The name of the error in the body, such as `index_not_found_exception`. Its text is left out: it can quote values.
    pub fn error_type(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.get("error")?.get("type")?.as_str()?.to_owned())
    }
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{url} does not answer: {cause}")]
pub struct Unreachable {
    /// Who was asked.
    pub url: String,
    /// What happened instead.
    pub cause: String,
    /// Whether it may be otherwise the next time.
    pub passing: bool,
}

impl Cluster {
    /// Makes ready to ask a cluster; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the address is none, or holds a user or a password, or the certificates cannot be read.
    pub fn open(url: &str, credentials: Credentials, ca: Option<&Path>) -> Result<Self> {
        let roots = match ca {
            // The web's roots are part of the program, so that it runs in an image with nothing else in it.
            None => RootCerts::WebPki,
            Some(path) => {
                let pem =
                    fs::read(path).with_context(|| format!("cannot read the certificates in {}", path.display()))?;
                certificates(&pem, path.display())?
            }
        };
        Self::with_roots(url, credentials, roots)
    }

    /// As [`Cluster::open`], with the certificates themselves, in PEM, instead of a file; `source` is what a message
    /// calls them.
    ///
    /// # Errors
    ///
    /// As [`Cluster::open`].
    pub fn trusting(url: &str, credentials: Credentials, pem: &str, source: &str) -> Result<Self> {
        Self::with_roots(url, credentials, certificates(pem.as_bytes(), source)?)
    }

    fn with_roots(url: &str, credentials: Credentials, roots: RootCerts) -> Result<Self> {
        let mut parsed: Url = url.parse().ok().filter(Url::has_host).with_context(|| {
            // What was typed may hold a password.
            format!("the address of the cluster is none; expected one such as http://127.0.0.1:9200 in --url or {URL}")
        })?;
        ensure!(
            parsed.username().is_empty() && parsed.password().is_none(),
            "the address of the cluster holds a user or a password, which would show in logs; put them into {USERNAME} \
             and {PASSWORD}"
        );
        ensure!(
            matches!(parsed.scheme(), "http" | "https"),
            "the address of the cluster starts with {}:, expected http or https",
            parsed.scheme()
        );
        if !parsed.path().ends_with('/') {
            parsed.set_path(&format!("{}/", parsed.path()));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_mins(1)))
            .user_agent(concat!("wellformed-monitor/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, url: parsed, credentials })
    }

    /// The address, which holds no secret.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks once. `path` is relative to the address, such as `_bulk`; a body is JSON.
    ///
    /// # Errors
    ///
    /// When no answer comes. An answer of any status is an answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer, Unreachable> {
        let body = body.map(|body| ("application/json", body));
        self.ask_with(method, path, body)
    }

    /// As [`Cluster::ask`], with the body's content type.
    ///
    /// # Errors
    ///
    /// As [`Cluster::ask`].
    pub fn ask_with(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Answer, Unreachable> {
        self.send(method, path, &[], body)
    }

    /// As [`Cluster::ask_with`], with further header fields.
    ///
    /// # Errors
    ///
    /// As [`Cluster::ask`].
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> Result<Answer, Unreachable> {
        let unreachable = |mut cause: String| {
            // rustls has no kind of error for it that reaches here.
            let passing = !cause.contains("certificate");
            if !passing {
                cause = format!(
                    "{cause}; certificates of a cluster's own are named with --ca, in {CA_FILE} or, in an image, in {CA}"
                );
            }
            Unreachable { url: self.url.to_string(), cause, passing }
        };
        let url = self.url.join(path).map_err(|error| unreachable(error.to_string()))?;
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Credentials::Header(Secret(value)) = &self.credentials {
            request = request.header("authorization", value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some((kind, body)) => {
                request.header("content-type", kind).body(body).map(|request| self.agent.run(request))
            }
        };
        let answer = answer.map_err(|error| unreachable(error.to_string()))?;
        let mut answer = answer.map_err(|error| unreachable(error.to_string()))?;
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        let body = body.map_err(|error| unreachable(error.to_string()))?;
        Ok(Answer { status, body, retry_after: retry_after.map(Duration::from_secs) })
    }
}

fn certificates(pem: &[u8], source: impl fmt::Display) -> Result<RootCerts> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.with_context(|| format!("{source} is not PEM"))? {
            certificates.push(certificate);
        }
    }
    ensure!(!certificates.is_empty(), "{source} holds no certificate in PEM");
    Ok(RootCerts::Specific(Arc::new(certificates)))
}
