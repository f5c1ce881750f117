//! Puts everything in place: lifecycle policy and index templates into the cluster, data views, dashboard and alert rules
//! into Kibana or OpenSearch Dashboards. Doing it again changes nothing.
//!
//! Each definition that is installed carries a digest of itself, by which the next installation knows whether there is
//! anything to do. What people changed by hand in Kibana stays until the definitions here change; what they deleted
//! comes back.
//!
//! The module says what is asked of a server; how it is sent, with which login and certificates, is up to [`Server`].

use std::fmt;

use serde_json::{Value, json};
use wellformed_core::files::sha256_bytes;

use crate::alert::{Rule, rules};
use crate::assets::{Program, mark, saved_objects};
use crate::saved_object::ndjson;

/// A request to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT` or `POST`.
    pub method: &'static str,
    /// Relative to the server's address, without a slash in front; with the query.
    pub path: String,
    /// Header fields beside the login and the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Content type and bytes.
    pub body: Option<(String, Vec<u8>)>,
}

impl Request {
    fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: None }
    }

    fn json(method: &'static str, path: impl Into<String>, body: &Value) -> Self {
        let body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
        Self { method, path: path.into(), headers: Vec::new(), body }
    }
}

/// What a server answered, whatever the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the server says is wrong, in a line.
    fn complaint(&self) -> String {
        let body = self.json();
        let said = [&body["error"]["reason"], &body["message"], &body["error"]];
        let said = said.into_iter().find_map(Value::as_str).map(str::to_owned);
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(300).collect()
    }
}

/// A server that can be asked.
pub trait Server {
    /// Its address, for people; without a secret.
    fn address(&self) -> String;

    /// Asks once. An answer of any status is an answer.
    ///
    /// # Errors
    ///
    /// When no answer comes, with the reason.
    fn ask(&self, request: &Request) -> Result<Answer, String>;
}

/// Why something could not be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// No answer came.
    #[error("{address} does not answer: {reason}; check the address, and that the server runs")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server knows nobody by this login.
    #[error("{address} refuses the login (status 401) for {what}; check the API key, or user and password")]
    Unauthorized {
        /// Who was asked.
        address: String,
        /// For what.
        what: String,
    },
    /// The login may not do this.
    #[error("{address} does not let this login touch {what} (status 403): {said}; it needs {privilege}")]
    Forbidden {
        /// Who was asked.
        address: String,
        /// What was to be read or written.
        what: String,
        /// The server's words.
        said: String,
        /// What the login lacks.
        privilege: &'static str,
    },
    /// The server did not take it.
    #[error("{address} did not accept {what} (status {status}): {said}")]
    Refused {
        /// Who was asked.
        address: String,
        /// What was to be read or written.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        said: String,
    },
    /// The address belongs to another program, or to a release that is too old.
    #[error("{address} is {found}, expected {expected}")]
    WrongServer {
        /// Who was asked.
        address: String,
        /// What it is.
        found: String,
        /// What it should be, and what to do.
        expected: &'static str,
    },
}

/// What became of one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there in another form.
    Updated,
    /// It was there as it should be.
    Unchanged,
    /// This server cannot have it, for this reason.
    Skipped(String),
}

/// A line of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is: `index template wellformed-records`.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl Step {
    /// As people read it; of a rehearsal, what would be done.
    pub fn line(&self, mode: Mode) -> String {
        let what = &self.what;
        match (&self.outcome, mode) {
            (Outcome::Created, Mode::Install) => format!("created    {what}"),
            (Outcome::Updated, Mode::Install) => format!("updated    {what}"),
            (Outcome::Created, Mode::Rehearse) => format!("to create  {what}"),
            (Outcome::Updated, Mode::Rehearse) => format!("to update  {what}"),
            (Outcome::Unchanged, _) => format!("unchanged  {what}"),
            (Outcome::Skipped(reason), _) => format!("skipped    {what}: {reason}"),
        }
    }
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Install,
    /// No: look what is there and say what would be done.
    Rehearse,
}

/// Elasticsearch, or OpenSearch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Elasticsearch 8 or newer.
    Elasticsearch,
    /// OpenSearch 2 or newer, or a server that calls itself so.
    OpenSearch,
}

