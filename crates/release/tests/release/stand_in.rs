//! AWS and a registry on the loopback: moto's server, Docker's registry, and a program in front of moto that really runs
//! the pushed image of each version, under a Runtime API, and sends an alias's callers to its versions by its weights.
//!
//! Everything else is passed on to moto. What moto does not do is done in front of it: an alias's revision is checked,
//! as Lambda does, and an image that the registry has is known to ECR.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tiny_http::{Header, Method, Request, Response, Server};
use wellformed_image::{Image, Limits, Prepared, RegistryReference, Sandbox};

pub(crate) const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";
const PATIENCE: Duration = Duration::from_mins(1);
/// The variable that says which version a process is of.
const MARK: &str = "STAND_IN_VERSION";
/// Requests that are answered at the same time.
const WORKERS: usize = 8;

/// What arrived: enough to recognise a moment of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// When the releasing process is killed.
pub(crate) struct Kill {
    /// The request that it is killed at.
    pub(crate) at: Box<dyn FnMut(&Seen) -> bool + Send>,
    /// What becomes of that request.
    pub(crate) fate: Fate,
}

/// What becomes of the request that a release is killed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The machine died before it was served.
    Lost,
    /// The machine died after it was served, before its answer arrived.
    Served,
    /// Only the process died. The program that it had asked lives on, and its request is served when
    /// [`StandIn::let_through`] says so.
    Late,
}

/// A program that ends with its owner.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A version's process. It ends before its files go.
struct Running {
    sandbox: Sandbox,
    _files: Prepared,
}

#[derive(Default)]
struct State {
    running: HashMap<(String, String), Arc<Mutex<Running>>>,
    /// Invocations through an alias, by function and version.
    through_alias: BTreeMap<(String, String), usize>,
    /// What is owed to the smaller share of a function's alias.
    owed: HashMap<String, f64>,
    revisions: HashMap<String, u32>,
    /// Versions whose process is killed at their nth invocation.
    breaks_at: HashMap<(String, String), usize>,
    invoked: HashMap<(String, String), usize>,
    kill: Option<Kill>,
    process: Option<u32>,
    /// Whether the late request may go through.
    go: bool,
    /// What the late request was answered.
    late: Option<u16>,
}

struct Shared {
    moto: String,
    registry: String,
    folder: PathBuf,
    state: Mutex<State>,
}

/// The stand-ins of one test.
pub(crate) struct StandIn {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: Arc<Server>,
    registry: Mutex<Option<Program>>,
    _moto: Program,
    _folder: TempDir,
}

