//! The page about many runs: a table, and parallel coordinates.

use maud::{Markup, html};
use serde_json::Value;

use crate::chart::{Parallel, parallel};
use crate::number::{count, measure, three, value};
use crate::shell::{Section, page};
use crate::sweep::{Row, Sweep};

/// The page, whole.
pub fn sweep_page(sweep: &Sweep) -> String {
    let sections = [
        Section { id: "runs", title: "The runs", body: table(sweep) },
        Section { id: "coordinates", title: "Parallel coordinates", body: coordinates(sweep) },
    ];
    let best = &sweep.rows[0];
    let lead = html! {
        p class="kind" { "Wellformed: a sweep" }
        h1 { (count(sweep.rows.len() as u64)) " runs by " (sweep.by) }
        p class="where" { "Best: " strong { (best.name) } " with " (measure(best.number(&sweep.by))) ". " (settings(best, sweep)) }
        @if !sweep.by.starts_with("tune") {
            p class="notice" {
                "These runs are ordered by " (sweep.by) ". Whoever chooses by anything but tune has spent it: its "
                "figures are no longer an honest test."
            }
        }
        @if !sweep.unfinished.is_empty() {
            p class="notice" { "Without a result, and not shown: " (sweep.unfinished.join(", ")) "." }
        }
    };
    page(&format!("Wellformed: {} runs by {}", sweep.rows.len(), sweep.by), &lead, &sections)
}

fn settings(row: &Row, sweep: &Sweep) -> String {
    let each: Vec<String> = sweep.varied.iter().map(|key| format!("{key} {}", cell(row.parameters.get(key)))).collect();
    each.join(", ")
}

fn cell(one: Option<&Value>) -> String {
    one.map_or_else(|| "–".to_owned(), value)
}

/// The table as Markdown, for a terminal.
pub fn sweep_markdown(sweep: &Sweep) -> String {
    let metrics = sweep.metrics();
    let header: Vec<&str> =
        std::iter::once("run").chain(sweep.varied.iter().chain(&metrics).map(String::as_str)).collect();
    let mut rows = vec![header.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>()];
    for row in &sweep.rows {
        let parameters = sweep.varied.iter().map(|key| cell(row.parameters.get(key)));
        let numbers = metrics.iter().map(|name| measure(row.number(name)));
        rows.push(std::iter::once(row.name.clone()).chain(parameters).chain(numbers).collect());
    }
    let widths: Vec<usize> =
        (0..header.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).max(3)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut lines = vec![line(&rows[0]), format!("| {} |", rule.join(" | "))];
    lines.extend(rows[1..].iter().map(line));
    lines.join("\n")
}

fn table(sweep: &Sweep) -> Markup {
    let metrics = sweep.metrics();
    html! {
        p class="text" {
            "The best first. A commit stands under the name of its branch, an experiment under its own: "
            code { "dvc exp apply NAME" } " brings one into the workspace."
            @if sweep.varied.is_empty() { " No parameter differs among these runs." }
        }
        div class="scroll" role="region" tabindex="0" aria-label="The runs" {
            table {
                thead { tr {
                    th scope="col" { "run" }
                    @for key in &sweep.varied { th scope="col" { (key) } }
                    @for name in &metrics { th scope="col" { (name) } }
                } }
                tbody {
                    @for (at, row) in sweep.rows.iter().enumerate() {
                        tr class=[(at == 0).then_some("marked")] {
                            th scope="row" { (row.name) @if row.is_commit { span class="soft" { ", a commit" } } }
                            @for key in &sweep.varied { td { (cell(row.parameters.get(key))) } }
                            @for name in &metrics { td { (measure(row.number(name))) } }
                        }
                    }
                }
            }
        }
    }
}

fn coordinates(sweep: &Sweep) -> Markup {
    let mut axes: Vec<Parallel> = sweep
        .varied
        .iter()
        .map(|key| axis(key, &sweep.rows.iter().map(|row| row.parameters.get(key)).collect::<Vec<_>>(), false))
        .collect();
    let mut metrics = sweep.metrics();
    metrics.truncate(4);
    // The metric that is chosen by stands last, where the eye ends.
    metrics.reverse();
    for name in &metrics {
        let numbers: Vec<Option<Value>> = sweep.rows.iter().map(|row| row.number(name).map(Value::from)).collect();
        axes.push(axis(name, &numbers.iter().map(Option::as_ref).collect::<Vec<_>>(), true));
    }
    let last = sweep.rows.len().max(2) - 1;
    let strengths: Vec<f64> = (0..sweep.rows.len()).map(|at| 1.0 - at as f64 / last as f64).collect();
    let titles: Vec<String> = sweep
        .rows
        .iter()
        .map(|row| format!("{}: {}; {} {}", row.name, settings(row, sweep), sweep.by, measure(row.number(&sweep.by))))
        .collect();
    html! {
        p class="text" {
            "A line is a run, from its parameters on the left to its metrics on the right. The heavy one is the best; "
            "the others fade with their rank. Point at a line for its name."
        }
        div class="scroll" role="region" tabindex="0" aria-label="Parallel coordinates; the table above has the numbers" {
            (parallel(&axes, &strengths, &titles, "Parallel coordinates of all runs; the table above has the numbers"))
        }
    }
}

/// Where each value lies: numbers on a scale, which is logarithmic for parameters that span a factor of four or more;
/// names in steps.
fn axis(label: &str, values: &[Option<&Value>], is_metric: bool) -> Parallel {
    let numbers: Option<Vec<Option<f64>>> = values
        .iter()
        .map(|one| match one {
            None => Some(None),
            Some(value) => value.as_f64().map(Some),
        })
        .collect();
    let Some(numbers) = numbers else { return named(label, values) };
    let mut distinct: Vec<f64> = numbers.iter().flatten().copied().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let (Some(&low), Some(&high)) = (distinct.first(), distinct.last()) else { return named(label, values) };
    let is_logarithmic = !is_metric && low > 0.0 && high / low >= 4.0;
    let scaled = |one: f64| if is_logarithmic { one.ln() } else { one };
    let place = |one: f64| if high > low { (scaled(one) - scaled(low)) / (scaled(high) - scaled(low)) } else { 0.5 };
    if is_metric || distinct.len() > 6 {
        distinct = if high > low { vec![low, high] } else { vec![low] };
    }
    let text = |one: f64| {
        if is_metric { three(one) } else { value(&Value::from(one)).trim_end_matches(".0").to_owned() }
    };
    Parallel {
        label: label.to_owned(),
        places: numbers.iter().map(|one| one.map(place)).collect(),
        ticks: distinct.into_iter().map(|one| (place(one), text(one))).collect(),
    }
}

fn named(label: &str, values: &[Option<&Value>]) -> Parallel {
    let mut names: Vec<String> = values.iter().flatten().map(|one| value(one)).collect();
    names.sort();
    names.dedup();
    let last = names.len().max(2) - 1;
    let place = |name: &str| names.iter().position(|one| one == name).map(|at| at as f64 / last as f64);
    Parallel {
        label: label.to_owned(),
        places: values.iter().map(|one| one.and_then(|one| place(&value(one)))).collect(),
        ticks: names.iter().enumerate().map(|(at, name)| (at as f64 / last as f64, name.clone())).collect(),
    }
}
