//! Files, HTTP, and an OpenSearch-compatible server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use ureq::Agent;
use ureq::http;
use wellformed_kibana::check::Mappings;
use wellformed_kibana::install::{Answer, Request, Server};
use wellformed_kibana::mapping::Mapping;
use wellformed_kibana::verdict;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The template of the records for Elasticsearch, as it lies in `monitoring/`.
pub(crate) fn records_template() -> Value {
    read("monitoring/index-template.json")
}

/// The same for OpenSearch, which has other settings.
pub(crate) fn records_template_for_open_search() -> Value {
    read("monitoring/opensearch-index-template.json")
}

pub(crate) fn mappings() -> Mappings {
    let of = |template: &Value| Mapping::of_template(template);
    [
        ("wellformed-records".to_owned(), of(&records_template())),
        ("wellformed-verdicts".to_owned(), of(&verdict::index_template())),
    ]
    .into()
}

/// A server at an address.
pub(crate) struct Http {
    address: String,
    agent: Agent,
}

impl Http {
    pub(crate) fn new(address: &str) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).build().new_agent();
        Self { address: address.to_owned(), agent }
    }

    pub(crate) fn json(&self, method: &'static str, path: &str, body: &Value) -> Value {
        let body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
        self.expect(&Request { method, path: path.to_owned(), headers: Vec::new(), body })
    }

    pub(crate) fn expect(&self, request: &Request) -> Value {
        let answer = self.ask(request).unwrap();
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 300, "{} {}: {} {text}", request.method, request.path, answer.status);
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Server for Http {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn ask(&self, request: &Request) -> Result<Answer, String> {
        let url = format!("{}/{}", self.address, request.path);
        let mut head = http::Request::builder().method(request.method).uri(url);
        for (name, value) in &request.headers {
            head = head.header(*name, *value);
        }
        let (kind, body) = request.body.clone().unwrap_or(("application/json".to_owned(), Vec::new()));
        let answer = self.agent.run(head.header("content-type", kind).body(body).unwrap());
        let mut answer = answer.map_err(|error| error.to_string())?;
        Ok(Answer { status: answer.status().as_u16(), body: answer.body_mut().read_to_vec().unwrap() })
    }
}

/// osmem-server, which keeps everything in memory; it ends with the test.
pub(crate) struct Osmem {
    child: Child,
    pub(crate) http: Http,
}

impl Osmem {
    /// Starts the program of `.venv-monitor`, or the one that `WELLFORMED_OSMEM` names.
    pub(crate) fn start() -> Self {
        let program = std::env::var_os("WELLFORMED_OSMEM").map(PathBuf::from).or_else(installed).expect(
            "osmem-server is needed: `cargo xtask test` installs it into .venv-monitor, or name it with WELLFORMED_OSMEM",
        );
        let mut command = Command::new(&program);
        command.args(["-addr", "127.0.0.1:0", "-no-stdin-watch", "-no-ja"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let http = Http::new(ready["url"].as_str().unwrap());
        Self { child, http }
    }
}

fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir(root().join(".venv-monitor/lib")).ok()?;
    let program = |version: PathBuf| version.join("site-packages/osmem_server/bin/osmem-server");
    versions.filter_map(Result::ok).map(|version| program(version.path())).find(|path| path.is_file())
}

impl Drop for Osmem {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
