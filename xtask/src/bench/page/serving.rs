//! The HTTP server.

use std::path::Path;

use anyhow::Result;

use super::figures::Report;
use super::format::{Table, count, figure, paragraph};
use super::{Section, not_measured, provenance};

const COMMAND: &str = "cargo xtask bench serve";

pub(super) fn section(root: &Path) -> Result<Section> {
    let title = "Serving";
    let Some(report) = Report::read(root, "serve", COMMAND)? else { return Ok(not_measured(title, COMMAND)) };
    let all = report.figures();
    let mut table =
        Table::new(&["connections", "answers a second", "median, ms", "99th percentile, ms", "server's memory, MB"]);
    for row in all.list("rows")? {
        let keys = ["answers_per_second", "p50_ms", "p99_ms", "server_memory_mb"];
        let figures = keys.iter().map(|key| row.number(key).map(figure)).collect::<Result<Vec<_>>>()?;
        table.row([count(row.number("connections")?)].into_iter().chain(figures));
    }
    let about = format!(
        "The server with the bundle, loaded over HTTP by another process on the same processors: requests of one sentence \
         each, connections kept open, {} s for each number of connections. Nothing is measured beside it. All of the {} \
         requests were answered with 200, and the server counted as many as its clients.",
        all.number("seconds")?,
        count(all.number("requests")?)
    );
    let mut parts = vec![paragraph(&about), table.to_string()];
    let long = all.list("long_run")?;
    if let (Some(first), Some(last)) = (long.first(), long.last()) {
        let mut requests = 0.0;
        for part in &long {
            requests += part.number("answers")?;
        }
        parts.push(format!(
            "Over a further run of {} requests the server had {} MB after the first tenth and {} MB after the last.\n",
            count(requests),
            figure(first.number("server_memory_mb")?),
            figure(last.number("server_memory_mb")?)
        ));
    }
    parts.push(provenance(&report, COMMAND));
    Ok(Section { title, body: parts.join("\n"), headlines: Vec::new() })
}
