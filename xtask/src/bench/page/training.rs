//! Training.

use std::path::Path;

use anyhow::Result;

use super::figures::Report;
use super::format::{Table, count, figure, paragraph, ratio};
use super::{Headline, Section, not_measured, provenance};

const COMMAND: &str = "cargo xtask bench train";

/// A figure and its ratio that are not there.
const NOTHING: [&str; 2] = ["—", "—"];

pub(super) fn section(root: &Path) -> Result<Section> {
    let title = "Training";
    let Some(report) = Report::read(root, "train", COMMAND)? else { return Ok(not_measured(title, COMMAND)) };
    let all = report.figures();
    let mut speed = Table::new(&["model", "ours", "PyTorch", "ratio", "PyTorch, padded", "ratio"]);
    let mut rounded = Table::new(&["model", "ours, bf16", "PyTorch, autocast", "ratio", "over PyTorch in 32 bits"]);
    let mut other = Table::new(&["model", "memory, ours", "PyTorch", "ratio", "last loss, ours", "PyTorch"]);
    let mut headlines = Vec::new();
    for shape in all.list("shapes")? {
        let name = model(shape.text("shape")?, shape.text("weights")?);
        let [ours, theirs] = [shape.at("ours"), shape.at("pytorch")];
        let (first, second) = (ours.median("sentences_per_second")?, theirs.median("sentences_per_second")?);
        let padded = if shape.has("pytorch_padded") {
            let padded = shape.at("pytorch_padded");
            let speed = "sentences_per_second";
            [padded.spread(speed)?, ratio(first / padded.median(speed)?)]
        } else {
            NOTHING.map(str::to_owned)
        };
        let spreads = [ours.spread("sentences_per_second")?, theirs.spread("sentences_per_second")?];
        speed.row([name.clone()].into_iter().chain(spreads).chain([ratio(first / second)]).chain(padded));
        let memory = if ours.has("peak_memory_mb") && theirs.has("peak_memory_mb") {
            let (a, b) = (ours.median("peak_memory_mb")?, theirs.median("peak_memory_mb")?);
            [format!("{} MB", figure(a)), format!("{} MB", figure(b)), ratio(b / a)]
        } else {
            ["—", "—", "—"].map(str::to_owned)
        };
        let losses = [ours.number("last_loss")?, theirs.number("last_loss")?].map(|loss| format!("{loss:.3}"));
        other.row([name.clone()].into_iter().chain(memory).chain(losses));
        headlines.push(Headline {
            what: name.clone(),
            ours: format!("{} sentences/s", figure(first)),
            instead: format!("PyTorch: {}", figure(second)),
            ratio: first / second,
            provisional: report.provisional(),
        });
        if shape.has("ours_bf16") && shape.has("pytorch_bf16") {
            let [ours, theirs] = [shape.at("ours_bf16"), shape.at("pytorch_bf16")];
            let (fast, other) = (ours.median("sentences_per_second")?, theirs.median("sentences_per_second")?);
            let spreads = [ours.spread("sentences_per_second")?, theirs.spread("sentences_per_second")?];
            let ratios = [ratio(fast / other), ratio(fast / second)];
            rounded.row([name.clone()].into_iter().chain(spreads).chain(ratios));
            headlines.push(Headline {
                what: format!("{name}, bf16"),
                ours: format!("{} sentences/s", figure(fast)),
                instead: format!("PyTorch, autocast: {}", figure(other)),
                ratio: fast / other,
                provisional: report.provisional(),
            });
        }
    }
    let (sentences, tokens) = (all.number("sentences")?, all.number("tokens")?);
    let (batch, batches) = (all.number("batch")?, (sentences / all.number("batch")?).ceil());
    let same_batches = if batches <= 50.0 {
        "sorted by length as one, so that batches are as long on both sides"
    } else {
        "sorted by length in windows of 50 batches on both sides"
    };
    let about = format!(
        "Sentences trained on in a second: forward, backward, and AdamW, in 32 bits on the processor. Beside `train` with \
         Burn {} on the device `flex`: PyTorch {} with transformers {} ([bench/torch_train.py](../bench/torch_train.py)); \
         and the same PyTorch with every batch padded to {} tokens, as scripts do that pad to the maximum.",
        all.text("versions.burn")?,
        all.text("versions.torch")?,
        all.text("versions.transformers")?,
        all.number("padded_to")?,
    );
    let padding = "The third side shows what padding costs, whoever computes: PyTorch without it is the one to beat.";
    let precision = "In mixed precision the matrix products of the layers take numbers rounded to bfloat16 \
                     (`train.precision: bf16`, the default): ours round in these products alone, and autocast keeps what \
                     they return in 16 bits as well. What that gains depends on the processor: half as much again on \
                     AMD's with AVX-512 BF16 and six layers × 384, seven tenths on Intel's with AMX, which PyTorch uses \
                     as well.";
    let equal = format!(
        "*Equal on both sides:* {} sentences drawn from *train* ({} tokens, {} a sentence, {} the longest) and their \
         tokens; batches of {batch}, {same_batches}; the architecture, and the base model's weights, or random ones where \
         the model says so; the pooler over `[CLS]` and a linear classifier; dropout of 0.1 in the three places where \
         BERT has it; AdamW with a decay of 0.01 for matrices, learning rate 5·10⁻⁵, 6 % warm-up and linear decay; \
         gradients clipped to norm 1; threads: {}. *Different:* the random numbers; and ours packs sentences without \
         padding, where PyTorch pads to the longest of a batch. *Timed* is the training part of epochs after the first, \
         without tokenising, evaluation and checkpoints; runs of each side: {}, of {} epochs; the padded side has {} \
         batches an epoch, all of one width.",
        count(sentences),
        count(tokens),
        figure(tokens / sentences),
        all.number("longest")?,
        all.number("threads")?,
        all.number("repeat")?,
        all.number("epochs")?,
        all.number("padded_batches")?,
    );
    let memory = "Memory is the most of the whole process, with PyTorch's ordinary wheel, which brings its CUDA libraries. \
                  The mean loss of the last epoch is a sign that both sides train alike; it cannot be the same, since \
                  dropout and the classifier's first weights differ.";
    let body = [
        paragraph(&about),
        speed.to_string(),
        paragraph(padding),
        if rounded.is_empty() { String::new() } else { format!("{rounded}\n{}", paragraph(precision)) },
        paragraph(&equal),
        other.to_string(),
        paragraph(memory),
        provenance(&report, COMMAND),
    ];
    let body = body.join("\n");
    Ok(Section { title, body, headlines })
}

fn model(shape: &str, weights: &str) -> String {
    let (layers, width) = shape.split_once('x').unwrap_or((shape, "?"));
    let random = if weights == "random" { ", random weights" } else { "" };
    format!("{layers} layers × {width}{random}")
}
