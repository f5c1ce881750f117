//! Puts a server under load: the client's side of `cargo xtask bench serve`.
//!
//!     load --address 127.0.0.1:8080 --sentences FILE --connections 64 --seconds 10
//!
//! Every connection stays open and sends `POST /predict` with one sentence, waits for the answer, and sends the next.
//! Prints one JSON object: answers a second, median and 99th percentile of a request (ms), and what was not answered
//! with 200.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Parser)]
struct Arguments {
    /// The server.
    #[arg(long)]
    address: SocketAddr,
    /// A sentence a line.
    #[arg(long)]
    sentences: PathBuf,
    /// Connections at the same time.
    #[arg(long)]
    connections: usize,
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Stop after so many requests, whatever the time; 0 does not.
    #[arg(long, default_value_t = 0)]
    requests: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let text = fs::read_to_string(&arguments.sentences)?;
    let requests: Vec<Vec<u8>> = text.lines().filter(|line| !line.trim().is_empty()).map(request).collect();
    ensure!(!requests.is_empty(), "{} has no sentence", arguments.sentences.display());
    let requests = Arc::new(requests);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let began = Instant::now();
        let end = if arguments.requests > 0 { None } else { Some(began + Duration::from_secs_f64(arguments.seconds)) };
        let share = arguments.requests.div_ceil(arguments.connections.max(1));
        let mut clients = Vec::new();
        for first in 0..arguments.connections {
            let requests = Arc::clone(&requests);
            clients.push(tokio::spawn(client(arguments.address, requests, first * 37, end, share)));
        }
        let (mut times, mut others) = (Vec::new(), BTreeMap::<String, usize>::new());
        for client in clients {
            let (answered, refused) = client.await?.context("a connection was lost")?;
            times.extend(answered);
            for status in refused {
                *others.entry(status.to_string()).or_default() += 1;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share).round() as usize).copied();
        anyhow::Ok(json!({
            "connections": arguments.connections,
            "answers": times.len(),
            "answers_per_second": times.len() as f64 / seconds,
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "other_statuses": others,
        }))
    })?;
    println!("{report}");
    Ok(())
}

fn request(sentence: &str) -> Vec<u8> {
    let body = json!({ "sentence": sentence }).to_string();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Times (ms) of the answers with 200, and the statuses of the others.
async fn client(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    end: Option<Instant>,
    share: usize,
) -> Result<(Vec<f64>, Vec<u16>)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut others, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = first;
    while end.map_or(times.len() + others.len() < share, |end| Instant::now() < end) {
        let began = Instant::now();
        stream.write_all(&requests[next % requests.len()]).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        if status == 200 {
            times.push(began.elapsed().as_secs_f64() * 1e3);
        } else {
            others.push(status);
        }
        next += 1;
    }
    Ok((times, others))
}

/// Reads one answer to its end; gives its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    loop {
        let count = stream.read_buf(buffer).await?;
        ensure!(count > 0, "the server closed the connection within an answer");
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.context("an answer without Content-Length")?;
        if buffer.len() >= end + 4 + length {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status");
        }
    }
}