/// Why the stand-ins cannot be started here; `None` when they can.
pub(crate) fn missing() -> Option<String> {
    let root = root();
    for (path, what) in [
        (root.join(".venv-aws/bin/moto_server"), "`cargo xtask test` makes .venv-aws"),
        (root.join(".venv/bin/dvc"), "`cargo xtask setup` makes .venv"),
    ] {
        if !path.is_file() {
            return Some(format!("there is no {}; {what}", path.display()));
        }
    }
    for (program, package) in
        [("docker-registry", "docker-registry"), ("skopeo", "skopeo"), ("buildah", "buildah"), ("runc", "runc")]
    {
        let found =
            ["/usr/bin", "/usr/sbin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).is_file());
        if !found {
            return Some(format!("{program} is not installed (Debian's package {package})"));
        }
    }
    None
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn until_it_answers(url: &str) {
    let start = Instant::now();
    while ureq::get(url).call().is_err_and(|error| !matches!(error, ureq::Error::StatusCode(_))) {
        assert!(start.elapsed() < PATIENCE, "{url} does not answer");
        thread::sleep(Duration::from_millis(100));
    }
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (moto_port, registry_port) = (free_port(), free_port());
        let registry = start_registry(folder.path(), registry_port);
        let mut moto = Command::new(root().join(".venv-aws/bin/moto_server"));
        moto.args(["--host", "127.0.0.1", "--port", &moto_port.to_string()]).env("MOTO_LAMBDA_STUB_ECR", "FALSE");
        let log = fs::File::create(folder.path().join("moto.log")).unwrap();
        let moto = Program(moto.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let shared = Arc::new(Shared {
            moto: format!("http://127.0.0.1:{moto_port}"),
            registry: format!("127.0.0.1:{registry_port}"),
            folder: folder.path().to_owned(),
            state: Mutex::default(),
        });
        until_it_answers(&format!("http://{}/v2/", shared.registry));
        until_it_answers(&format!("{}/moto-api/", shared.moto));
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        for _ in 0..WORKERS {
            let (server, shared) = (Arc::clone(&server), Arc::clone(&shared));
            thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    shared.serve(request);
                }
            });
        }
        let url = format!("http://{}", server.server_addr().to_ip().unwrap());
        Self { url, shared, server, registry: Mutex::new(Some(registry)), _moto: moto, _folder: folder }
    }

    /// The registry goes away.
    pub(crate) fn stop_registry(&self) {
        self.registry.lock().unwrap().take();
    }

    /// The registry comes back, with what it had.
    pub(crate) fn start_registry(&self) {
        let port = self.shared.registry.split_once(':').unwrap().1.parse().unwrap();
        *self.registry.lock().unwrap() = Some(start_registry(&self.shared.folder, port));
        until_it_answers(&format!("http://{}/v2/", self.shared.registry));
    }

    /// Ends the version's process at its nth invocation, counted from its first.
    pub(crate) fn break_version(&self, function: &str, version: &str, at: usize) {
        self.shared.state.lock().unwrap().breaks_at.insert((function.to_owned(), version.to_owned()), at);
    }

    /// Kills the releasing process at a moment.
    pub(crate) fn kill(&self, kill: Kill) {
        let mut state = self.shared.state.lock().unwrap();
        (state.kill, state.process, state.go, state.late) = (Some(kill), None, false, None);
    }

    /// Says which process is to be killed.
    pub(crate) fn victim(&self, process: u32) {
        self.shared.state.lock().unwrap().process = Some(process);
    }

    /// Serves the late request now; the status that it is answered.
    pub(crate) fn let_through(&self) -> u16 {
        self.shared.state.lock().unwrap().go = true;
        let start = Instant::now();
        loop {
            if let Some(status) = self.shared.state.lock().unwrap().late {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the late request never came through");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it was killed.
    pub(crate) fn has_killed(&self) -> bool {
        self.shared.state.lock().unwrap().kill.take().is_none()
    }

    /// Invocations through an alias, by version.
    pub(crate) fn counts(&self, function: &str) -> BTreeMap<String, usize> {
        let state = self.shared.state.lock().unwrap();
        let of = state.through_alias.iter().filter(|((name, _), _)| name == function);
        of.map(|((_, version), count)| (version.clone(), *count)).collect()
    }

    /// Forgets the counts.
    pub(crate) fn forget(&self) {
        self.shared.state.lock().unwrap().through_alias.clear();
    }

    /// A caller like any other: the version that answered, and whether it failed.
    pub(crate) fn call(&self, function: &str) -> (String, bool) {
        let url = format!("{}/2015-03-31/functions/{function}/invocations?Qualifier=live", self.url);
        let answer = ureq::post(url).send(json!({"sentence": "The tea was cold."}).to_string()).unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (header("X-Amz-Executed-Version").unwrap(), header("X-Amz-Function-Error").is_some())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        for _ in 0..WORKERS {
            self.server.unblock();
        }
        // Sandboxes end with their owner.
        self.shared.state.lock().unwrap().running.clear();
    }
}

fn start_registry(folder: &Path, port: u16) -> Program {
    let configuration = json!({
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
        "http": {"addr": format!("127.0.0.1:{port}")},
    });
    let path = folder.join("registry.yml");
    fs::write(&path, configuration.to_string()).unwrap();
    let log = fs::File::create(folder.join("registry.log")).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&path).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
    Program(command.spawn().unwrap())
}

/// What is sent back.
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    fn error(status: u16, kind: &str, message: &str) -> Self {
        let mut reply = Self::json(status, &json!({"Type": "User", "Message": message, "message": message}));
        reply.headers.push(("x-amzn-ErrorType".to_owned(), kind.to_owned()));
        reply
    }
}

