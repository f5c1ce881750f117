//! Files of the Hugging Face hub, or of a mirror that speaks its routes.
//!
//! `HEAD {endpoint}/{repository}/resolve/{revision}/{path}` answers what a file is, possibly after redirects within the
//! hub: `X-Repo-Commit` is the commit behind the revision; `X-Linked-Etag` is the SHA-256 of a file in large-file
//! storage; otherwise `ETag` is git's SHA-1. `GET` on the same address redirects to wherever the bytes are.

use std::path::{Path, PathBuf};

use url::Url;

use crate::digest::{Digest, Wanted};
use crate::download::Download;
use crate::error::FetchError;
use crate::web::{Ask, Settings, Token, Trouble, Web, shown};

/// A repository at a revision.
pub(crate) struct Repository<'a> {
    web: &'a Web,
    endpoint: Url,
    token: Option<&'a Token>,
    /// `datasets/` or nothing.
    kind: &'static str,
    name: &'a str,
    revision: String,
    /// The parameter that names it, for messages.
    parameter: &'static str,
}

/// What the hub says of a file.
pub(crate) struct HubFile {
    url: Url,
    path: String,
    pub(crate) digest: Option<Digest>,
    size: Option<u64>,
}

impl<'a> Repository<'a> {
    pub(crate) fn model(
        web: &'a Web,
        settings: &'a Settings,
        name: &'a str,
        revision: &str,
    ) -> Result<Self, FetchError> {
        Self::new(web, settings, "", name, revision, "base.source")
    }

    pub(crate) fn dataset(
        web: &'a Web,
        settings: &'a Settings,
        name: &'a str,
        revision: &str,
    ) -> Result<Self, FetchError> {
        Self::new(web, settings, "datasets/", name, revision, "data.glue")
    }

    fn new(
        web: &'a Web,
        settings: &'a Settings,
        kind: &'static str,
        name: &'a str,
        revision: &str,
        parameter: &'static str,
    ) -> Result<Self, FetchError> {
        let wrong = || FetchError::input("HF_ENDPOINT", format!("{} is not an address, https://…", settings.hub));
        let endpoint = Url::parse(&format!("{}/", settings.hub.trim_end_matches('/'))).map_err(|_| wrong())?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let revision = revision.to_owned();
        Ok(Self { web, endpoint, token: settings.token.as_ref(), kind, name, revision, parameter })
    }

    /// The commit, once a file has been looked up; before that, the revision as it was given.
    pub(crate) fn revision(&self) -> &str {
        &self.revision
    }

    /// Looks a file up; `None` when the repository has none of that name. From the first answer on, the commit it
    /// names stands for the revision, so that all files are of one version.
    pub(crate) fn look_up(&mut self, path: &str) -> Result<Option<HubFile>, FetchError> {
        let url = self.url(path)?;
        let what = shown(&url);
        let ask = Ask {
            method: "HEAD",
            url: &url,
            headers: Vec::new(),
            token: self.token,
            // Behind the hub's own hosts is a store that knows nothing of commits.
            leave_host: false,
            advice: &|status, code| self.advice(status, code),
        };
        let answers = self.web.persist_quietly(&what, || match self.web.ask(&ask) {
            Err(Trouble::Final(FetchError::Refused { status: 404, advice, .. })) if advice.is_empty() => Ok(None),
            Err(trouble) => Err(trouble),
            Ok(answers) => Ok(Some(answers)),
        })?;
        let Some(answers) = answers else { return Ok(None) };
        let own_tag = answers.header("etag").filter(|_| answers.status().is_success());
        let digest = answers.first("x-linked-etag").or(own_tag).and_then(Digest::of_etag);
        let own_length = answers.header("content-length").filter(|_| answers.status().is_success());
        let size = answers.first("x-linked-size").or(own_length).and_then(|length| length.parse().ok());
        let is_commit = |text: &&str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(commit) = answers.first("x-repo-commit").filter(is_commit) {
            commit.clone_into(&mut self.revision);
        }
        Ok(Some(HubFile { url: self.url(path)?, path: path.to_owned(), digest, size }))
    }

    /// Downloads a file into the download folder and returns it there, checked against the hub's digest and `wanted`.
    pub(crate) fn download(
        &self,
        file: &HubFile,
        wanted: Option<Wanted>,
        downloads: &Path,
    ) -> Result<PathBuf, FetchError> {
        let by = format!("the hub, {} at {}", self.name, self.revision);
        let advice = "The download is damaged, or the mirror serves another file; it was not kept. Try again.";
        let hubs = file.digest.clone().map(|digest| Wanted { digest, by, advice: advice.to_owned() });
        let wanted: Vec<Wanted> = hubs.into_iter().chain(wanted).collect();
        if wanted.is_empty() {
            let remedy = if self.parameter == "base.source" {
                "list the file under base.sha256 in params.yaml, or set HF_ENDPOINT to a mirror that passes the hub's \
                 X-Linked-Etag and ETag on"
            } else {
                "set HF_ENDPOINT to a mirror that passes the hub's X-Linked-Etag and ETag on"
            };
            let problem =
                format!("the server names no digest, so nothing tells a damaged file from a good one; {remedy}");
            return Err(FetchError::input(shown(&file.url), problem));
        }
        let advice = |status, code: Option<&str>| {
            let advice = self.advice(status, code);
            if advice.is_empty() { "The file was there a moment ago. Try again.".to_owned() } else { advice }
        };
        let download = Download {
            name: file.path.clone(),
            url: &file.url,
            token: self.token,
            wanted: &wanted,
            size: file.size,
            advice: &advice,
        };
        self.web.download(&download, downloads)
    }

    fn url(&self, path: &str) -> Result<Url, FetchError> {
        // The hub wants the slashes of a revision such as refs/pr/1 escaped.
        let revision = self.revision.replace('/', "%2F");
        let route = format!("{}{}/resolve/{revision}/{path}", self.kind, self.name);
        self.endpoint.join(&route).map_err(|error| FetchError::input(&route, error.to_string()))
    }

    /// What to do about a refusal. Empty for a 404 that is about the file alone.
    fn advice(&self, status: u16, code: Option<&str>) -> String {
        let Self { name, revision, parameter, .. } = self;
        let token = "set HF_TOKEN to a token that may read it (https://huggingface.co/settings/tokens)";
        match (status, code) {
            (_, Some("GatedRepo")) => {
                format!("{name} is gated: accept its terms on the hub, and {token}.")
            }
            (404, Some("RevisionNotFound")) => {
                format!("{name} has no revision {revision}; check {parameter} in params.yaml.")
            }
            // The hub says 401 of what does not exist as well, so as not to give private names away.
            (401, _) | (404, Some("RepoNotFound")) => {
                format!("Either there is no {name} (check {parameter} in params.yaml), or it is private: then {token}.")
            }
            (404, _) => String::new(),
            (403, _) => format!("HF_TOKEN may not read {name}, or something in between forbids it: {token}."),
            _ => format!("Check {parameter} in params.yaml and HF_ENDPOINT."),
        }
    }
}
