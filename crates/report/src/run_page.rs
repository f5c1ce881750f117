//! The page about one run.

use maud::{Markup, html};
use wellformed_core::bundle::Manifest;
use wellformed_metrics::Confusion;

use crate::chart::{Series, interval};
use crate::figures::{self, Figure, table};
use crate::number::{bytes, count, measure, percent, three, value};
use crate::parameters::{Flat, flatten};
use crate::run::{GroupRow, MEASURES, Run, WrongRow};
use crate::shell::{Example, Section, examples, notice, page};
use crate::significance::wilson;

/// Wrong predictions on the page; the most confident come first, and a browser has its limits.
const MOST_EXAMPLES: usize = 2_000;

/// The page, whole.
pub fn run_page(run: &Run, wrong: &[WrongRow]) -> String {
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut figures = |figures: Vec<Option<Figure>>| -> Markup {
        let figures: Vec<Markup> = figures.into_iter().flatten().map(|figure| figure.markup(next())).collect();
        html! { @for figure in &figures { (figure) } }
    };
    let one = [(run, Series::First)];
    let learning = figures(vec![
        figures::loss_by_epoch(run),
        figures::mcc_by_epoch(&one),
        figures::loss_by_step(&one),
        figures::gradient_by_step(&one),
    ]);
    let curves = figures(vec![figures::roc(&one), figures::precision_recall(&one), figures::reliability(&one)]);
    let lengths = figures(vec![figures::lengths(run)]);
    let mut sections = vec![
        Section { id: "score", title: "The score", body: score(run) },
        Section {
            id: "training",
            title: "Training",
            body: html! { (training(run)) div class="figures" { (learning) } },
        },
        Section {
            id: "decisions",
            title: "Decisions and probabilities",
            body: html! {
                (decisions(run))
                div class="figures" {
                    @if let Some(confusion) = &run.confusion { (confusion_table(confusion)) }
                    (curves)
                }
            },
        },
        Section { id: "groups", title: "By source and by phenomenon", body: groups(run) },
        Section { id: "wrong", title: "Wrong predictions", body: wrong_predictions(wrong) },
        Section { id: "data", title: "Data", body: html! { (data(run)) div class="figures" { (lengths) } } },
        Section { id: "parameters", title: "Parameters", body: parameters(run) },
    ];
    if run.manifest.is_some() || !run.export.is_empty() {
        sections.push(Section { id: "bundle", title: "Bundle", body: bundle(run) });
    }
    if !run.benchmarks.is_empty() {
        sections.push(Section { id: "speed", title: "Speed", body: benchmarks(run) });
    }
    sections.push(Section { id: "provenance", title: "Provenance", body: provenance(run) });
    let what = title(run);
    let lead = html! {
        p class="kind" { "Wellformed: report of a run" }
        h1 { (what) }
        p class="where" { (place(run)) }
        @for text in notices(run) { (notice(&html! { (text) })) }
    };
    page(&format!("Wellformed: {what}"), &lead, &sections)
}

/// The base model and the corpus.
pub fn title(run: &Run) -> String {
    let layers = run.parameter("model.layers");
    let layers = match layers.as_str() {
        "" | "0" => String::new(),
        "1" => ", first layer".to_owned(),
        some => format!(", first {some} layers"),
    };
    format!("{}{layers}, on {}", run.base_model(), run.corpus())
}

fn place(run: &Run) -> String {
    let provenance = &run.provenance;
    let Some(commit) = &provenance.commit else { return "outside a git repository".to_owned() };
    let date = provenance.committed_at.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
    let changed = match provenance.uncommitted.len() {
        0 => String::new(),
        1 => ", 1 file changed since".to_owned(),
        n => format!(", {n} files changed since"),
    };
    format!("Commit {}{date}{changed}", &commit[..commit.len().min(7)])
}

/// What the reader should know first.
pub fn notices(run: &Run) -> Vec<String> {
    let mut notices = Vec::new();
    if run.parameter("data.source") == "starter" {
        notices.push(
            "This run is on the starter corpus, which the project generates itself. Its figures say nothing about CoLA."
                .to_owned(),
        );
    }
    if !run.stale.is_empty() {
        notices.push(format!(
            "params.yaml has been changed since this run: {}. The page shows what the run was made with. `cargo xtask \
             repro` makes a run of the new values.",
            run.stale.join(", ")
        ));
    }
    if !run.foreign.is_empty() {
        notices.push(format!(
            "These reports are not the ones that dvc.lock records: {}. They were edited, or a run was interrupted.",
            run.foreign.join(", ")
        ));
    }
    notices
}

