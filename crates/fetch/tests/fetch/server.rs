//! A stand-in for the web: HTTP/1.1 on loopback, one answer a connection, with faults on demand and a memory.
//!
//! [`Server::site`] serves plain files as a static site does; [`Server::hub`] speaks the routes of the Hugging Face hub
//! and redirects to a [`Server::store`], which is another server under another host name, as the hub's CDN is.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Digest as _;
use wellformed_core::files::sha256_bytes;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// Bytes of the body that were sent.
    pub(crate) sent: usize,
}

/// Something that goes wrong, once.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// The server is in trouble, or refuses; with headers.
    Status(u16, Vec<(&'static str, String)>),
    /// No answer at all for so long.
    Silence(Duration),
    /// From now on the path has this content.
    Replace(Vec<u8>),
    /// The connection ends after so many bytes of the body, and then the path has another content.
    CutAndReplace(usize, Vec<u8>),
}

#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// What a server holds.
#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    log: Vec<Seen>,
}

/// How the server serves.
enum Role {
    /// Files with an entity tag made of their content.
    Site {
        ranges: bool,
        tags: bool,
    },
    Hub(HubRole),
}

struct HubRole {
    /// `google/bert`, `datasets/nyu-mll/glue`.
    repository: String,
    revision: String,
    commit: String,
    store: String,
    token: Option<String>,
    /// Whether the hub's own headers are sent: a simple mirror does not.
    headers: bool,
}

pub(crate) struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A static site.
    pub(crate) fn site() -> Self {
        Self::start(Role::Site { ranges: true, tags: true })
    }

    /// A static site that knows neither ranges nor entity tags.
    pub(crate) fn simple_site() -> Self {
        Self::start(Role::Site { ranges: false, tags: false })
    }

    /// A static site with ranges but without entity tags.
    pub(crate) fn untagged_site() -> Self {
        Self::start(Role::Site { ranges: true, tags: false })
    }

    fn start(role: Role) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (role, shared) = (Arc::new(role), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (role, shared) = (Arc::clone(&role), Arc::clone(&shared));
                // A client that goes away early is part of the tests.
                std::thread::spawn(move || stream.and_then(|stream| converse(&role, &shared, stream)));
            }
        });
        Self { port, state }
    }

    /// The server's address by number.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert(path.to_owned(), bytes.to_vec());
    }

    /// The next requests for `path` meet these faults, in order.
    pub(crate) fn fail(&self, path: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.entry(path.to_owned()).or_default().extend(faults.iter().cloned());
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.state.lock().unwrap().log.clone()
    }

    /// The requests whose path ends with `end`.
    pub(crate) fn seen(&self, end: &str) -> Vec<Seen> {
        self.log().into_iter().filter(|seen| seen.path.ends_with(end)).collect()
    }

    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().log.clear();
    }
}

/// A hub with one repository, and the store that its large files are in.
pub(crate) struct HubServer {
    pub(crate) hub: Server,
    pub(crate) store: Server,
    repository: String,
}

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl HubServer {
    pub(crate) fn new(repository: &str) -> Self {
        Self::with(repository, None, true)
    }

    /// A repository that only a token opens.
    pub(crate) fn private(repository: &str, token: &str) -> Self {
        Self::with(repository, Some(token.to_owned()), true)
    }

    /// A mirror that does not pass the hub's own headers on.
    pub(crate) fn without_headers(repository: &str) -> Self {
        Self::with(repository, None, false)
    }

    fn with(repository: &str, token: Option<String>, headers: bool) -> Self {
        let store = Server::site();
        let hub = Server::start(Role::Hub(HubRole {
            repository: repository.to_owned(),
            revision: "main".to_owned(),
            commit: COMMIT.to_owned(),
            // Another host name, not only another port.
            store: format!("http://localhost:{}", store.port),
            token,
            headers,
        }));
        Self { hub, store, repository: repository.to_owned() }
    }

    /// A file in git itself.
    pub(crate) fn put_small(&self, path: &str, bytes: &[u8]) {
        self.hub.put(&format!("small:{path}"), bytes);
    }

    /// A file in large-file storage. Returns its path in the store.
    pub(crate) fn put_large(&self, path: &str, bytes: &[u8]) -> String {
        let stored = format!("/store/{}", sha256_bytes(bytes));
        self.hub.put(&format!("large:{path}"), bytes);
        self.store.put(&stored, bytes);
        stored
    }

    /// The route of a file at the revision `main`.
    pub(crate) fn route(&self, path: &str) -> String {
        format!("/{}/resolve/main/{path}", self.repository)
    }

    /// The route of a file at the commit behind it.
    pub(crate) fn route_at_commit(&self, path: &str) -> String {
        format!("/{}/resolve/{COMMIT}/{path}", self.repository)
    }
}

