//! The monitor: how well it judges, and how fast.

use std::path::Path;

use anyhow::Result;

use super::figures::{Figures, Report};
use super::format::{Table, count, figure, paragraph, percent, ratio, whole_percent};
use super::{Headline, Section, provenance};

const JUDGING: &str = "cargo xtask bench monitor --only judging";
const SPEED: &str = "cargo xtask bench monitor --only speed";

pub(super) fn section(root: &Path) -> Result<Section> {
    let mut headlines = Vec::new();
    let about = paragraph(
        "`monitor check` says whether recorded predictions are still what the model was measured on ([how, and what it \
         does not see](drift.md)).",
    );
    let speed = match Report::read(root, "monitor_speed", SPEED)? {
        Some(report) => speed(&report, &mut headlines)?,
        None => format!("Not measured yet: `{SPEED}`.\n"),
    };
    let judging = match Report::read(root, "monitor", JUDGING)? {
        Some(report) => judging(&report)?,
        None => format!("### False alarms and detection\n\nNot measured yet: `{JUDGING}`.\n"),
    };
    let body = format!("{about}\n### Records a second\n\n{speed}\n{judging}");
    Ok(Section { title: "Monitoring", body, headlines })
}

/// The sides that are measured beside ours: their keys, and names.
const BESIDE: [(&str, &str); 2] =
    [("pandas", "pandas and scipy"), ("pandas_pyarrow", "pandas with PyArrow's reader, and scipy")];

fn speed(report: &Report, headlines: &mut Vec<Headline>) -> Result<String> {
    let all = report.figures();
    let memory = |side: &Figures<'_>| -> Result<Option<f64>> {
        side.has("peak_memory_mb").then(|| side.median("peak_memory_mb")).transpose()
    };
    let ours = all.at("ours");
    let (per_second, our_memory) = (ours.median("records_per_second")?, memory(&ours)?);
    let mut table = Table::new(&["", "records a second", "ratio", "memory, MB", "ratio"]);
    let shown = |memory: Option<f64>| memory.map_or("—".to_owned(), figure);
    let none = || "—".to_owned();
    table.row(["`monitor check`".to_owned(), ours.spread("records_per_second")?, none(), shown(our_memory), none()]);
    for (key, name) in BESIDE {
        let theirs = all.at(key);
        let (its_speed, its_memory) = (theirs.median("records_per_second")?, memory(&theirs)?);
        let less = our_memory.zip(its_memory).map_or_else(none, |(ours, its)| ratio(its / ours));
        let speed = theirs.spread("records_per_second")?;
        table.row([name.to_owned(), speed, ratio(per_second / its_speed), shown(its_memory), less]);
        headlines.push(Headline {
            what: "judging".to_owned(),
            ours: format!("{} records/s", figure(per_second)),
            instead: format!("{name}: {}", figure(its_speed)),
            ratio: per_second / its_speed,
            provisional: report.provisional(),
        });
    }
    let about = format!(
        "{} records ({} MB) as the server writes them, drawn from the bundle's profile; whole processes, in turn; runs: \
         {}. Beside `monitor check`: pandas {}, with its own reader in chunks or with PyArrow {}'s on all processors, and \
         scipy {} for the tests ([bench/pandas_check.py](../bench/pandas_check.py)). Counts, shares and the statistics of \
         all ten signals must be the same. `monitor check` does more: its thresholds are resampled at the window's length, \
         and it estimates the MCC with an interval.",
        count(all.number("records")?),
        figure(all.number("bytes")? / 1e6),
        all.number("repeat")?,
        all.text("versions.pandas")?,
        all.text("versions.pyarrow")?,
        all.text("versions.scipy")?,
    );
    Ok([paragraph(&about), table.to_string(), provenance(report, SPEED)].join("\n"))
}

fn judging(report: &Report) -> Result<String> {
    let all = report.figures();
    let levels = [all.number("settings.drift.warn_level")?, all.number("settings.drift.alert_level")?];
    let mut alarms = Table::new(&["windows", "reference", "records", "warning or alert", "alert"]);
    let mut trials = 0.0;
    for row in all.list("false_alarms")? {
        trials = row.number("alert.windows")?;
        let [either, alert] = [interval(&row.at("warn_or_alert"))?, interval(&row.at("alert"))?];
        let counts = [row.number("reference")?, row.number("records")?].map(count);
        alarms.row([row.text("windows")?.to_owned()].into_iter().chain(counts).chain([either, alert]));
    }
    let heads = ["change", "alert", "warning or alert", "without text signals", "median delay", "95 % within"];
    let (mut found, mut windows, mut records) = (Table::new(&heads), 0.0, 0.0);
    for row in all.list("detections")? {
        (windows, records) = (row.number("alert.windows")?, row.number("records")?);
        let shares = ["alert", "warn_or_alert", "alert_without_language_signals"].map(|key| {
            let share = row.at(key).number("share");
            share.map(whole_percent)
        });
        let delays = ["median", "p95"].map(|key| {
            let delay = row.at("records_until_alert");
            if delay.has(key) { delay.number(key).map(count) } else { Ok("—".to_owned()) }
        });
        let cells = shares.into_iter().chain(delays).collect::<Result<Vec<_>>>()?;
        found.row([row.text("change")?.to_owned()].into_iter().chain(cells));
    }
    let alarms_mean = format!(
        "The share of windows in which nothing has changed that do not end with `ok`, with 95 % intervals, {} windows \
         each. The levels that are set are {} for either and {} for an alert. Halves of *validation* are the honest \
         rows; windows drawn again from the profile itself flatter.",
        count(trials),
        percent(levels[0]),
        percent(levels[1]),
    );
    let found_means = format!(
        "The share of changed windows that were found, at {} records, {} windows each; *without text signals* is the \
         share of alerts if records lack the three that are computed from tokens. Delays are in records until the first \
         alert.",
        count(records),
        count(windows),
    );
    let parts = [
        "### False alarms\n".to_owned(),
        paragraph(&alarms_mean),
        alarms.to_string(),
        "### Detection\n".to_owned(),
        paragraph(&found_means),
        found.to_string(),
        provenance(report, JUDGING),
    ];
    Ok(parts.join("\n"))
}

/// `1.7 % (0.7 to 3.8)`
fn interval(share: &Figures<'_>) -> Result<String> {
    let [share, low, high] = [share.number("share")?, share.number("low")?, share.number("high")?];
    Ok(format!("{} ({:.1} to {:.1})", percent(share), 100.0 * low, 100.0 * high))
}
