//! An image's own program, run under a Runtime API and under limits, as AWS Lambda would.
//!
//! The root file system is unpacked and run by runc, the program that Docker itself starts containers with; no daemon is
//! needed, but root is. Where a Docker daemon answers and this is not root, Docker runs the image instead.
//!
//! What is kept: the image's user, entry point, environment and read-only file system with an empty `/tmp`; no
//! capabilities, no new privileges; memory and processor time by control groups, where this machine has them. What is
//! not: the program shares the machine's network, because its Runtime API is on the loopback there. Lambda's micro-VM,
//! its 512 MB `/tmp` and its system-call filter are not imitated.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::error::{At, Error};
use crate::image::Image;
use crate::layout::Process;
use crate::runtime_api::{Call, Next, RuntimeApi};
use crate::tool::{is_there, output, text};

/// Chooses what runs an image: `runc` or `docker`.
pub const SANDBOX: &str = "WELLFORMED_SANDBOX";

/// How often it is looked whether the program still runs.
const TICK: Duration = Duration::from_millis(50);
/// How long the program may take to write its log's last lines after an answer, and to ask again.
const GRACE: Duration = Duration::from_secs(2);

/// The log group that the program is told is its own.
pub(crate) const LOG_GROUP: &str = "/aws/lambda/wellformed";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// What the program gets of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in MB (2²⁰ bytes), as Lambda counts it; also the value of `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`.
    pub memory_mb: u64,
    /// Processors, 0.5 for half of one.
    pub cpus: f64,
    /// Whether the file system is read-only, except for `/tmp`.
    pub read_only: bool,
    /// How long an answer, or getting ready, may take.
    pub timeout: Duration,
}

impl Default for Limits {
    /// 512 MB, half a processor, a read-only file system, a minute.
    fn default() -> Self {
        Self { memory_mb: 512, cpus: 0.5, read_only: true, timeout: Duration::from_mins(1) }
    }
}

/// What of [`Limits`] this machine enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// More memory than the limit ends the program.
    pub memory: bool,
    /// The program is held back when it has used its share of processor time.
    pub cpus: bool,
    /// Writing fails.
    pub read_only: bool,
}

/// What came of an event.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The response, or the error that the program posted.
    pub payload: Vec<u8>,
    /// What Lambda calls `FunctionError`: `Unhandled` if the program posted an error, `Runtime.ExitError` if it ended,
    /// `Runtime.OutOfMemory` if its memory was not enough.
    pub function_error: Option<String>,
    /// From handing over the event to the answer.
    pub duration: Duration,
    /// What the program wrote meanwhile, on both streams.
    pub log: Vec<String>,
}

impl Answer {
    /// The payload as JSON; `null` if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// An image made ready to be started, any number of times.
#[derive(Debug)]
pub struct Prepared {
    engine: Engine,
    process: Process,
    /// Holds the unpacked file system.
    folder: TempDir,
}

#[derive(Debug, Clone)]
enum Engine {
    /// The program's path.
    Runc(&'static str),
    /// The image's name in the daemon.
    Docker(String),
}

impl Prepared {
    /// Unpacks an image, or loads it into Docker.
    ///
    /// # Errors
    ///
    /// When there is neither runc (and root) nor Docker, or the image is damaged.
    pub fn new(image: &Image) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("wellformed-image-").tempdir();
        let folder = folder.at("make", &std::env::temp_dir())?;
        let engine = find_engine(image)?;
        if let Engine::Runc(_) = engine {
            let root = folder.path().join("root");
            fs::create_dir(&root).at("make", &root)?;
            image.layout.unpack(&root)?;
            // runc gives the file system that it mounts there the rights of the folder below it.
            let temporary = root.join("tmp");
            fs::create_dir_all(&temporary).at("make", &temporary)?;
            fs::set_permissions(&temporary, Permissions::from_mode(0o1777)).at("write", &temporary)?;
        }
        Ok(Self { engine, process: image.layout.configuration.config.clone(), folder })
    }

