//! A server on loopback that takes Kibana's place, and Elasticsearch's where osmem-server lacks a route. It knows the
//! few routes that an installation uses, and is as strict about them as the real servers are documented to be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use wellformed_kibana::assets::Program;
use wellformed_kibana::check::check;

use crate::support::mappings;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the server keeps.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) requests: Vec<Received>,
    /// Saved objects by type and id.
    pub(crate) objects: BTreeMap<(String, String), Value>,
    pub(crate) rules: BTreeMap<String, Value>,
    /// Policies and templates by path.
    pub(crate) definitions: BTreeMap<String, Value>,
    /// The status of every answer, to see what is said of it.
    pub(crate) only_status: Option<u16>,
}

/// A running stand-in.
pub(crate) struct StandIn {
    pub(crate) address: String,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What it pretends to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Dashboards(Program, &'static str),
    Cluster { distribution: Option<&'static str>, number: &'static str },
}

impl StandIn {
    pub(crate) fn start(role: Role) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), role, &shared));
            }
        });
        Self { address, state }
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: TcpStream, role: Role, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        let (status, body) = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            match state.only_status {
                Some(status) => (status, json!({"error": {"reason": "this is what it always says"}}).to_string()),
                None => answer(&request, role, &mut state),
            }
        };
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body })
}

fn answer(request: &Received, role: Role, state: &mut State) -> (u16, String) {
    let (status, body) = match role {
        Role::Cluster { distribution, number } => cluster(request, distribution, number, state),
        Role::Dashboards(program, number) => {
            let guard = match program {
                Program::Kibana => "kbn-xsrf",
                Program::OpenSearchDashboards => "osd-xsrf",
            };
            if request.method != "GET" && !request.headers.contains_key(guard) {
                let message = format!("Request must contain a {guard} header.");
                (400, json!({"statusCode": 400, "error": "Bad Request", "message": message}))
            } else if request.path == "/api/saved_objects/_export" {
                return export(request, state);
            } else if request.path == "/api/status" {
                (200, json!({"name": "stand-in", "version": {"number": number}}))
            } else if request.path == "/api/saved_objects/_import?overwrite=true" {
                import(request, program, state)
            } else if let Some(id) = request.path.strip_prefix("/api/alerting/rule/") {
                rule(request, id, state)
            } else {
                (404, json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"}))
            }
        }
    };
    (status, body.to_string())
}

/// The one file of a form.
fn form(request: &Received) -> Result<String, &'static str> {
    let kind = request.headers.get("content-type").ok_or("no content type")?;
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").ok_or("Unsupported Media Type")?;
    let text = String::from_utf8(request.body.clone()).map_err(|_| "not UTF-8")?;
    let inner = text.strip_prefix(&format!("--{boundary}\r\n")).ok_or("no first boundary")?;
    let inner = inner.strip_suffix(&format!("\r\n--{boundary}--\r\n")).ok_or("no last boundary")?;
    let (head, file) = inner.split_once("\r\n\r\n").ok_or("no empty line")?;
    let named = head.contains("form-data; name=\"file\"; filename=") && head.contains(".ndjson\"");
    if named { Ok(file.to_owned()) } else { Err("Invalid file extension, or no file") }
}

fn import(request: &Received, program: Program, state: &mut State) -> (u16, Value) {
    let file = match form(request) {
        Ok(file) => file,
        Err(message) => return (400, json!({"statusCode": 400, "error": "Bad Request", "message": message})),
    };
    let violations = check(program, &file, &mappings());
    if let Some(one) = violations.first() {
        let error = json!({"type": "unknown", "message": one.to_string(), "statusCode": 422});
        let errors = json!([{"id": "?", "type": "?", "error": error}]);
        return (200, json!({"success": false, "successCount": 0, "errors": errors}));
    }
    let objects: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for object in &objects {
        let name = |field: &str| object[field].as_str().unwrap().to_owned();
        state.objects.insert((name("type"), name("id")), object.clone());
    }
    (200, json!({"success": true, "successCount": objects.len(), "warnings": []}))
}