impl Shared {
    fn serve(&self, mut request: Request) {
        let seen = Seen { method: request.method().to_string(), path: request.url().to_owned() };
        let mut body = Vec::new();
        if request.as_reader().read_to_end(&mut body).is_err() {
            return;
        }
        let dies = {
            let mut state = self.state.lock().unwrap();
            state.kill.as_mut().is_some_and(|kill| (kill.at)(&seen)).then(|| state.kill.take().unwrap())
        };
        let fate = dies.map(|kill| kill.fate);
        match fate {
            Some(Fate::Lost) => return self.kill(Fate::Lost),
            Some(Fate::Late) => {
                self.kill(Fate::Late);
                while !self.state.lock().unwrap().go {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            Some(Fate::Served) | None => {}
        }
        let reply = self.reply(&request, &seen, &body);
        match fate {
            Some(Fate::Served) => return self.kill(Fate::Served),
            Some(Fate::Late) => self.state.lock().unwrap().late = Some(reply.status),
            Some(Fate::Lost) | None => {}
        }
        let mut response = Response::from_data(reply.body).with_status_code(reply.status);
        for (name, value) in reply.headers {
            response.add_header(Header::from_bytes(name, value).unwrap());
        }
        // Whoever asked may be gone.
        let _ = request.respond(response);
    }

    fn kill(&self, fate: Fate) {
        let start = Instant::now();
        loop {
            if let Some(process) = self.state.lock().unwrap().process {
                // The process leads a group, which the programs that it has started belong to.
                let target = if fate == Fate::Late { process.to_string() } else { format!("-{process}") };
                assert!(Command::new("kill").args(["-9", "--", &target]).status().unwrap().success());
                return;
            }
            assert!(start.elapsed() < PATIENCE, "nobody says which process is to be killed");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn reply(&self, request: &Request, seen: &Seen, body: &[u8]) -> Reply {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (seen.method.as_str(), parts.as_slice()) {
            ("POST", ["2015-03-31", "functions", function, "invocations"]) => {
                let qualifier = query.split('&').find_map(|pair| pair.strip_prefix("Qualifier=")).unwrap_or("$LATEST");
                self.invoke(function, qualifier, body)
            }
            (method, ["2015-03-31", "functions", function, "aliases", rest @ ..]) => {
                let value: Value = serde_json::from_slice(body).unwrap_or_default();
                let alias = rest.first().copied().or_else(|| value["Name"].as_str()).unwrap_or_default();
                let name = format!("{function}:{alias}");
                let revision = *self.state.lock().unwrap().revisions.entry(name.clone()).or_default();
                let stale = value["RevisionId"].as_str().is_some_and(|given| given != format!("revision-{revision}"));
                if method == "PUT" && stale {
                    return Reply::error(412, "PreconditionFailedException", "The RevisionId provided does not match");
                }
                let mut reply = self.pass_on(request, seen, body);
                if reply.status < 300 && method != "DELETE" {
                    let mut answer: Value = serde_json::from_slice(&reply.body).unwrap();
                    let revision = if method == "GET" { revision } else { revision + 1 };
                    self.state.lock().unwrap().revisions.insert(name, revision);
                    answer["RevisionId"] = json!(format!("revision-{revision}"));
                    reply.body = answer.to_string().into_bytes();
                }
                reply
            }
            _ => {
                let value: Value = serde_json::from_slice(body).unwrap_or_default();
                let image = value["ImageUri"].as_str().or_else(|| value["Code"]["ImageUri"].as_str());
                if let Some((repository, digest)) = image.and_then(|image| image.split_once('@')) {
                    self.make_known(repository.rsplit_once('/').unwrap().1, digest);
                }
                self.pass_on(request, seen, body)
            }
        }
    }

    /// ECR is the registry; moto's is told what Docker's has.
    fn make_known(&self, repository: &str, digest: &str) {
        let url = format!("http://{}/v2/{repository}/manifests/{digest}", self.registry);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let Ok(mut manifest) = ureq::get(url).header("Accept", kind).call() else { return };
        let input = json!({
            "repositoryName": repository,
            "imageManifest": manifest.body_mut().read_to_string().unwrap(),
            "imageManifestMediaType": kind,
            "imageTag": digest.trim_start_matches("sha256:"),
            "imageDigest": digest,
        });
        let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
        let asked =
            self.moto("ecr").header("X-Amz-Target", target).header("Content-Type", "application/x-amz-json-1.1");
        // That it is known already is no error here.
        let _ = asked.send(input.to_string());
    }

    fn moto(&self, service: &str) -> ureq::RequestBuilder<ureq::typestate::WithBody> {
        ureq::post(&self.moto).header("Authorization", authorization(service))
    }

    /// To moto, which knows the registry by ECR's name.
    fn pass_on(&self, request: &Request, seen: &Seen, body: &[u8]) -> Reply {
        let ecr = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com");
        // S3's objects are what they are, and have checksums.
        let is_s3 = request.headers().iter().any(|header| header.value.as_str().contains("/s3/aws4_request"));
        let body = if is_s3 { body.to_vec() } else { replace(body, &self.registry, &ecr) };
        let mut builder = ureq::http::Request::builder()
            .method(match request.method() {
                Method::Get => "GET",
                Method::Head => "HEAD",
                Method::Put => "PUT",
                Method::Delete => "DELETE",
                _ => "POST",
            })
            .uri(format!("{}{}", self.moto, seen.path));
        for header in request.headers() {
            let name = header.field.as_str().as_str().to_ascii_lowercase();
            if !["host", "content-length", "connection", "expect", "transfer-encoding", "accept-encoding"]
                .contains(&name.as_str())
            {
                builder = builder.header(name, header.value.as_str());
            }
        }
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build().into();
        let answer = agent.run(builder.body(body).unwrap());
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Reply::error(500, "ServiceException", &error.to_string()),
        };
        let headers = answer.headers().iter().filter(|(name, _)| {
            !["content-length", "transfer-encoding", "connection", "content-encoding"].contains(&name.as_str())
        });
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect();
        let body = answer.body_mut().read_to_vec().unwrap();
        let body = if is_s3 { body } else { replace(&body, &ecr, &self.registry) };
        Reply { status: answer.status().as_u16(), headers, body }
    }

    /// What moto says of something of Lambda's.
    fn lambda(&self, path: &str) -> Option<Value> {
        let url = format!("{}/2015-03-31/functions/{path}", self.moto);
        let mut answer = ureq::get(url).header("Authorization", authorization("lambda")).call().ok()?;
        Some(serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap())
    }

    fn invoke(&self, function: &str, qualifier: &str, body: &[u8]) -> Reply {
        let unknown = || Reply::error(404, "ResourceNotFoundException", "Function not found");
        let is_alias = !qualifier.chars().all(|c| c.is_ascii_digit());
        let version = if is_alias {
            let Some(alias) = self.lambda(&format!("{function}/aliases/{qualifier}")) else { return unknown() };
            self.routed(function, &alias)
        } else {
            qualifier.to_owned()
        };
        let key = (function.to_owned(), version.clone());
        if is_alias {
            *self.state.lock().unwrap().through_alias.entry(key.clone()).or_default() += 1;
        }
        let running = match self.running(&key) {
            Ok(Some(running)) => running,
            Ok(None) => return unknown(),
            Err(problem) => return failed(&version, "Unhandled", &problem),
        };
        let mut running = running.lock().unwrap();
        let breaks = {
            let mut state = self.state.lock().unwrap();
            let times = state.invoked.entry(key.clone()).or_default();
            *times += 1;
            let times = *times;
            state.breaks_at.get(&key).is_some_and(|at| times >= *at)
        };
        if breaks {
            crash(&key);
        }
        let answer = match running.sandbox.invoke(body) {
            Ok(answer) => answer,
            Err(error) => return failed(&version, "Unhandled", &error.to_string()),
        };
        let mut headers = vec![("X-Amz-Executed-Version".to_owned(), version)];
        headers.extend(answer.function_error.map(|kind| ("X-Amz-Function-Error".to_owned(), kind)));
        Reply { status: 200, headers, body: answer.payload }
    }

    /// The version that gets the next caller. Shares are met exactly: what is owed is carried on from call to call.
    fn routed(&self, function: &str, alias: &Value) -> String {
        let main = alias["FunctionVersion"].as_str().unwrap().to_owned();
        let Some((other, share)) =
            alias["RoutingConfig"]["AdditionalVersionWeights"].as_object().and_then(|weights| weights.iter().next())
        else {
            return main;
        };
        let mut state = self.state.lock().unwrap();
        let owed = state.owed.entry(function.to_owned()).or_default();
        *owed += share.as_f64().unwrap();
        // Shares are binary fractions only by chance.
        if *owed > 1.0 - 1e-9 {
            *owed -= 1.0;
            return other.clone();
        }
        main
    }

    /// The process of a version: its image pulled from the registry by its digest, and started.
    fn running(&self, key: &(String, String)) -> Result<Option<Arc<Mutex<Running>>>, String> {
        if let Some(sandbox) = self.state.lock().unwrap().running.get(key) {
            return Ok(Some(Arc::clone(sandbox)));
        }
        let (function, version) = key;
        let Some(said) = self.lambda(&format!("{function}?Qualifier={version}")) else { return Ok(None) };
        let image = said["Code"]["ImageUri"].as_str().unwrap();
        let (repository, digest) = image.split_once('@').unwrap();
        let name = repository.rsplit_once('/').unwrap().1;
        let reference = RegistryReference::parse(&format!("{}/{name}@{digest}", self.registry)).unwrap();
        let folder = self.folder.join(format!("pulled-{function}-{version}"));
        let image = Image::pull(&reference, &folder).map_err(|error| error.to_string())?;
        let variables = said["Configuration"]["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        let mut variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect();
        variables.insert(MARK.to_owned(), format!("{function}:{version}"));
        let limits =
            Limits { memory_mb: said["Configuration"]["MemorySize"].as_u64().unwrap(), cpus: 1.0, ..Limits::default() };
        let prepared = Prepared::new(&image).map_err(|error| error.to_string())?;
        let sandbox = prepared.start(limits, &variables).map_err(|error| error.to_string())?;
        let running = Arc::new(Mutex::new(Running { sandbox, _files: prepared }));
        self.state.lock().unwrap().running.insert(key.clone(), Arc::clone(&running));
        Ok(Some(running))
    }
}

/// Kills the process of a version, as the system does when memory is short.
fn crash((function, version): &(String, String)) {
    let mark = format!("{MARK}={function}:{version}");
    for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            let process = entry.file_name().into_string().unwrap();
            // It may just have ended.
            let _ = Command::new("kill").args(["-9", &process]).status();
        }
    }
}

fn failed(version: &str, kind: &str, problem: &str) -> Reply {
    let mut reply = Reply::json(200, &json!({"errorType": "Runtime.ExitError", "errorMessage": problem}));
    reply.headers.push(("X-Amz-Executed-Version".to_owned(), version.to_owned()));
    reply.headers.push(("X-Amz-Function-Error".to_owned(), kind.to_owned()));
    reply
}

fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=testing/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Replaces text in bytes that may be anything.
fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace(from, to).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}