fn converse(role: &Role, state: &Mutex<State>, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut seen = Seen { method: method.to_owned(), path: path.clone(), headers, status: 0, sent: 0 };

    let (fault, answer) = {
        let mut state = state.lock().unwrap();
        let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
        if let Some(Fault::Replace(bytes)) = &fault {
            state.files.insert(path.clone(), bytes.clone());
        }
        let answer = match role {
            Role::Site { ranges, tags } => site(&state.files, &seen, *ranges, *tags),
            Role::Hub(hub) => hub.answer(&state.files, &seen),
        };
        if let Some(Fault::CutAndReplace(_, bytes)) = &fault {
            state.files.insert(path.clone(), bytes.clone());
        }
        (fault, answer)
    };
    let (answer, limit) = match fault {
        Some(Fault::Status(status, headers)) => (Answer { status, headers, body: b"trouble".to_vec() }, usize::MAX),
        Some(Fault::Cut(limit) | Fault::CutAndReplace(limit, _)) => (answer, limit),
        Some(Fault::Silence(pause)) => {
            std::thread::sleep(pause);
            (Answer::default(), 0)
        }
        Some(Fault::Replace(_)) | None => (answer, usize::MAX),
    };
    let body: &[u8] = if seen.method == "HEAD" { &[] } else { &answer.body };
    let body = &body[..body.len().min(limit)];
    (seen.status, seen.sent) = (answer.status, body.len());
    state.lock().unwrap().log.push(seen);
    if answer.status == 0 {
        return Ok(());
    }
    let mut stream = std::io::BufWriter::new(stream);
    write!(stream, "HTTP/1.1 {} -\r\nconnection: close\r\n", answer.status)?;
    if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
        write!(stream, "content-length: {}\r\n", answer.body.len())?;
    }
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

fn not_found() -> Answer {
    Answer { status: 404, body: b"nothing here".to_vec(), ..Answer::default() }
}

fn site(files: &BTreeMap<String, Vec<u8>>, seen: &Seen, ranges: bool, tags: bool) -> Answer {
    let Some(bytes) = files.get(&seen.path) else { return not_found() };
    let tag = tags.then(|| format!("\"site-{}\"", &sha256_bytes(bytes)[..8]));
    content(bytes, seen, tag, ranges)
}

/// A whole file or the rest of it (RFC 9110: a range counts only if `If-Range` still holds).
fn content(bytes: &[u8], seen: &Seen, tag: Option<String>, ranges: bool) -> Answer {
    let mut headers: Vec<(&'static str, String)> = tag.iter().map(|tag| ("etag", tag.clone())).collect();
    let start =
        seen.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let unchanged = seen.headers.get("if-range").is_none_or(|wanted| Some(wanted) == tag.as_ref());
    match start {
        Some(start) if ranges && unchanged && start >= bytes.len() => Answer {
            status: 416,
            headers: vec![("content-range", format!("bytes */{}", bytes.len()))],
            body: Vec::new(),
        },
        Some(start) if ranges && unchanged => {
            headers.push(("content-range", format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len())));
            Answer { status: 206, headers, body: bytes[start..].to_vec() }
        }
        _ => Answer { status: 200, headers, body: bytes.to_vec() },
    }
}

impl HubRole {
    fn answer(&self, files: &BTreeMap<String, Vec<u8>>, seen: &Seen) -> Answer {
        let refuse = |status: u16, code: &str| Answer {
            status,
            headers: if self.headers { vec![("x-error-code", code.to_owned())] } else { Vec::new() },
            body: b"no".to_vec(),
        };
        let allowed = self.token.as_ref().is_none_or(|token| {
            seen.headers.get("authorization").is_some_and(|sent| *sent == format!("Bearer {token}"))
        });
        // What the hub redirects small files to, on its own host.
        let cache = format!("/api/resolve-cache/{}/{}/", self.repository, self.commit);
        if let Some(path) = seen.path.strip_prefix(&cache) {
            let Some(bytes) = files.get(&format!("small:{path}")).filter(|_| allowed) else { return not_found() };
            return content(bytes, seen, Some(format!("\"{}\"", git_blob(bytes))), true);
        }
        let Some((repository, rest)) = seen.path.trim_start_matches('/').split_once("/resolve/") else {
            return not_found();
        };
        if repository != self.repository || !allowed {
            return refuse(401, "RepoNotFound");
        }
        let Some((revision, path)) = rest.split_once('/') else { return not_found() };
        if ![&self.revision, &self.commit].contains(&&revision.to_owned()) {
            return refuse(404, "RevisionNotFound");
        }
        let mut headers = Vec::new();
        if self.headers {
            headers.push(("x-repo-commit", self.commit.clone()));
        }
        if let Some(bytes) = files.get(&format!("large:{path}")) {
            let digest = sha256_bytes(bytes);
            headers.push(("location", format!("{}/store/{digest}?signature=s3cr3t", self.store)));
            if self.headers {
                headers.push(("x-linked-etag", format!("\"{digest}\"")));
                headers.push(("x-linked-size", bytes.len().to_string()));
            }
            return Answer { status: 302, headers, body: b"elsewhere".to_vec() };
        }
        if files.contains_key(&format!("small:{path}")) {
            headers.push(("location", format!("{cache}{path}")));
            return Answer { status: 307, headers, body: b"elsewhere".to_vec() };
        }
        refuse(404, "EntryNotFound")
    }
}

/// Git's name for a content.
pub(crate) fn git_blob(bytes: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex::encode(hasher.finalize())
}
