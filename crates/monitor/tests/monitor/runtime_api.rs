//! A Lambda Runtime API on the loopback, and processes under it: the interface of AWS's guide "Using the Lambda runtime
//! API for custom runtimes".

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(2);
const ROOT: &str = "/2018-06-01/runtime/";

/// A function's process under a Runtime API of its own.
pub(crate) struct Function {
    events: Sender<(String, Vec<u8>)>,
    posts: Receiver<(String, Value)>,
    child: Child,
    output: Vec<JoinHandle<String>>,
    count: usize,
}

impl Function {
    pub(crate) fn start(program: &Path, name: &str, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, waiting) = channel();
        let (posted, posts) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (waiting, posted) = (Arc::clone(&waiting), posted.clone());
                thread::spawn(move || serve(stream.unwrap(), &waiting, &posted));
            }
        });
        let mut command = Command::new(program);
        command.env_clear().env("AWS_LAMBDA_RUNTIME_API", &address).env("AWS_LAMBDA_FUNCTION_NAME", name);
        command.env("AWS_LAMBDA_FUNCTION_VERSION", "7").env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
        command.env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"));
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let output = vec![collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap())];
        Self { events, posts, child, output, count: 0 }
    }

    /// Sends an event without waiting for what is posted.
    pub(crate) fn send(&mut self, event: &Value) {
        self.count += 1;
        let id = format!("8e1c2f0a-3f0e-4f6e-9a43-{:012x}", self.count);
        self.events.send((id, event.to_string().into_bytes())).unwrap();
    }

    /// What the process posts next: whether it is a response, not an error; and the body.
    pub(crate) fn posted(&self) -> (bool, Value) {
        let (path, body) = self.posts.recv_timeout(PATIENCE).expect("the process posts something");
        (path.ends_with("/response"), body)
    }

    /// Sends an event; what is posted.
    pub(crate) fn invoke(&mut self, event: &Value) -> (bool, Value) {
        self.send(event);
        self.posted()
    }

    /// Ends the process with SIGKILL; what it wrote on standard output and on standard error.
    pub(crate) fn kill(mut self) -> (String, String) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut output = self.output.drain(..).map(|reader| reader.join().unwrap());
        (output.next().unwrap(), output.next().unwrap())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    })
}

/// Answers the requests of one connection.
fn serve(
    stream: TcpStream,
    waiting: &Mutex<Receiver<(String, Vec<u8>)>>,
    posted: &Sender<(String, Value)>,
) -> Option<()> {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let path = line.split(' ').nth(1).unwrap().strip_prefix(ROOT).unwrap().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if path == "invocation/next" {
            let (id, payload) = waiting.lock().unwrap().recv().ok()?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Lambda-Runtime-Aws-Request-Id: {id}\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:x:7\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-66f0c0de-1f2e3d4c5b6a79880f1e2d3c;Sampled=0\r\n\r\n",
                payload.len()
            );
            writer.write_all(&[head.as_bytes(), &payload].concat()).ok()?;
        } else {
            posted.send((path, serde_json::from_slice(&body).unwrap())).ok()?;
            writer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}").ok()?;
        }
    }
}

/// The binary of the crate `lambda`, beside this crate's own; `WELLFORMED_BOOTSTRAP` names another one.
pub(crate) fn bootstrap() -> PathBuf {
    let beside = || Path::new(env!("CARGO_BIN_EXE_forwarder")).with_file_name("bootstrap");
    let path = std::env::var_os("WELLFORMED_BOOTSTRAP").map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is not there: cargo build --release -p wellformed-lambda", path.display());
    path
}
