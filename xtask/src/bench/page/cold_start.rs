//! Cold start, and the size of the image that starts: measured in one go.

use std::path::Path;

use anyhow::Result;

use super::figures::Report;
use super::format::{Table, figure, paragraph, ratio};
use super::{Headline, Section, not_measured, provenance};

const COMMAND: &str = "cargo xtask bench cold-start";

/// What is measured of a start, and what it is called.
const ROWS: [(&str, &str); 3] = [
    ("ready_ms", "ready for the first event, ms"),
    ("first_answer_ms", "first answer, ms"),
    ("warm_ms", "later answers, ms"),
];

pub(super) fn sections(root: &Path) -> Result<[Section; 2]> {
    let titles = ["Cold start", "Image size"];
    let Some(report) = Report::read(root, "cold_start", COMMAND)? else {
        return Ok(titles.map(|title| not_measured(title, COMMAND)));
    };
    let all = report.figures();
    let [ours, theirs] = [all.at("ours"), all.at("python_onnxruntime")];
    let mut starts = Table::new(&["", "ours", "Python, ONNX Runtime", "ratio"]);
    for (key, what) in ROWS {
        let beside = theirs.median(key)? / ours.median(key)?;
        starts.row([what.to_owned(), ours.spread(key)?, theirs.spread(key)?, ratio(beside)]);
    }
    let memory = [ours.number("peak_memory_mb")?, theirs.number("peak_memory_mb")?];
    starts.row(["most memory, MB".to_owned(), figure(memory[0]), figure(memory[1]), ratio(memory[1] / memory[0])]);
    let first = [ours.median("first_answer_ms")?, theirs.median("first_answer_ms")?];
    let about = format!(
        "AWS Lambda's image from the moment that its finished container lets the program go, under a Runtime API, with \
         {} MB of memory and {} of a processor; starts of each side: {}, in turn. Beside it the same bundle with Python \
         and ONNX Runtime, one thread ([bench/lambda_handler.py](../bench/lambda_handler.py)), in an image of its own. \
         Before they are timed, both must give the same answer. [What the limits are, and what is not \
         imitated](image.md#checking).",
        all.number("memory_mb")?,
        all.number("cpus")?,
        ours.number("starts")?,
    );
    let body = [paragraph(&about), starts.to_string(), provenance(&report, COMMAND)].join("\n");
    let start = Section {
        title: titles[0],
        body,
        headlines: vec![Headline {
            what: "first answer".to_owned(),
            ours: format!("{} ms", figure(first[0])),
            instead: format!("Python, ONNX Runtime: {}", figure(first[1])),
            ratio: first[1] / first[0],
            provisional: report.provisional(),
        }],
    };

    let bytes = [ours.number("image_bytes")?, theirs.number("image_bytes")?].map(|bytes| bytes / 1e6);
    let mut sizes = Table::new(&["", "ours", "Python, ONNX Runtime", "ratio"]);
    sizes.row(["packed, MB".to_owned(), figure(bytes[0]), figure(bytes[1]), ratio(bytes[1] / bytes[0])]);
    let about = "What has to be downloaded of each of these two images: all blobs of its OCI layout, compressed, in MB of \
                 10⁶ bytes. Both hold the model in the precision that is served, and no other.";
    let size = Section {
        title: titles[1],
        body: [paragraph(about), sizes.to_string(), provenance(&report, COMMAND)].join("\n"),
        headlines: vec![Headline {
            what: "packed".to_owned(),
            ours: format!("{} MB", figure(bytes[0])),
            instead: format!("Python, ONNX Runtime: {}", figure(bytes[1])),
            ratio: bytes[1] / bytes[0],
            // A size does not depend on what else goes on.
            provisional: false,
        }],
    };
    Ok([start, size])
}