fn export(request: &Received, state: &State) -> (u16, String) {
    let mut lines = String::new();
    for wanted in request.json()["objects"].as_array().unwrap() {
        let name = |field: &str| wanted[field].as_str().unwrap().to_owned();
        let Some(object) = state.objects.get(&(name("type"), name("id"))) else {
            let body =
                json!({"statusCode": 400, "error": "Bad Request", "message": "Error fetching objects to export"});
            return (400, body.to_string());
        };
        // Kibana adds its own fields and sorts by its own order.
        let mut object = object.clone();
        object["updated_at"] = "2026-03-01T00:00:00.000Z".into();
        object["managed"] = false.into();
        lines = format!("{object}\n{lines}");
    }
    (200, lines.trim_end().to_owned())
}

fn rule(request: &Received, id: &str, state: &mut State) -> (u16, Value) {
    let refused = |message: &str| (400, json!({"statusCode": 400, "error": "Bad Request", "message": message}));
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    if groups != [8, 4, 4, 4, 12] || id.as_bytes()[14] != b'4' {
        return refused("[request params.id]: expected a UUID");
    }
    let body = request.json();
    let fields: Vec<&str> = body.as_object().into_iter().flat_map(|body| body.keys()).map(String::as_str).collect();
    let allowed: &[&str] = match request.method.as_str() {
        "GET" => &[],
        "POST" => &["actions", "consumer", "enabled", "name", "params", "rule_type_id", "schedule", "tags"],
        _ => &["actions", "name", "params", "schedule", "tags"],
    };
    if let Some(unknown) = fields.iter().find(|field| !allowed.contains(field)) {
        return refused(&format!("[request body.{unknown}]: definition for this key is missing"));
    }
    match (request.method.as_str(), state.rules.get(id).cloned()) {
        ("GET" | "PUT", None) => {
            (404, json!({"statusCode": 404, "error": "Not Found", "message": "Saved object [alert] not found"}))
        }
        ("GET", Some(rule)) => (200, rule),
        ("POST", Some(_)) => (409, json!({"statusCode": 409, "error": "Conflict", "message": "version conflict"})),
        (_, there) => {
            let mut rule = there.unwrap_or_default();
            for (name, value) in body.as_object().unwrap() {
                rule[name] = value.clone();
            }
            if rule["actions"].as_array().unwrap().iter().any(|action| !action["connector_type_id"].is_null()) {
                return refused("[request body.actions.0.connector_type_id]: definition for this key is missing");
            }
            // Defaults and notes of the server.
            rule["id"] = id.into();
            rule["params"]["termSize"] = 5.into();
            rule["execution_status"] = json!({"status": "pending"});
            state.rules.insert(id.to_owned(), rule.clone());
            (200, rule)
        }
    }
}

fn cluster(request: &Received, distribution: Option<&str>, number: &str, state: &mut State) -> (u16, Value) {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let name = path.rsplit('/').next().unwrap().to_owned();
    let there = state.definitions.get(path).cloned();
    match (request.method.as_str(), path) {
        ("GET", "/") => {
            let mut version = json!({"number": number});
            if let Some(distribution) = distribution {
                version["distribution"] = distribution.into();
            }
            (200, json!({"version": version}))
        }
        ("GET", _) => match there {
            None => (404, json!({"error": {"reason": format!("{name} not found")}, "status": 404})),
            Some(body) if path.starts_with("/_ilm/") => (200, json!({name: {"version": 1, "policy": body["policy"]}})),
            Some(body) if path.starts_with("/_plugins/") => {
                (200, json!({"_id": name, "_seq_no": 7, "_primary_term": 2, "policy": body["policy"]}))
            }
            Some(body) => (200, json!({"index_templates": [{"name": name, "index_template": body}]})),
        },
        ("PUT", _) => {
            // An OpenSearch policy that is there is replaced by those only who know which one.
            let conflict =
                path.starts_with("/_plugins/") && there.is_some() && query != "if_seq_no=7&if_primary_term=2";
            if conflict {
                return (409, json!({"error": {"reason": "version conflict"}, "status": 409}));
            }
            state.definitions.insert(path.to_owned(), request.json());
            (200, json!({"acknowledged": true}))
        }
        _ => (405, json!({"error": "method not allowed"})),
    }
}
