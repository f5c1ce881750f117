//! AWS Lambda's Runtime API on the loopback.
//!
//! The interface is that of AWS's guide "Using the Lambda runtime API for custom runtimes", version 2018-06-01: the
//! program asks for the next event, and posts its response or its error; an error before the first event goes to
//! `init/error`.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{Header, Method, Request, Response, Server};

/// What every path starts with.
const ROOT: &str = "/2018-06-01/runtime/";

/// Something that the program did.
pub(crate) enum Call {
    /// It asks for an event, and waits.
    Next(Next),
    /// It answers the event of this number.
    Response(u64, Vec<u8>),
    /// It could not answer the event of this number.
    Error(u64, Vec<u8>),
    /// It cannot start.
    InitError(Vec<u8>),
}

/// A program that waits for an event.
pub(crate) struct Next(Request);

impl Next {
    /// Hands it an event.
    pub(crate) fn send(self, number: u64, payload: &[u8], deadline: Duration) -> io::Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let deadline = (now + deadline).as_millis().to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", &request_id(number)),
            ("Lambda-Runtime-Deadline-Ms", &deadline),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:wellformed:1"),
            ("Lambda-Runtime-Trace-Id", "Root=1-66f0c0de-1f2e3d4c5b6a79880f1e2d3c;Sampled=0"),
        ];
        let mut response = Response::from_data(payload).with_chunked_threshold(usize::MAX);
        for (name, value) in headers {
            response.add_header(header(name, value)?);
        }
        self.0.respond(response)
    }
}

/// A running Runtime API for one program; it ends when it is dropped.
pub(crate) struct RuntimeApi {
    server: Arc<Server>,
    calls: Receiver<(Instant, Call)>,
    address: String,
}

impl RuntimeApi {
    /// Listens on a free port of the loopback.
    pub(crate) fn start() -> io::Result<Self> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(io::Error::other)?);
        let address = server.server_addr().to_string();
        let (sender, calls) = channel();
        let listener = Arc::clone(&server);
        thread::spawn(move || {
            for request in listener.incoming_requests() {
                if let Some(call) = accept(request)
                    && sender.send((Instant::now(), call)).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { server, calls, address })
    }

    /// `127.0.0.1:PORT`, for `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the program does next, and when it did it; `None` if it does nothing for so long.
    pub(crate) fn next(&self, patience: Duration) -> Option<(Instant, Call)> {
        self.calls.recv_timeout(patience).ok()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

/// The id of an event.
pub(crate) fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn number(request_id: &str) -> Option<u64> {
    u64::from_str_radix(request_id.strip_prefix("00000000-0000-4000-8000-")?, 16).ok()
}

/// Understands a request; those that want nothing but an acknowledgement get it.
fn accept(mut request: Request) -> Option<Call> {
    let path = request.url().strip_prefix(ROOT).map(str::to_owned);
    let parts: Vec<&str> = path.as_deref().unwrap_or_default().split('/').collect();
    if *request.method() == Method::Get && parts == ["invocation", "next"] {
        return Some(Call::Next(Next(request)));
    }
    let mut body = Vec::new();
    let read = request.as_reader().read_to_end(&mut body);
    let call = match (request.method(), parts.as_slice()) {
        (Method::Post, ["invocation", id, "response"]) => number(id).map(|number| Call::Response(number, body)),
        (Method::Post, ["invocation", id, "error"]) => number(id).map(|number| Call::Error(number, body)),
        (Method::Post, ["init", "error"]) => Some(Call::InitError(body)),
        _ => None,
    };
    let status = if call.is_some() && read.is_ok() { 202 } else { 404 };
    let acknowledgement = Response::from_string(r#"{"status":"OK"}"#).with_status_code(status);
    let answered = request.respond(acknowledgement);
    call.filter(|_| read.is_ok() && answered.is_ok())
}

fn header(name: &str, value: &str) -> io::Result<Header> {
    Header::from_bytes(name, value).map_err(|()| io::Error::other(format!("{name}: {value} is no header")))
}