/// What a cluster gets, in the form that this flavour takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Definitions {
    /// Name and definition of each index template.
    pub templates: Vec<(&'static str, Value)>,
    /// Name and definition of each lifecycle policy: index lifecycle management of Elasticsearch, index state management
    /// of OpenSearch.
    pub lifecycles: Vec<(&'static str, Value)>,
}

/// Asks, and turns what is no success into an error. `accepted` are further statuses that the caller understands.
fn ask(
    server: &dyn Server,
    request: &Request,
    what: &str,
    privilege: &'static str,
    accepted: &[u16],
) -> Result<Answer, InstallError> {
    let address = server.address();
    let answer =
        server.ask(request).map_err(|reason| InstallError::Unreachable { address: address.clone(), reason })?;
    if answer.succeeded() || accepted.contains(&answer.status) {
        return Ok(answer);
    }
    let what = what.to_owned();
    Err(match answer.status {
        401 => InstallError::Unauthorized { address, what },
        403 => InstallError::Forbidden { address, what, said: answer.complaint(), privilege },
        status => InstallError::Refused { address, what, status, said: answer.complaint() },
    })
}

/// What a cluster is.
///
/// # Errors
///
/// When it does not answer, or is no Elasticsearch from 8 on and no OpenSearch from 2 on.
pub fn flavour(cluster: &dyn Server) -> Result<Flavour, InstallError> {
    let answer = ask(cluster, &Request::get(""), "the cluster's version", "the cluster privilege `monitor`", &[])?;
    let version = &answer.json()["version"];
    let number = version["number"].as_str().unwrap_or("unknown");
    let (flavour, name, oldest) = match version["distribution"].as_str() {
        Some("opensearch") => (Flavour::OpenSearch, "OpenSearch", (2, 0)),
        _ => (Flavour::Elasticsearch, "Elasticsearch", (8, 0)),
    };
    if release(number).is_some_and(|release| release >= oldest) {
        return Ok(flavour);
    }
    let found = if version.is_object() { format!("{name} {number}") } else { "neither of the two".to_owned() };
    Err(InstallError::WrongServer {
        address: cluster.address(),
        found,
        expected: "Elasticsearch 8 or newer, or OpenSearch 2 or newer; Kibana has an address of its own (--kibana)",
    })
}

/// Major and minor release of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']).map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// Lifecycle policies first, because templates name them, then the templates.
///
/// # Errors
///
/// When the cluster does not answer or refuses something. What was done before stays done; a repetition goes on.
pub fn install_cluster(
    cluster: &dyn Server,
    flavour: Flavour,
    definitions: &Definitions,
    mode: Mode,
) -> Result<Vec<Step>, InstallError> {
    let mut steps = Vec::new();
    for (name, definition) in &definitions.lifecycles {
        steps.push(lifecycle(cluster, flavour, name, definition, mode)?);
    }
    for (name, definition) in &definitions.templates {
        steps.push(template(cluster, name, definition, mode)?);
    }
    Ok(steps)
}

/// The first characters of the digest of a definition: enough to tell two apart.
fn digest(definition: &Value) -> String {
    sha256_bytes(definition.to_string().as_bytes())[..12].to_owned()
}

fn template(cluster: &dyn Server, name: &str, definition: &Value, mode: Mode) -> Result<Step, InstallError> {
    let what = format!("index template {name}");
    let privilege = "the cluster privilege `manage_index_templates`";
    let path = format!("_index_template/{name}");
    let digest = digest(definition);
    let there = ask(cluster, &Request::get(&*path), &what, privilege, &[404])?;
    let installed = &there.json()["index_templates"][0]["index_template"]["_meta"]["definition"];
    let outcome = outcome(there.status != 404, installed.as_str() == Some(&digest));
    if mode == Mode::Install && outcome != Outcome::Unchanged {
        let mut body = definition.clone();
        body["_meta"]["definition"] = digest.into();
        ask(cluster, &Request::json("PUT", path, &body), &what, privilege, &[])?;
    }
    Ok(Step { what, outcome })
}

fn outcome(is_there: bool, is_same: bool) -> Outcome {
    match (is_there, is_same) {
        (false, _) => Outcome::Created,
        (true, false) => Outcome::Updated,
        (true, true) => Outcome::Unchanged,
    }
}

fn lifecycle(
    cluster: &dyn Server,
    flavour: Flavour,
    name: &str,
    definition: &Value,
    mode: Mode,
) -> Result<Step, InstallError> {
    let what = format!("lifecycle policy {name}");
    let (path, privilege) = match flavour {
        Flavour::Elasticsearch => (format!("_ilm/policy/{name}"), "the cluster privilege `manage_ilm`"),
        Flavour::OpenSearch => {
            (format!("_plugins/_ism/policies/{name}"), "the permission `cluster:admin/opendistro/ism/policy/*`")
        }
    };
    let there = ask(cluster, &Request::get(&*path), &what, privilege, &[400, 404, 405, 410])?;
    // A server without the feature has no such route; one with it and without the policy says 404 for that reason.
    let no_route = there.status != 404 && !there.succeeded() || there.complaint().contains("no handler found");
    if no_route {
        let reason = "this server deletes nothing by itself; delete old indices in another way".to_owned();
        return Ok(Step { what, outcome: Outcome::Skipped(reason) });
    }
    let is_there = there.succeeded();
    let there = there.json();
    let digest = digest(definition);
    let mut body = definition.clone();
    let (is_same, query) = match flavour {
        Flavour::Elasticsearch => {
            body["policy"]["_meta"]["definition"] = digest.clone().into();
            (there[name]["policy"]["_meta"]["definition"] == *digest, String::new())
        }
        Flavour::OpenSearch => {
            // OpenSearch's policies have no place for such notes but the description.
            let described = body["policy"]["description"].as_str().unwrap_or_default();
            let described = format!("{described} [definition {digest}]").trim_start().to_owned();
            let is_same = there["policy"]["description"] == *described;
            body["policy"]["description"] = described.into();
            let (sequence, term) = (&there["_seq_no"], &there["_primary_term"]);
            let query = if is_there { format!("?if_seq_no={sequence}&if_primary_term={term}") } else { String::new() };
            (is_same, query)
        }
    };
    let outcome = outcome(is_there, is_same);
    if mode == Mode::Install && outcome != Outcome::Unchanged {
        ask(cluster, &Request::json("PUT", format!("{path}{query}"), &body), &what, privilege, &[])?;
    }
    Ok(Step { what, outcome })
}

/// Data views, panels and dashboard into Kibana or OpenSearch Dashboards; into Kibana also the alert rules.
///
/// # Errors
///
/// When the server does not answer, is another program or too old, or refuses something.
pub fn install_program(server: &dyn Server, program: Program, mode: Mode) -> Result<Vec<Step>, InstallError> {
    let release = version(server, program)?;
    let mut steps = vec![import(server, program, mode)?];
    match program {
        Program::Kibana => {
            for one in rules() {
                steps.push(rule(server, &one, release, mode)?);
            }
        }
        Program::OpenSearchDashboards => steps.push(Step {
            what: "alert rules".to_owned(),
            outcome: Outcome::Skipped("they are for Kibana's alerting; OpenSearch has monitors of its own".to_owned()),
        }),
    }
    Ok(steps)
}

/// The release of Kibana or OpenSearch Dashboards.
fn version(server: &dyn Server, program: Program) -> Result<(u32, u32), InstallError> {
    // Another program has no such route.
    let request = Request::get("api/status");
    let answer = ask(server, &request, "the server's version", "any role of Kibana", &[400, 404, 405])?;
    let number = answer.json()["version"]["number"].as_str().map(str::to_owned);
    let found = number.as_deref().and_then(release);
    // OpenSearch Dashboards began again at 1; Kibana is far beyond.
    let (fits, expected) = match program {
        Program::Kibana => (
            found.is_some_and(|release| release >= (8, 9)),
            "Kibana 8.9 or newer, and a login that may see its version; OpenSearch Dashboards is given with --dashboards",
        ),
        Program::OpenSearchDashboards => (
            found.is_some_and(|(major, _)| (2..7).contains(&major)),
            "OpenSearch Dashboards 2 or newer, and a login that may see its version; Kibana is given with --kibana",
        ),
    };
    match found {
        Some(release) if fits => Ok(release),
        _ => Err(InstallError::WrongServer {
            address: server.address(),
            found: number.map_or_else(|| "a server without a version".to_owned(), |number| format!("version {number}")),
            expected,
        }),
    }
}

/// Both programs demand a header that no page of another site can send: theirs is the name, any value will do.
fn guard(program: Program) -> Vec<(&'static str, &'static str)> {
    match program {
        Program::Kibana => vec![("kbn-xsrf", "true")],
        Program::OpenSearchDashboards => vec![("osd-xsrf", "true")],
    }
}

fn import(server: &dyn Server, program: Program, mode: Mode) -> Result<Step, InstallError> {
    let objects = saved_objects(program);
    let what = format!("{}'s data views and dashboard ({} saved objects)", program.name(), objects.len());
    let privilege = "the privilege `Saved Objects Management: all`";
    let all: Vec<Value> = objects.iter().map(|object| json!({"id": object.id, "type": object.kind})).collect();
    let dashboard = json!({"id": "wellformed", "type": "dashboard"});
    let export = |listed: &[Value]| {
        let body = json!({"excludeExportDetails": true, "includeReferencesDeep": false, "objects": listed});
        let request = Request { headers: guard(program), ..Request::json("POST", "api/saved_objects/_export", &body) };
        // 400: one of them is not there.
        ask(server, &request, &what, privilege, &[400, 404])
    };
    let wanted = objects.last().map(|object| json!({"attributes": object.attributes})).unwrap_or_default();
    let there = export(&all)?;
    let outcome = if there.succeeded() {
        let text = String::from_utf8_lossy(&there.body);
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = lines.find(|object| object["type"] == "dashboard" && object["id"] == "wellformed");
        outcome(true, found.as_ref().and_then(mark) == mark(&wanted) && mark(&wanted).is_some())
    } else {
        outcome(export(&[dashboard])?.succeeded(), false)
    };
    if mode == Mode::Install && outcome != Outcome::Unchanged {
        let file = ndjson(&objects);
        let request = Request {
            method: "POST",
            path: "api/saved_objects/_import?overwrite=true".to_owned(),
            headers: guard(program),
            body: Some(multipart(&file)),
        };
        let answer = ask(server, &request, &what, privilege, &[])?;
        let body = answer.json();
        if body["success"] != true {
            return Err(InstallError::Refused {
                address: server.address(),
                what,
                status: answer.status,
                said: import_errors(&body),
            });
        }
    }
    Ok(Step { what, outcome })
}

/// The objects that an import left out, and why.
fn import_errors(body: &Value) -> String {
    let errors = body["errors"].as_array().into_iter().flatten();
    let lines: Vec<String> = errors
        .map(|one| {
            let kind = one["error"]["type"].as_str().unwrap_or("unknown error");
            let message = one["error"]["message"].as_str().map(|text| format!(" ({text})")).unwrap_or_default();
            let (object, id) = (one["type"].as_str().unwrap_or("?"), one["id"].as_str().unwrap_or("?"));
            format!("{object} {id}: {kind}{message}")
        })
        .collect();
    if lines.is_empty() { "the import did not succeed, and it does not say why".to_owned() } else { lines.join("; ") }
}

/// A form with one file in it, as a browser sends it.
fn multipart(file: &str) -> (String, Vec<u8>) {
    // The boundary must not occur in the file; a digest of the file does not.
    let boundary = format!("wellformed-{}", &sha256_bytes(file.as_bytes())[..32]);
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"wellformed.ndjson\"\r\n\
         Content-Type: application/ndjson\r\n\r\n{file}\r\n--{boundary}--\r\n"
    );
    (format!("multipart/form-data; boundary={boundary}"), body.into_bytes())
}