    /// Starts the image's program under limits, and waits until it asks for its first event. `variables` are added to
    /// those of the image and of Lambda, and go before them.
    ///
    /// # Errors
    ///
    /// [`Error::Init`] when the program reports an error or ends; [`Error::TimedOut`]; and when it cannot be started.
    pub fn start(&self, limits: Limits, variables: &BTreeMap<String, String>) -> Result<Sandbox, Error> {
        Sandbox::start(self, limits, variables)
    }

    /// The program that runs the image: `runc` or `docker`.
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Runc(_) => "runc",
            Engine::Docker(_) => "docker",
        }
    }
}

fn find_engine(image: &Image) -> Result<Engine, Error> {
    let wished = std::env::var(SANDBOX).ok().filter(|wish| !wish.is_empty());
    if let Some(other) = wished.as_deref().filter(|wish| !matches!(*wish, "runc" | "docker")) {
        return Err(Error::Invalid(format!("{SANDBOX} is {other:?}, but must be runc or docker")));
    }
    let may = |name: &str| wished.as_deref().is_none_or(|wish| wish == name);
    let root = text(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    let runc = ["runc", "/usr/sbin/runc", "/usr/bin/runc"].into_iter().find(|program| is_there(program));
    if let Some(runc) = runc.filter(|_| root && may("runc")) {
        return Ok(Engine::Runc(runc));
    }
    let mut daemon = Command::new("docker");
    daemon.args(["version", "--format", "{{.Server.Version}}"]);
    if may("docker") && output(&mut daemon).is_ok() {
        let name = format!("wellformed-sandbox:{}", image.digest().trim_start_matches("sha256:"));
        // By way of a file: docker itself knows where its daemon is, skopeo does not know its contexts.
        let folder = tempfile::tempdir().at("make", &std::env::temp_dir())?;
        let archive = folder.path().join("image.tar");
        let mut pack = Command::new("skopeo");
        pack.args(["copy", "--quiet"]).arg(format!("oci:{}", image.layout.folder().display()));
        output(pack.arg(format!("docker-archive:{}:{name}", archive.display())))?;
        output(Command::new("docker").args(["load", "--quiet", "--input"]).arg(&archive))?;
        return Ok(Engine::Docker(name));
    }
    let runc = match (runc, root) {
        _ if !may("runc") => "is not wished for",
        (None, _) => "is not installed",
        (Some(_), _) => "needs root",
    };
    Err(Error::NoTool {
        what: "there is nothing to run an image with",
        tried: format!("runc {runc}; docker's daemon does not answer"),
        advice: "start Docker, or run this as root with runc installed (`apt-get install runc`)",
    })
}

/// A running program.
pub struct Sandbox {
    api: RuntimeApi,
    container: Container,
    limits: Limits,
    waiting: Option<Next>,
    count: u64,
    init: Duration,
    log: PathBuf,
    /// Bytes of the log that have been given out.
    read: u64,
    /// Holds the log and the container's files.
    _folder: TempDir,
}

impl Sandbox {
    fn start(prepared: &Prepared, limits: Limits, variables: &BTreeMap<String, String>) -> Result<Self, Error> {
        let api = RuntimeApi::start().at("make", Path::new("a server on the loopback"))?;
        let folder = tempfile::tempdir_in(prepared.folder.path()).at("make", prepared.folder.path())?;
        let log = folder.path().join("log");
        let own = prepared.process.env.iter().filter_map(|it| it.split_once('='));
        let lambda = lambda_environment(&api, limits);
        let lambda = lambda.iter().map(|(name, value)| (*name, value.as_str()));
        let given = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: BTreeMap<&str, &str> = own.chain(lambda).chain(given).collect();
        let environment: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let output = File::create(&log).at("make", &log)?;
        let container = Container::create(prepared, limits, &environment, folder.path(), &output)?;
        let began = Instant::now();
        let mut sandbox = Self {
            api,
            container,
            limits,
            waiting: None,
            count: 0,
            init: Duration::ZERO,
            log,
            read: 0,
            _folder: folder,
        };
        sandbox.container.start()?;
        let at = sandbox.await_ready(began)?;
        sandbox.init = at.duration_since(began);
        Ok(sandbox)
    }

    /// From the start of the process to its asking for the first event.
    pub fn init(&self) -> Duration {
        self.init
    }

    /// What of the limits this machine enforces.
    pub fn enforced(&self) -> Enforced {
        Enforced {
            memory: self.container.limited.memory,
            cpus: self.container.limited.cpus,
            read_only: self.limits.read_only,
        }
    }

    /// Whether the program still runs.
    pub fn is_alive(&mut self) -> bool {
        self.container.is_alive()
    }

    /// The most memory that the program has held, in bytes; `None` where the machine does not say.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.container.process?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    /// Hands an event over and waits for the answer. A program that fails or ends gives an answer too: one with
    /// [`Answer::function_error`].
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`].
    pub fn invoke(&mut self, payload: &[u8]) -> Result<Answer, Error> {
        let Some(waiting) = self.waiting.take() else {
            return Ok(self.ended(Duration::ZERO));
        };
        self.count += 1;
        let began = Instant::now();
        if waiting.send(self.count, payload, self.limits.timeout).is_err() {
            return Ok(self.ended(began.elapsed()));
        }
        loop {
            if began.elapsed() > self.limits.timeout {
                return Err(Error::TimedOut { what: "an event", seconds: self.limits.timeout.as_secs() });
            }
            let (at, payload, function_error) = match self.api.next(TICK) {
                Some((at, Call::Response(number, payload))) if number == self.count => (at, payload, None),
                Some((at, Call::Error(number, payload))) if number == self.count => {
                    (at, payload, Some("Unhandled".to_owned()))
                }
                Some((_, Call::Next(next))) => {
                    // It asks again without having answered.
                    self.waiting = Some(next);
                    (Instant::now(), Vec::new(), Some("Runtime.NoResponse".to_owned()))
                }
                Some(_) => continue,
                None if self.container.is_alive() => continue,
                None => return Ok(self.ended(began.elapsed())),
            };
            if self.waiting.is_none() {
                self.await_next();
            }
            let log = self.new_lines();
            return Ok(Answer { payload, function_error, duration: at.duration_since(began), log });
        }
    }

    /// Ends the program and gives what it wrote since the last answer.
    pub fn shutdown(mut self) -> Vec<String> {
        self.container.remove();
        self.new_lines()
    }

    fn await_ready(&mut self, began: Instant) -> Result<Instant, Error> {
        loop {
            match self.api.next(TICK) {
                Some((at, Call::Next(next))) => {
                    self.waiting = Some(next);
                    return Ok(at);
                }
                Some((_, Call::InitError(body))) => {
                    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let message = said["errorMessage"].as_str().map_or_else(
                        || String::from_utf8_lossy(&body).into_owned(),
                        |message| format!("{}: {message}", said["errorType"].as_str().unwrap_or("error")),
                    );
                    // It may have more to say before it ends.
                    let told = Instant::now();
                    while self.container.is_alive() && told.elapsed() < GRACE {
                        thread::sleep(TICK);
                    }
                    return Err(Error::Init { message, log: self.new_lines().join("\n") });
                }
                None if began.elapsed() > self.limits.timeout => {
                    let seconds = self.limits.timeout.as_secs();
                    return Err(Error::TimedOut { what: "the program's start", seconds });
                }
                None if !self.container.is_alive() => {
                    let reason = if self.container.out_of_memory() { ": its memory was not enough" } else { "" };
                    let message = format!("it ended before it asked for an event{reason}");
                    return Err(Error::Init { message, log: self.new_lines().join("\n") });
                }
                Some(_) | None => {}
            }
        }
    }

    /// Waits until the program asks for its next event: then it has written all about the last one.
    fn await_next(&mut self) {
        let began = Instant::now();
        while began.elapsed() < GRACE {
            match self.api.next(TICK) {
                Some((_, Call::Next(next))) => {
                    self.waiting = Some(next);
                    return;
                }
                None if !self.container.is_alive() => return,
                _ => {}
            }
        }
    }

    fn ended(&mut self, duration: Duration) -> Answer {
        let kind = if self.container.out_of_memory() { "Runtime.OutOfMemory" } else { "Runtime.ExitError" };
        let payload = json!({ "errorType": kind, "errorMessage": "the program ended" }).to_string().into_bytes();
        Answer { payload, function_error: Some(kind.to_owned()), duration, log: self.new_lines() }
    }

    fn new_lines(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut bytes)
        });
        self.read += read.unwrap_or(0) as u64;
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

/// The variables that Lambda sets (AWS Lambda developer guide, "Defined runtime environment variables").
fn lambda_environment(api: &RuntimeApi, limits: Limits) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_RUNTIME_API", api.address().to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", "wellformed".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", limits.memory_mb.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", LOG_GROUP.to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[1]00000000000000000000000000000000".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
}

/// Which limits a control group is set up for.
#[derive(Debug, Clone, Copy)]
struct Limited {
    memory: bool,
    cpus: bool,
}

/// A container, created, started, removed.
struct Container {
    engine: Engine,
    id: String,
    limited: Limited,
    /// runc's folder of states.
    states: PathBuf,
    /// The program's process id on this machine, where it is known.
    process: Option<u32>,
    /// `docker start`, which lives as long as the container.
    attached: Option<Child>,
    output: File,
}

impl Container {
    fn create(
        prepared: &Prepared,
        limits: Limits,
        environment: &[String],
        folder: &Path,
        output_file: &File,
    ) -> Result<Self, Error> {
        let id = format!("wellformed-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let clone = || output_file.try_clone().at("write", folder);
        let mut container = Self {
            engine: prepared.engine.clone(),
            id,
            limited: Limited { memory: false, cpus: false },
            states: folder.join("states"),
            process: None,
            attached: None,
            output: clone()?,
        };
        match &prepared.engine {
            Engine::Runc(program) => {
                container.limited = Limited { memory: has_controller("memory"), cpus: has_controller("cpu") };
                let root = prepared.folder.path().join("root");
                let configuration = runc_configuration(
                    &prepared.process,
                    &root,
                    limits,
                    container.limited,
                    environment,
                    &container.id,
                )?;
                let path = folder.join("config.json");
                fs::write(&path, configuration.to_string()).at("write", &path)?;
                let pid = folder.join("pid");
                let mut create = Command::new(program);
                create.arg("--root").arg(&container.states).args(["create", "--bundle"]).arg(folder);
                create.arg("--pid-file").arg(&pid).arg(&container.id);
                // The container's program inherits the streams, so they are files: nobody waits for them to close.
                create.stdin(Stdio::null()).stdout(clone()?).stderr(clone()?);
                let status = create.status();
                let status = status.map_err(|source| Error::NotStarted { program: (*program).to_owned(), source })?;
                if !status.success() {
                    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                    let command = crate::tool::describe(&create);
                    return Err(Error::Failed { command, status: status.to_string(), output: log });
                }
                let text = fs::read_to_string(&pid).at("read", &pid)?;
                container.process = text.trim().parse().ok();
            }
            Engine::Docker(image) => {
                container.limited = Limited { memory: true, cpus: true };
                let mut create = Command::new("docker");
                create.args(["create", "--network", "host", "--cap-drop", "ALL"]);
                create.args(["--security-opt", "no-new-privileges", "--tmpfs", "/tmp", "--name", &container.id]);
                create.args(["--memory", &format!("{}m", limits.memory_mb), "--cpus", &limits.cpus.to_string()]);
                create.args(["--memory-swap", &format!("{}m", limits.memory_mb)]);
                if limits.read_only {
                    create.arg("--read-only");
                }
                // In a file: a command line can be read by everyone on the machine. The folder is this user's own.
                let variables = folder.join("environment");
                fs::write(&variables, environment.join("\n")).at("write", &variables)?;
                create.arg("--env-file").arg(&variables);
                output(create.arg(image))?;
            }
        }
        Ok(container)
    }

    fn start(&mut self) -> Result<(), Error> {
        match &self.engine {
            Engine::Runc(program) => {
                let mut start = Command::new(program);
                output(start.arg("--root").arg(&self.states).args(["start", &self.id])).map(|_| ())
            }
            Engine::Docker(_) => {
                let mut start = Command::new("docker");
                let clone = || self.output.try_clone().at("write", &self.states);
                start.args(["start", "--attach", &self.id]);
                start.stdin(Stdio::null()).stdout(clone()?).stderr(clone()?);
                let child = start.spawn();
                self.attached =
                    Some(child.map_err(|source| Error::NotStarted { program: "docker".to_owned(), source })?);
                Ok(())
            }
        }
    }

    fn is_alive(&mut self) -> bool {
        if let Some(child) = &mut self.attached {
            return matches!(child.try_wait(), Ok(None));
        }
        let Some(process) = self.process else { return false };
        // The state is behind the program's name, which is in brackets; Z is a process that nobody has waited for.
        fs::read_to_string(format!("/proc/{process}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
    }

    /// Whether the kernel ended something in the container for want of memory.
    fn out_of_memory(&self) -> bool {
        match &self.engine {
            Engine::Runc(_) => {
                let counted = |path: String| {
                    let text = fs::read_to_string(path).unwrap_or_default();
                    text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
                };
                counted(format!("/sys/fs/cgroup/memory/{}/memory.oom_control", self.id))
                    || counted(format!("/sys/fs/cgroup/{}/memory.events", self.id))
            }
            Engine::Docker(_) => {
                let mut inspect = Command::new("docker");
                inspect.args(["inspect", "--format", "{{.State.OOMKilled}}", &self.id]);
                text(&mut inspect).is_ok_and(|killed| killed == "true")
            }
        }
    }

    /// Ends and removes it. What is gone already is no error.
    fn remove(&mut self) {
        let mut command = match &self.engine {
            Engine::Runc(program) => {
                let mut delete = Command::new(program);
                delete.arg("--root").arg(&self.states).args(["delete", "--force", &self.id]);
                delete
            }
            Engine::Docker(_) => {
                let mut remove = Command::new("docker");
                remove.args(["rm", "--force", &self.id]);
                remove
            }
        };
        let _ = output(&mut command);
        if let Some(mut child) = self.attached.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a control group of this kind can be made here.
fn has_controller(name: &str) -> bool {
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let place = if unified.split_whitespace().any(|controller| controller == name) {
        PathBuf::from("/sys/fs/cgroup")
    } else {
        Path::new("/sys/fs/cgroup").join(name)
    };
    place.is_dir()
        && tempfile::Builder::new().prefix("wellformed-probe-").tempdir_in(&place).is_ok_and(|probe| {
            // A control group is removed as an empty folder, although files are seen in it.
            let path = probe.keep();
            fs::remove_dir(path).is_ok()
        })
}

/// The configuration of a container, as the OCI runtime specification 1.0 has it.
fn runc_configuration(
    process: &Process,
    root: &Path,
    limits: Limits,
    limited: Limited,
    environment: &[String],
    id: &str,
) -> Result<Value, Error> {
    let (user, group) = match process.user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (process.user.as_str(), process.user.as_str()),
    };
    let number = |text: &str| -> Result<u32, Error> {
        let text = if text.is_empty() { "0" } else { text };
        text.parse().map_err(|_| Error::Invalid(format!("the image's user is {text:?}, but must be a number")))
    };
    let arguments: Vec<&String> = process.entrypoint.iter().chain(&process.cmd).collect();
    let folder = if process.working_dir.is_empty() { "/" } else { &process.working_dir };
    let mut resources = json!({});
    if limited.memory {
        let bytes = limits.memory_mb << 20;
        resources["memory"] = json!({ "limit": bytes, "swap": bytes });
    }
    if limited.cpus {
        resources["cpu"] = json!({ "period": 100_000, "quota": (limits.cpus * 100_000.0) as i64 });
    }
    let none: [&str; 0] = [];
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": number(user)?, "gid": number(group)? },
            "args": arguments,
            "env": environment,
            "cwd": folder,
            "capabilities": { "bounding": none, "effective": none, "permitted": none },
            "noNewPrivileges": true
        },
        "root": { "path": root, "readonly": limits.read_only },
        "hostname": "sandbox",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=64k"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"] }
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "resources": resources,
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
            ]
        }
    }))
}
