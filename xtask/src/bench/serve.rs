//! The server under load from another process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::infer::output;
use super::{Measured, build_examples};
use crate::process::{describe, run};
use crate::repro::{VALIDATION, binary, needs};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Serving {
    /// Seconds for each number of connections.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Requests of the long run over which memory is watched; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    pub requests: u64,
}

/// Connections at the same time.
const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];

/// The address that the server is started at: it prints no other, so the port is one that is seldom used.
const ADDRESS: &str = "127.0.0.1:18291";

/// Starts `serve` on the bundle and loads it with 1, 8, 64 and 256 connections, then with a long run; prints a table.
///
/// # Errors
///
/// When the bundle is not there, the server fails, or a request is not answered.
pub(super) fn serve(root: &Path, serving: &Serving) -> Result<Measured> {
    needs(root, &[("models/bundle/bundle.json", "export"), (VALIDATION, "prepare")])?;
    let built = build_examples(root)?;
    let server = Server::start(root)?;
    let load = |connections: usize, amount: [String; 2]| -> Result<Value> {
        let mut command = built.example("load");
        command.args(["--address", ADDRESS, "--connections", &connections.to_string()]).args(amount);
        output(command.arg("--sentences").arg(&built.sentences))
    };
    println!("{:>11} {:>14} {:>9} {:>9} {:>18}", "connections", "answers/s", "p50, ms", "p99, ms", "server memory, MB");
    let (mut rows, mut answered) = (Vec::new(), 0);
    let mut measure = |connections: usize, amount: [String; 2]| -> Result<Value> {
        let mut row = load(connections, amount)?;
        let others = &row["other_statuses"];
        ensure!(others.as_object().is_some_and(serde_json::Map::is_empty), "not answered with 200: {others}");
        answered += row["answers"].as_u64().unwrap_or(0);
        let memory = server.memory()?;
        row["server_memory_mb"] = json!(memory);
        let figure = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{connections:>11} {:>14.0} {:>9.2} {:>9.2} {memory:>18.1}",
            figure("answers_per_second"),
            figure("p50_ms"),
            figure("p99_ms")
        );
        Ok(row)
    };
    for connections in CONNECTIONS {
        rows.push(measure(connections, ["--seconds".to_owned(), serving.seconds.to_string()])?);
    }
    let mut long = Vec::new();
    if serving.requests > 0 {
        // In ten parts, so that growth would show as a slope.
        println!("{} requests in ten parts:", serving.requests);
        for _ in 0..10 {
            long.push(measure(64, ["--requests".to_owned(), (serving.requests / 10).to_string()])?);
        }
    }
    let counted = counted()?;
    ensure!(counted == answered, "the server counted {counted} answers, its clients {answered}");
    println!("{answered} requests, all answered with 200; the server counted as many");
    let code = server.stop()?;
    ensure!(code == 0, "the server ended with exit code {code}");
    let report = json!({ "seconds": serving.seconds, "rows": rows, "long_run": long, "requests": answered });
    Ok(Measured::new("serve", report))
}

/// A running server; it is killed if nobody stops it.
struct Server(Child);

impl Server {
    fn start(root: &Path) -> Result<Self> {
        let mut command = Command::new(binary(root, "serve"));
        command.args(["--bundle", "models/bundle", "--address", ADDRESS, "--log", "off"]).current_dir(root);
        eprintln!("$ {}", describe(&command));
        let child = command.stderr(Stdio::piped()).spawn().context("cannot start the server")?;
        let mut server = Self(child);
        let address = ADDRESS.parse().context("the server's address")?;
        let began = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = server.0.try_wait()? {
                let said = server.0.stderr.take().map(BufReader::new).and_then(|mut pipe| {
                    let mut line = String::new();
                    pipe.read_line(&mut line).ok().map(|_| line)
                });
                bail!("the server ended with {status}: {}", said.unwrap_or_default());
            }
            ensure!(began.elapsed() < Duration::from_secs(30), "the server does not answer at {ADDRESS}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Resident memory, in MB.
    fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).context("needs Linux")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes = line.trim().trim_end_matches("kB").trim().parse::<f64>()?;
        Ok(kilobytes / 1024.0)
    }

    /// Asks the server to stop and gives its exit code.
    fn stop(mut self) -> Result<i32> {
        run(Command::new("kill").args(["-TERM", &self.0.id().to_string()]))?;
        Ok(self.0.wait()?.code().unwrap_or(-1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Requests for `/predict` that the server has answered with 200, by its own metrics.
fn counted() -> Result<u64> {
    let mut stream = TcpStream::connect(ADDRESS).context("cannot ask the server for its metrics")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find(|line| {
        line.starts_with("wellformed_http_requests_total")
            && ["POST", "/predict", "200"].iter().all(|value| line.contains(&format!("=\"{value}\"")))
    });
    let number = line.and_then(|line| line.rsplit(' ').next()).context("the server counts no requests")?;
    number.parse().with_context(|| format!("{number} is no count"))
}
