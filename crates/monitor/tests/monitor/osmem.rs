//! A server that speaks as OpenSearch does, for tests: osmem-server, of requirements-monitor.txt.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wellformed_core::record::Record;
use wellformed_monitor::bulk::INDEX;
use wellformed_monitor::read::{Records, Span};

use crate::support::cluster;

pub(crate) struct Osmem {
    child: Child,
    pub(crate) address: String,
}

impl Osmem {
    /// A server with the index template in it, and nothing else.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(program());
        command.args(["-addr", "127.0.0.1:0", "-no-stdin-watch", "-no-ja"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let address = said["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let server = Self { child, address };
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring/opensearch-index-template.json");
        server.put("_index_template/wellformed-records", &fs::read_to_string(template).unwrap());
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn put(&self, path: &str, body: &str) {
        let answer = cluster(&self.url()).ask("PUT", path, Some(body.as_bytes())).unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Everything in it, as documents with index, name and content.
    pub(crate) fn dump(&self) -> Vec<Value> {
        let cluster = cluster(&self.url());
        cluster.ask("POST", &format!("{INDEX}-*/_refresh"), None).unwrap();
        let body = json!({"size": 10_000, "query": {"match_all": {}}}).to_string();
        let answer = cluster.ask("POST", &format!("{INDEX}-*/_search"), Some(body.as_bytes())).unwrap();
        let found: Value = serde_json::from_slice(&answer.body).unwrap();
        found["hits"]["hits"].as_array().unwrap().clone()
    }

    /// Kills the server, and starts another one with what was in it: it keeps nothing on a disk, so that this is done for
    /// it.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        let kept = self.dump();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let server = Self::start();
        let mut body = String::new();
        for hit in &kept {
            let action = json!({"create": {"_index": hit["_index"], "_id": hit["_id"]}});
            writeln!(body, "{action}\n{}", hit["_source"]).unwrap();
        }
        if !kept.is_empty() {
            cluster(&server.url()).ask_with("POST", "_bulk", Some(("application/x-ndjson", body.as_bytes()))).unwrap();
        }
        assert_eq!(server.dump().len(), kept.len());
        server
    }

    /// Every record in it, read as monitoring reads them.
    pub(crate) fn records(&self) -> Vec<Record> {
        let cluster = cluster(&self.url());
        cluster.ask("POST", &format!("{INDEX}-*/_refresh"), None).unwrap();
        let mut records = Records::of_cluster(cluster, INDEX, Span::default());
        let all = records.by_ref().map(|record| record.unwrap()).collect();
        assert_eq!((records.tally().others, records.tally().damaged), (0, 0), "{}", records.tally());
        all
    }
}

impl Drop for Osmem {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in the environment that `cargo xtask test` makes; `WELLFORMED_OSMEM` names another one.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("WELLFORMED_OSMEM") {
        return path.into();
    }
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv-monitor");
    let library = fs::read_dir(environment.join("lib")).ok().and_then(|mut entries| entries.next()?.ok());
    let library = library.unwrap_or_else(|| {
        panic!("{} is not there: cargo xtask test makes it, from requirements-monitor.txt", environment.display())
    });
    library.path().join("site-packages/osmem_server/bin/osmem-server")
}
