//! A Lambda Runtime API on the loopback, and the real `bootstrap` under it.
//!
//! The interface is that of AWS's guide "Using the Lambda runtime API for custom runtimes": a process asks for the next
//! invocation and posts its response or its error; an error before the first invocation goes to `init/error`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
const ROOT: &str = "/2018-06-01/runtime/";

/// What the process posted.
#[derive(Debug)]
pub(crate) struct Post {
    /// The path, without its root: `invocation/1/response`, `invocation/1/error`, `init/error`.
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) struct RuntimeApi {
    address: String,
    events: Sender<(usize, Vec<u8>)>,
    posts: Receiver<Post>,
    asked: Arc<Mutex<usize>>,
}

impl RuntimeApi {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, waiting) = channel();
        let (posted, posts) = channel();
        let asked = Arc::new(Mutex::new(0));
        let (waiting, counter) = (Arc::new(Mutex::new(waiting)), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (waiting, posted, counter) = (Arc::clone(&waiting), posted.clone(), Arc::clone(&counter));
                // A connection ends with its process, or when the test is over.
                thread::spawn(move || serve(stream.unwrap(), &waiting, &posted, &counter));
            }
        });
        Self { address, events, posts, asked }
    }

    /// How often a process asked for an invocation.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub(crate) fn post(&self) -> Post {
        self.posts.recv_timeout(PATIENCE).expect("the process posts something")
    }
}

/// Answers the requests of one connection.
fn serve(
    stream: TcpStream,
    waiting: &Mutex<Receiver<(usize, Vec<u8>)>>,
    posted: &Sender<Post>,
    asked: &Mutex<usize>,
) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "chunks are not read here");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = path.strip_prefix(ROOT).unwrap_or_else(|| panic!("{path} is not of the Runtime API"));
        if (method.as_str(), path) == ("GET", "invocation/next") {
            *asked.lock().unwrap() += 1;
            let (id, payload) = waiting.lock().unwrap().recv().ok()?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Lambda-Runtime-Aws-Request-Id: {id}\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:wellformed:7\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-66f0c0de-1f2e3d4c5b6a79880f1e2d3c;Sampled=0\r\n\r\n",
                payload.len()
            );
            writer.write_all(&[head.as_bytes(), &payload].concat()).ok()?;
        } else {
            assert_eq!(method, "POST");
            let body = serde_json::from_slice(&body).expect("the process posts JSON");
            posted.send(Post { path: path.to_owned(), body }).ok()?;
            let body = r#"{"status":"OK"}"#;
            let head = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            writer.write_all(head.as_bytes()).ok()?;
        }
    }
}

/// A process under a Runtime API of its own.
pub(crate) struct Bootstrap {
    pub(crate) api: RuntimeApi,
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    count: usize,
}

impl Bootstrap {
    pub(crate) fn start(bundle: &Path, variables: &[(&str, &str)]) -> Self {
        let api = RuntimeApi::start();
        let mut command = Command::new(program());
        command.env_clear().env("AWS_LAMBDA_RUNTIME_API", &api.address);
        command.env("AWS_LAMBDA_FUNCTION_NAME", "wellformed").env("AWS_LAMBDA_FUNCTION_VERSION", "7");
        command
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/wellformed");
        command.env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/09/22/[7]0123").env("WELLFORMED_BUNDLE", bundle);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            collect(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        Self { api, child, stdout, stderr, readers, count: 0 }
    }

    /// Sends an event and waits for what is posted.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Post {
        self.count += 1;
        self.api.events.send((self.count, payload.to_owned())).unwrap();
        let post = self.api.post();
        assert!(
            post.path.starts_with(&format!("invocation/{}/", self.count)),
            "the answer to something else: {post:?}"
        );
        post
    }

    /// Sends an event, and expects a response, not an error.
    pub(crate) fn invoke(&mut self, event: &Value) -> Value {
        let post = self.send(event.to_string().as_bytes());
        assert!(post.path.ends_with("/response"), "{post:?}");
        post.body
    }

    /// Most memory that the process has held, in KiB.
    pub(crate) fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Waits for the end of a process that ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.drain();
        status
    }

    /// Ends the process; what it wrote on standard output and on standard error.
    pub(crate) fn stop(mut self) -> (String, String) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.drain();
        (self.stdout.lock().unwrap().clone(), self.stderr.lock().unwrap().clone())
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    fn drain(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    })
}

/// The program under test; `WELLFORMED_BOOTSTRAP` names another one, such as the static one.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("WELLFORMED_BOOTSTRAP").map_or_else(|| env!("CARGO_BIN_EXE_bootstrap").into(), PathBuf::from)
}

/// The bundle of infer's tests; `WELLFORMED_BUNDLE` names another one, such as the one that ships.
pub(crate) fn bundle() -> PathBuf {
    let fixture = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle");
    std::env::var_os("WELLFORMED_BUNDLE").map_or_else(fixture, PathBuf::from)
}