fn score(run: &Run) -> Markup {
    let Some(validation) = &run.metrics.validation else {
        return html! { p class="text" { "There is no reports/eval/metrics.json yet: run `cargo xtask repro` first." } };
    };
    let coverage = run.values.get("eval.confidence").and_then(serde_json::Value::as_f64).unwrap_or(0.95);
    let always = figures::acceptable_share(run);
    let parts = run.metrics.parts();
    let ends = parts.iter().flat_map(|(_, part)| [part.mcc_low, part.mcc_high, part.mcc]).flatten();
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    let scale = ((low * 10.0).floor() / 10.0, ((high * 10.0).ceil() / 10.0).max(0.1));
    html! {
        div class="headline" {
            div class="score" {
                p class="big" { (measure(validation.mcc)) }
                p class="what" { "MCC on validation" }
                p class="more" {
                    @if let (Some(low), Some(high)) = (validation.mcc_low, validation.mcc_high) {
                        (percent(coverage)) " interval " (three(low)) " to " (three(high)) ", over "
                        (count(validation.sentences)) " sentences. "
                    }
                    "0 is guessing, 1 is always right."
                }
                p class="more" {
                    "Accuracy " (measure(validation.accuracy)) "."
                    @if let Some(share) = always {
                        " Always answering “acceptable” would have " (three(share.max(1.0 - share))) " and an MCC of 0."
                    }
                }
            }
            div class="scroll" role="region" tabindex="0" aria-label="MCC of each part" {
                table {
                    thead { tr {
                        th scope="col" { "part" } th scope="col" class="optional" { "sentences" } th scope="col" { "accuracy" }
                        th scope="col" { "MCC" } th scope="col" class="optional" { "interval" }
                        th scope="col" { (scale.0) " to " (scale.1) }
                    } }
                    tbody {
                        @for (name, part) in &parts {
                            tr {
                                th scope="row" { (name) @if *name == "tune" { span class="soft" { ", chosen on" } } }
                                td class="optional" { (count(part.sentences)) }
                                td { (measure(part.accuracy)) }
                                td { (measure(part.mcc)) }
                                td class="nowrap optional" { (measure(part.mcc_low)) " to " (measure(part.mcc_high)) }
                                td {
                                    @if let (Some(mcc), Some(low), Some(high)) = (part.mcc, part.mcc_low, part.mcc_high) {
                                        (interval(mcc, low, high, scale, validation.mcc, &format!("{name}: {}", three(mcc))))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        h3 { "Every measure" }
        (measures(run))
        p class="text soft" {
            "The best epoch and the temperature were chosen on " em { "tune" } ", which flatters it; nothing was chosen on "
            em { "validation" } ". "
            em { "In domain" } " are its sentences from publications that the training set draws on as well."
            @if let Some(part) = &run.metrics.validation && let Some(error) = part.ece_by_chance {
                " If the probabilities were exactly right, chance alone would make the calibration error on "
                em { "validation" } " " (three(error))
                @if let Some(p) = part.ece_p_value {
                    " on average, and as large as it is with a probability of " (three(p))
                }
                "."
                @if let Some(error) = part.ece_15_bins {
                    " Counted in 15 bins between 0 and 1, as in most publications, the calibration error is " (three(error)) "."
                }
            }
        }
    }
}

fn measures(run: &Run) -> Markup {
    let parts = run.metrics.parts();
    let header: Vec<String> =
        std::iter::once("measure").chain(parts.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let mut rows = Vec::new();
    for one in &MEASURES {
        let cells = parts.iter().map(|(_, part)| measure((one.of)(part)));
        let better = if one.higher_is_better { "" } else { " (lower is better)" };
        rows.push(std::iter::once(format!("{}{better}", one.name)).chain(cells).collect());
    }
    html! { div class="narrow" { (table("Every measure of every part", &header, &rows)) } }
}

fn training(run: &Run) -> Markup {
    html! {
        @if let Some(training) = &run.training {
            p class="text" {
                (training.beforehand()) (count(training.epochs)) " epochs of " (count(training.sentences)) " sentences, "
                (count(training.steps)) " steps, which trained "
                @if training.trained_parameters == training.parameters {
                    "all"
                } @else {
                    (count(training.trained_parameters)) " of"
                }
                " " (count(training.parameters)) " parameters. "
                "Epoch " (training.best_epoch) " was kept: the best on tune by "
                (run.parameter("train.select_by").replace("mcc", "MCC")) ". "
                (training.beside_labels())
            }
        }
    }
}

fn confusion_table(confusion: &Confusion) -> Markup {
    let cell = |value: u64, of: u64, is_right: bool, words: &str| {
        let share = if of == 0 { 0.0 } else { value as f64 / of as f64 };
        html! {
            td class=(if is_right { "right" } else { "wrong" }) style={ "--share:" (format!("{share:.3}")) } {
                b { (count(value)) }
                span { (percent(share)) " " (words) }
            }
        }
    };
    let bad = confusion.true_negative + confusion.false_positive;
    let good = confusion.false_negative + confusion.true_positive;
    html! {
        div class="panel" {
            h3 { "What the linguist said, and what the model says, on validation" }
            div class="scroll" role="region" tabindex="0" aria-label="Confusion matrix" {
                table class="confusion" {
                    thead { tr {
                        th scope="col" { span class="soft" { "linguist ↓ model →" } }
                        th scope="col" { "unacceptable" } th scope="col" { "acceptable" }
                    } }
                    tbody {
                        tr {
                            th scope="row" { "unacceptable" br; span class="soft" { (count(bad)) } }
                            (cell(confusion.true_negative, bad, true, "found"))
                            (cell(confusion.false_positive, bad, false, "let through"))
                        }
                        tr {
                            th scope="row" { "acceptable" br; span class="soft" { (count(good)) } }
                            (cell(confusion.false_negative, good, false, "rejected"))
                            (cell(confusion.true_positive, good, true, "accepted"))
                        }
                    }
                }
            }
            p class="soft" {
                "Precision of “unacceptable” " (measure(Some(confusion.class(false).precision))) ", of “acceptable” "
                (measure(Some(confusion.class(true).precision))) "."
            }
        }
    }
}

fn decisions(run: &Run) -> Markup {
    html! {
        @if let Some(calibration) = &run.calibration {
            p class="text" {
                @if calibration.fitted {
                    "Logits are divided by a temperature of " (three(calibration.temperature))
                    ", fitted on tune, before they become probabilities. It changes no decision. "
                } @else {
                    "No temperature was fitted. "
                }
                "A sentence is acceptable when its probability is above " (calibration.threshold) "."
            }
        }
    }
}

fn groups(run: &Run) -> Markup {
    let validation = run.metrics.validation.as_ref().and_then(|part| part.accuracy);
    let phenomena = run.metrics.phenomena.as_ref().and_then(|part| part.accuracy);
    html! {
        p class="text" {
            "The line through a dot is the accuracy’s 95 % interval (Wilson’s). A handful of sentences says little. "
            "Dashed: the accuracy over all."
        }
        div class="columns" {
            @if !run.by_source.is_empty() {
                div {
                    h3 { "Sources of validation" }
                    (group_table("source", &run.by_source, validation, true))
                }
            }
            @if !run.by_phenomenon.is_empty() {
                div {
                    h3 { "Phenomena: minimal pairs that the project generates" }
                    (group_table("phenomenon", &run.by_phenomenon, phenomena, false))
                    p class="text soft" {
                        "Half of each are unacceptable, so 0.5 is guessing."
                        (run.taught_phenomena())
                    }
                }
            }
        }
    }
}

fn group_table(kind: &str, rows: &[GroupRow], overall: Option<f64>, has_mcc: bool) -> Markup {
    html! {
        div class="scroll" role="region" tabindex="0" aria-label={ "Accuracy by " (kind) } {
            table {
                thead { tr {
                    th scope="col" { (kind) } th scope="col" { "sentences" } th scope="col" { "accuracy" }
                    @if has_mcc { th scope="col" { "MCC" } }
                    th scope="col" { "0 to 1" }
                } }
                tbody {
                    @for row in rows {
                        @let range = wilson(row.right(), row.sentences);
                        @let words = format!("{}: {} of {} right, interval {} to {}", row.name, row.right(), row.sentences, three(range.low), three(range.high));
                        tr {
                            th scope="row" { (row.name.replace('_', if kind == "source" { "_" } else { " " })) }
                            td { (count(row.sentences)) }
                            td { (three(row.accuracy)) }
                            @if has_mcc { td { (measure(row.mcc)) } }
                            td { (interval(row.accuracy, range.low, range.high, (0.0, 1.0), overall, &words)) }
                        }
                    }
                }
            }
        }
    }
}

fn wrong_predictions(wrong: &[WrongRow]) -> Markup {
    if wrong.is_empty() {
        return html! {
            p class="text" {
                "There is no data/eval/wrong.csv, or nothing was wrong. `cargo xtask repro` or `dvc pull` brings it."
            }
        };
    }
    let list: Vec<Example<'_>> = wrong
        .iter()
        .take(MOST_EXAMPLES)
        .map(|row| {
            let confidence = row.p_acceptable.max(1.0 - row.p_acceptable);
            Example {
                id: &row.id,
                sentence: &row.sentence,
                label: &row.label,
                source: &row.source,
                domain: &row.domain,
                verdict: format!("model: {}, {}", row.predicted, percent(confidence)),
                confidence: Some(confidence),
            }
        })
        .collect();
    html! {
        p class="text" {
            (count(wrong.len() as u64)) " sentences of validation, the most confident mistakes first. A star is the "
            "linguist’s: the sentence is unacceptable. "
            @if wrong.len() > MOST_EXAMPLES { "The first " (count(MOST_EXAMPLES as u64)) " are shown. " }
            "The sentences belong to their publishers: this page is for you, not for publication."
        }
        (examples("wrong", &list))
    }
}

fn data(run: &Run) -> Markup {
    let Some(prepared) = &run.prepared else {
        return html! { p class="text" { "There is no reports/prepare/metrics.json." } };
    };
    let header = ["part", "sentences", "acceptable", "tokens, mean", "tokens, most", "cut", "unknown tokens"];
    let header: Vec<String> = header.map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for split in ["train", "tune", "validation", "phenomena"] {
        let part = &prepared[split];
        let Some(sentences) = part["sentences"].as_u64() else { continue };
        rows.push(vec![
            split.to_owned(),
            count(sentences),
            part["acceptable"].as_f64().map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share)),
            part["mean_tokens"].as_f64().map_or_else(String::new, |mean| format!("{mean:.1}")),
            part["max_tokens"].to_string(),
            part["truncated"].to_string(),
            part["unknown_rate"].as_f64().map_or_else(String::new, |rate| format!("{:.2} %", 100.0 * rate)),
        ]);
    }
    let words = |group: &str, key: &str| prepared[group][key].as_u64().unwrap_or(0);
    html! {
        div class="narrow" { (table("Parts of the corpus", &header, &rows)) }
        p class="text" {
            (words("duplicates", "removed")) " duplicates were removed, and "
            (words("leakage", "removed_for_validation") + words("leakage", "removed_for_phenomena"))
            " sentences of train that stand in validation or the check list as well."
        }
    }
}

fn parameters(run: &Run) -> Markup {
    let whole: Vec<&str> =
        run.presets.iter().filter(|preset| preset.in_force == preset.keys).map(|preset| preset.name.as_str()).collect();
    let changed = run.parameters.iter().filter(|one| one.committed.is_some()).count();
    html! {
        p class="text" {
            "What the run was made with. "
            @match whole[..] {
                [] => { "No preset is in force whole. " }
                _ => { "Presets in force whole: " (whole.join(", ")) ". " }
            }
            @match changed {
                0 => { "Everything is as the last commit has it." }
                1 => { "One value is not as the last commit has it; it is marked." }
                n => { (n) " values are not as the last commit has them; they are marked." }
            }
        }
        div class="scroll" role="region" tabindex="0" aria-label="Parameters" {
            table {
                thead { tr {
                    th scope="col" { "parameter" } th scope="col" class="words" { "value" }
                    th scope="col" class="words" { "meaning" }
                } }
                tbody {
                    @for one in &run.parameters {
                        tr class=[one.committed.as_ref().map(|_| "marked")] {
                            th scope="row" { code { (one.key) } }
                            td class="words" {
                                (value(&one.value))
                                @if let Some(committed) = &one.committed {
                                    span class="soft" { " (committed: " (value(committed)) ")" }
                                }
                            }
                            td class="words soft" { (one.meaning) }
                        }
                    }
                }
            }
        }
    }
}

fn bundle(run: &Run) -> Markup {
    html! {
        @if let Some(manifest) = &run.manifest { (manifest_facts(manifest)) }
        @if !run.export.is_empty() {
            h3 { "Held against the checkpoint" }
            dl class="facts" {
                @for (key, number) in &run.export {
                    dt { (key.replace(['.', '_'], " ")) }
                    dd { (figure_of(key, number)) }
                }
            }
        }
    }
}

/// A number of a report as text: sizes as sizes, small differences as they are.
fn figure_of(key: &str, number: &serde_json::Value) -> String {
    match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) if key.ends_with("bytes") => bytes(whole),
        (Some(whole), _) => count(whole),
        (None, Some(float)) if float != 0.0 && float.abs() < 1e-3 => format!("{float:.2e}"),
        (None, Some(float)) => three(float),
        _ => value(number),
    }
}

fn manifest_facts(manifest: &Manifest) -> Markup {
    html! {
        dl class="facts" {
            dt { "name" } dd { code { (manifest.digest) } }
            dt { "served unless asked otherwise" } dd { (manifest.default_precision.name()) }
            dt { "longest sentence" } dd { (manifest.max_length) " tokens" }
            @for (name, file) in &manifest.files {
                dt { (name) } dd { (bytes(file.bytes)) " " code class="soft" { (&file.sha256[..file.sha256.len().min(16)]) "…" } }
            }
            dt { "MCC on validation" }
            dd { (three(manifest.metrics.mcc)) " in fp32, " (three(manifest.metrics.int8_mcc)) " in int8" }
            @if let Some(commit) = &manifest.origin.git_commit {
                dt { "made at commit" }
                dd { code { (&commit[..commit.len().min(12)]) } @if manifest.origin.uncommitted { ", with changes that were not committed" } }
            }
        }
    }
}

fn benchmarks(run: &Run) -> Markup {
    html! {
        p class="text" {
            "As `cargo xtask bench` last measured it, on whatever machine that was. The run itself records no times, so "
            "that the same run leaves the same files."
        }
        @for (name, flat) in &run.benchmarks {
            h3 { "cargo xtask bench " (name) }
            dl class="facts" {
                @for (key, number) in flat.iter().filter(|(_, number)| !number.is_array()) {
                    dt { (key.replace(['.', '_'], " ")) }
                    dd { (speed(number)) }
                }
            }
            @for rows in flat.values().filter_map(serde_json::Value::as_array) { (bench_rows(name, rows)) }
        }
    }
}

/// A figure of a benchmark: one decimal says enough.
fn speed(number: &serde_json::Value) -> String {
    number.as_f64().filter(|_| number.is_f64()).map_or_else(|| value(number), |float| format!("{float:.1}"))
}

/// The rows of a benchmark that measures several things. Of a spread, the median.
fn bench_rows(name: &str, rows: &[serde_json::Value]) -> Markup {
    let flat: Vec<_> = rows.iter().map(flatten).collect();
    let is_shown = |key: &&String| !matches!(key.rsplit_once('.'), Some((_, "low" | "high")));
    let mut keys: Vec<&String> = flat.iter().flat_map(|row| row.keys()).filter(is_shown).collect();
    keys.sort_by_key(|key| (key.contains('.'), key.as_str()));
    keys.dedup();
    let header: Vec<String> = keys.iter().map(|key| key.trim_end_matches(".median").replace(['.', '_'], " ")).collect();
    let cell = |row: &Flat, key: &String| row.get(key).map(speed).unwrap_or_default();
    let rows: Vec<Vec<String>> = flat.iter().map(|row| keys.iter().map(|key| cell(row, key)).collect()).collect();
    table(&format!("cargo xtask bench {name}"), &header, &rows)
}

fn provenance(run: &Run) -> Markup {
    let provenance = &run.provenance;
    html! {
        dl class="facts" {
            @if let Some(commit) = &provenance.commit {
                dt { "git commit" } dd { code { (commit) } }
            }
            @if !provenance.uncommitted.is_empty() {
                dt { "changed since" }
                dd {
                    (provenance.uncommitted.iter().take(12).cloned().collect::<Vec<_>>().join(", "))
                    @if provenance.uncommitted.len() > 12 { " and " (provenance.uncommitted.len() - 12) " more" }
                }
            }
            dt { "base model" } dd { code { (run.parameter("base.source")) } }
            dt { "corpus" } dd { (run.corpus()) }
            dt { "seed" } dd { (run.parameter("seed")) }
        }
        h3 { "What each stage wrote, by dvc.lock" }
        div class="scroll" role="region" tabindex="0" aria-label="Outputs" {
            table {
                thead { tr {
                    th scope="col" { "file" } th scope="col" class="words" { "stage" }
                    th scope="col" { "size" } th scope="col" class="words" { "MD5" }
                } }
                tbody {
                    @for output in &provenance.outputs {
                        tr {
                            th scope="row" { code { (output.path) } }
                            td class="words" { (output.stage) }
                            td class="nowrap" { (output.size.map(bytes).unwrap_or_default()) }
                            td class="words" { code { (output.md5) } }
                        }
                    }
                }
            }
        }
    }
}
