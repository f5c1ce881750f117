//! Inference.

use std::path::Path;

use anyhow::Result;

use super::figures::{Figures, Report};
use super::format::{Table, figure, paragraph, ratio};
use super::{Headline, Section, not_measured, provenance};

const COMMAND: &str = "cargo xtask bench infer";

/// A measure: its key, what it is, its unit, what a figure of the file is multiplied by, and whether more is better.
struct Measure {
    key: &'static str,
    title: &'static str,
    short: &'static str,
    unit: &'static str,
    scale: f64,
    more_is_better: bool,
}

const MEASURES: [Measure; 4] = [
    Measure {
        key: "single_p50_us",
        title: "One sentence, from text to probabilities, median, in ms",
        short: "one sentence",
        unit: "ms",
        scale: 1e-3,
        more_is_better: false,
    },
    Measure {
        key: "batched_sentences_per_second",
        title: "All sentences in batches of like length, sentences a second",
        short: "many sentences",
        unit: "sentences/s",
        scale: 1.0,
        more_is_better: true,
    },
    Measure {
        key: "process_ms",
        title: "A process from its start to its end, one sentence predicted between, in ms",
        short: "process with one sentence",
        unit: "ms",
        scale: 1.0,
        more_is_better: false,
    },
    Measure {
        key: "peak_memory_mb",
        title: "The most memory, in MB",
        short: "memory",
        unit: "MB",
        scale: 1.0,
        more_is_better: false,
    },
];

pub(super) fn section(root: &Path) -> Result<Section> {
    let title = "Inference";
    let Some(report) = Report::read(root, "infer", COMMAND)? else { return Ok(not_measured(title, COMMAND)) };
    let all = report.figures();
    let rows = all.list("rows")?;
    let instructions = rows.first().map_or(Ok("unknown"), |row| row.text("ours.instructions"))?;
    // Files from before this was recorded do not say.
    let version = rows.iter().find_map(|row| row.text("same_file.onnxruntime").ok()).unwrap_or_default();
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    let mut parts = vec![paragraph(&format!(
        "The sentences of *validation*, about 11 tokens each, tokenised and predicted: the project's engine \
         ([how it works](inference.md)), with the instructions `{instructions}`, beside tokenizers and ONNX \
         Runtime{version} in Python ([bench/ort_infer.py](../bench/ort_infer.py)), on the same file and, for int8, on ONNX Runtime's own \
         quantisation of the fp32 model. Each side runs in a process of its own, in turn; threads: {}, runs: {}. Models \
         other than the bundle have random weights.",
        all.number("threads")?,
        all.number("repeat")?
    ))];
    let mut headlines = Vec::new();
    for measure in &MEASURES {
        let own_place = format!("own_int8.{}", measure.key);
        let has_own = rows.iter().any(|row| row.has(&own_place));
        let heads = ["model", "ours", "ONNX Runtime, same file", "ratio", "its own int8", "ratio"];
        let mut table = Table::new(if has_own { &heads } else { &heads[..4] });
        for row in &rows {
            let name = format!("{}, {}", model(row.text("model")?), row.text("precision")?);
            let ours = median(row, "ours", measure)?;
            let same = median(row, "same_file", measure)?;
            let beside = measure.ratio(ours, same);
            let mut cells = vec![name.clone(), figure(ours), figure(same), ratio(beside)];
            cells.extend(if row.has(&own_place) {
                let own = median(row, "own_int8", measure)?;
                [figure(own), ratio(measure.ratio(ours, own))]
            } else {
                ["—", "—"].map(str::to_owned)
            });
            table.row(cells);
            // What is served is the bundle in 8 bits.
            if row.text("model")? == "bundle" && row.text("precision")? == "int8" {
                headlines.push(Headline {
                    what: format!("{name}: {}", measure.short),
                    ours: format!("{} {}", figure(ours), measure.unit),
                    instead: format!("ONNX Runtime: {}", figure(same)),
                    ratio: beside,
                    provisional: report.provisional(),
                });
            }
        }
        parts.push(format!("{}:\n\n{table}", measure.title));
    }
    parts.push(provenance(&report, COMMAND));
    Ok(Section { title, body: parts.join("\n"), headlines })
}

impl Measure {
    fn ratio(&self, ours: f64, theirs: f64) -> f64 {
        if self.more_is_better { ours / theirs } else { theirs / ours }
    }
}

fn median(row: &Figures<'_>, side: &str, measure: &Measure) -> Result<f64> {
    Ok(row.at(side).median(measure.key)? * measure.scale)
}

fn model(name: &str) -> String {
    match name.split_once('x') {
        Some((layers, width)) => format!("{layers} layers × {width}"),
        None => format!("the {name}"),
    }
}
