//! A server on the loopback that misbehaves as it is told, alone or in front of a real one.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// This is answered: a status, headers, and a body.
    Answer(u16, &'static str, String),
    /// The connection is closed before anything is done.
    Refuse,
    /// The server behind does it, and its answer is handed back.
    Pass,
    /// The server behind does it, but the answer is lost.
    LoseAnswer,
    /// The server behind does it, but the answer is kept until [`StandIn::let_go`].
    HoldAnswer,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Shared {
    acts: Mutex<VecDeque<Act>>,
    otherwise: Mutex<Option<Act>>,
    asked: Mutex<Vec<Asked>>,
    behind: Mutex<Option<String>>,
    held: Mutex<bool>,
    freed: Condvar,
}

pub(crate) struct StandIn {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl StandIn {
    /// Does one act for each `_bulk` request, and `otherwise` when none is left. That the template is there is always
    /// answered, unless there is a server behind.
    pub(crate) fn start(acts: Vec<Act>, otherwise: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        *shared.acts.lock().unwrap() = acts.into();
        *shared.otherwise.lock().unwrap() = Some(otherwise);
        let known = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&known);
                thread::spawn(move || serve(&stream.unwrap(), &shared));
            }
        });
        Self { url, shared }
    }

    /// A stand-in in front of a server at `address`; everything passes unless it is told otherwise.
    pub(crate) fn before(address: &str) -> Self {
        let stand_in = Self::start(Vec::new(), Act::Pass);
        stand_in.move_to(address);
        stand_in
    }

    pub(crate) fn move_to(&self, address: &str) {
        *self.shared.behind.lock().unwrap() = Some(address.to_owned());
    }

    /// The acts of the next `_bulk` requests.
    pub(crate) fn next(&self, acts: &[Act]) {
        self.shared.acts.lock().unwrap().extend(acts.iter().cloned());
    }

    /// What is done when no act is left.
    pub(crate) fn otherwise(&self, act: Act) {
        *self.shared.otherwise.lock().unwrap() = Some(act);
    }

    /// Hands over what was held.
    pub(crate) fn let_go(&self) {
        *self.shared.held.lock().unwrap() = true;
        self.shared.freed.notify_all();
    }

    /// The requests so far, to `_bulk` only.
    pub(crate) fn bulks(&self) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.line.contains("/_bulk")).cloned().collect()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

/// Answers one request and closes the connection.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_owned();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        headers.push(header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked { line, headers, body: String::from_utf8(body).unwrap() };
    let bulk = asked.line.contains("/_bulk");
    let behind = shared.behind.lock().unwrap().clone();
    shared.asked.lock().unwrap().push(asked.clone());
    let act = if bulk {
        let next = shared.acts.lock().unwrap().pop_front();
        next.or_else(|| shared.otherwise.lock().unwrap().clone()).unwrap()
    } else if behind.is_some() {
        match shared.otherwise.lock().unwrap().clone() {
            Some(Act::Refuse) => Act::Refuse,
            _ => Act::Pass,
        }
    } else {
        Act::Answer(200, "", "{}".to_owned())
    };
    let mut stream = stream;
    match act {
        Act::Refuse => {}
        Act::Answer(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
        }
        Act::Pass => stream.write_all(&ask(&behind?, &asked)?).ok()?,
        Act::LoseAnswer => drop(ask(&behind?, &asked)?),
        Act::HoldAnswer => {
            let answer = ask(&behind?, &asked)?;
            let mut free = shared.held.lock().unwrap();
            while !*free {
                free = shared.freed.wait(free).unwrap();
            }
            *free = false;
            stream.write_all(&answer).ok()?;
        }
    }
    Some(())
}

/// Asks the server behind; its answer as it came.
fn ask(address: &str, asked: &Asked) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(address).ok()?;
    let kept = asked.headers.iter().filter(|header| !header.to_ascii_lowercase().starts_with("connection:"));
    let headers: String = kept.flat_map(|header| [header.as_str(), "\r\n"]).collect();
    let head = format!("{}{headers}Connection: close\r\n\r\n", asked.line);
    server.write_all(&[head.as_bytes(), asked.body.as_bytes()].concat()).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// The answer of the bulk API to documents with these statuses; a status that is an error has its kind.
pub(crate) fn bulk_answer(items: &[(u16, &str)]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(status, kind)| match *kind {
            "" => format!("{{\"create\":{{\"_index\":\"i\",\"_id\":\"x\",\"status\":{status}}}}}"),
            kind => format!(
                "{{\"create\":{{\"_index\":\"i\",\"_id\":\"x\",\"status\":{status},\"error\":{{\"type\":\"{kind}\",\
                 \"reason\":\"Preview of field's value: 'marmoset'\"}}}}}}"
            ),
        })
        .collect();
    format!("{{\"took\":1,\"errors\":true,\"items\":[{}]}}", items.join(","))
}