/// The fields of a rule that an update may change.
const UPDATED: [&str; 4] = ["name", "params", "schedule", "tags"];

fn rule(server: &dyn Server, rule: &Rule, release: (u32, u32), mode: Mode) -> Result<Step, InstallError> {
    let what = format!("alert rule \"{}\"", rule.name());
    if rule.rule["rule_type_id"] == "observability.rules.custom_threshold" && release < (8, 11) {
        let reason = "its type is there from Kibana 8.11 on".to_owned();
        return Ok(Step { what, outcome: Outcome::Skipped(reason) });
    }
    let privilege = "the privileges `Stack Rules: all` and `Observability, Logs: all`";
    let path = format!("api/alerting/rule/{}", rule.id);
    let get = Request { headers: guard(Program::Kibana), ..Request::get(&*path) };
    let there = ask(server, &get, &what, privilege, &[404])?;
    let is_there = there.succeeded();
    let there = there.json();
    // Kibana adds defaults, so that what is there may say more.
    let is_same = UPDATED.iter().all(|name| contains(&there[*name], &rule.rule[*name]));
    let outcome = outcome(is_there, is_same);
    if mode == Mode::Install && outcome != Outcome::Unchanged {
        let request = if is_there {
            let mut body = json!({"actions": actions(&there)});
            for name in UPDATED {
                body[name] = rule.rule[name].clone();
            }
            Request::json("PUT", path, &body)
        } else {
            Request::json("POST", path, &rule.rule)
        };
        ask(server, &Request { headers: guard(Program::Kibana), ..request }, &what, privilege, &[])?;
    }
    Ok(Step { what, outcome })
}

/// Whom a rule tells, without the fields that Kibana returns and does not take back.
fn actions(rule: &Value) -> Vec<Value> {
    let taken = ["alerts_filter", "frequency", "group", "id", "params", "use_alert_data_for_template", "uuid"];
    let actions = rule["actions"].as_array().into_iter().flatten();
    actions
        .map(|action| {
            let fields = action.as_object().into_iter().flatten();
            fields.filter(|(name, _)| taken.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
        })
        .collect()
}

/// Whether everything that `wanted` says is said by `found`, too.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| found.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        (Value::Number(found), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
        (found, wanted) => found == wanted,
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        })
    }
}
