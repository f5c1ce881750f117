//! A report as a page: one file of HTML that loads nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use wellformed_core::record::{Prediction, Timestamp};
use wellformed_drift::check::{PerformanceReport, SignalReport};
use wellformed_drift::performance::Performance;
use wellformed_drift::profile::Source;
use wellformed_drift::window::Step;
use wellformed_drift::{Area, Report, Settings, Signal, Verdict};

use crate::chart::{histograms, timeline};
use crate::words::{headline, moment};

const STYLE: &str = include_str!("../page/page.css");

/// The page's Content Security Policy: nothing may be loaded from anywhere, whatever the page quotes, and no style but
/// the page's own is applied.
pub fn policy() -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    )
}

/// What the page says besides the report.
#[derive(Debug)]
pub struct Facts<'a> {
    /// When it is made.
    pub made: Timestamp,
    /// The digest of the bundle that is watched.
    pub bundle: &'a str,
    /// What the reference is of.
    pub source: &'a Source,
    /// When the monitor speaks up.
    pub settings: &'a Settings,
    /// The window's timeline: pieces by their start, and how long a piece is, in milliseconds.
    pub timeline: (&'a BTreeMap<i64, Step>, i64),
    /// Different sentences, where hashes are recorded.
    pub distinct: u64,
    /// The predictions that the model was least certain of.
    pub least_certain: &'a [Prediction],
    /// What was read, in words.
    pub records: &'a str,
    /// The page that leads here, where the page is served.
    pub home: Option<&'static str>,
}

/// The page as HTML: one file, nothing loaded.
pub fn page(report: &Report, facts: &Facts<'_>) -> String {
    let word = sentence(report);
    let title = format!("{}: predictions against the reference", report.verdict);
    let head = html! {
        p class="kind" {
            @if let Some(home) = facts.home { a href=(home) { "Wellformed" } " monitor, " } @else { "Wellformed monitor, " }
            time datetime=(facts.made) { (facts.made) }
        }
        h1 { (mark(report.verdict)) " " (word) }
        p class="where" { (headline(report)) "." }
    };
    let content = html! {
        (reasons(report))
        @if let Some(performance) = &report.performance { (quality(performance)) }
        (signals(report, facts))
        (trends(report, facts))
        (service(report, facts))
        (uncertain(facts))
        (about(report, facts))
    };
    shell(&title, report.verdict.name(), &head, &content)
}

/// A page that says why there is no report.
pub fn notice(title: &str, text: &str, home: Option<&'static str>) -> String {
    let head = html! {
        p class="kind" { @if let Some(home) = home { a href=(home) { "Wellformed" } " monitor" } @else { "Wellformed monitor" } }
        h1 { (title) }
    };
    shell(title, Verdict::InsufficientData.name(), &head, &html! { p class="text" { (text) } })
}

fn shell(title: &str, level: &str, head: &Markup, content: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#content" { "To the content" }
                header class=(level) { (head) }
                main id="content" { (content) }
            }
        }
    };
    markup.into_string()
}

fn sentence(report: &Report) -> &'static str {
    match (report.verdict, report.reasons.first().map(|reason| reason.area)) {
        (Verdict::Ok, _) => "Predictions are as they were when the model was measured",
        (Verdict::InsufficientData, _) => "Too few sentences to say",
        (Verdict::Warn, _) => "Something has moved: look at it",
        (Verdict::Alert, Some(Area::Configuration)) => "Something is put together wrongly",
        (Verdict::Alert, Some(Area::Service)) => "The service is beyond its limits",
        (Verdict::Alert, Some(Area::Performance)) => "The decisions are worse than they were",
        (Verdict::Alert, _) => "This is no longer what the model was measured on",
    }
}

/// The verdict as a word in a frame: colour alone would not say it to everyone.
fn mark(verdict: Verdict) -> Markup {
    html! { span class={ "mark " (verdict.name()) } { (verdict) } }
}

fn reasons(report: &Report) -> Markup {
    html! {
        section aria-labelledby="reasons" {
            h2 id="reasons" { "Why" }
            @if report.reasons.is_empty() {
                p class="text" { "No signal, no limit and no figure of quality is beyond what is set." }
            } @else {
                ul class="reasons" {
                    @for reason in &report.reasons {
                        li { (mark(reason.verdict)) " " span { (reason.text) "." } }
                    }
                }
            }
        }
    }
}

fn quality(performance: &PerformanceReport) -> Markup {
    let row = |name: &str, one: &Performance| {
        html! {
            tr {
                th scope="row" { (name) }
                td { (one.sentences) }
                td { (format!("{:.3}", one.mcc.value)) }
                td { (format!("{:.3} to {:.3}", one.mcc.low, one.mcc.high)) }
                td { (format!("{:.3}", one.accuracy.value)) }
                td { (format!("{:.3} to {:.3}", one.accuracy.low, one.accuracy.high)) }
            }
        }
    };
    html! {
        section aria-labelledby="quality" {
            h2 id="quality" { "How good the decisions are" }
            div class="scroll" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "" } th scope="col" { "sentences" }
                        th scope="col" { "MCC" } th scope="col" { "interval" }
                        th scope="col" { "accuracy" } th scope="col" { "interval" }
                    } }
                    tbody {
                        @if let Some(one) = &performance.measured { (row("this window, by labels", one)) }
                        (row("this window, estimated without labels", &performance.estimated))
                        (row("the reference, estimated in the same way", &performance.reference_estimated))
                        @if let Some(one) = &performance.reference_measured { (row("the reference, by labels", one)) }
                    }
                }
            }
            p class="text soft" {
                "The estimate takes the probabilities at their word. It sees that sentences have become harder; it does \
                 not see that the model is certain and wrong. How far the last two rows are apart shows how far to trust \
                 it even on sentences like those of the reference."
            }
        }
    }
}

fn signals(report: &Report, facts: &Facts<'_>) -> Markup {
    let mut ordered: Vec<&SignalReport> = report.signals.iter().collect();
    ordered.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(b.effect.total_cmp(&a.effect)));
    let drift = &facts.settings.drift;
    html! {
        section aria-labelledby="signals" {
            h2 id="signals" { "Signal by signal" }
            @if report.signals.is_empty() {
                p class="text" { "There is not enough to compare." }
            } @else {
                p class="text" {
                    "Filled: the reference, " (report.reference_sentences) " sentences of " (facts.source.split) ". Line: \
                     this window. Those that moved most come first. "
                    "An alert is a difference of at least " (drift.alert_effect) " with p, corrected for " (report.signals.len())
                    " signals, of at most " (drift.alert_level) "; a warning, of " (drift.warn_effect) " and " (drift.warn_level) "."
                }
                div class="figures" {
                    @for one in ordered {
                        figure class=(one.verdict.name()) {
                            figcaption {
                                strong { (one.title) } " "
                                @if one.verdict != Verdict::Ok { (mark(one.verdict)) }
                            }
                            (histograms(one.title, &one.reference_histogram, &one.histogram))
                            p class="number" {
                                "mean " (figure(one.mean)) " (reference " (figure(Some(one.reference_mean))) "), differs by "
                                (format!("{:.3}", one.effect)) ", p " (p_value(one.p_adjusted))
                            }
                        }
                    }
                }
                details {
                    summary { "All figures" }
                    div class="scroll" tabindex="0" {
                        table {
                            thead { tr {
                                th scope="col" { "signal" } th scope="col" { "sentences" } th scope="col" { "test" }
                                th scope="col" { "statistic" } th scope="col" { "usual up to" } th scope="col" { "p" }
                                th scope="col" { "corrected" } th scope="col" { "effect" }
                                th scope="col" { "JS, bits" } th scope="col" { "PSI" }
                            } }
                            tbody {
                                @for one in &report.signals {
                                    tr {
                                        th scope="row" { code { (one.signal) } }
                                        td { (one.count) } td { (if one.test == "ks" { "KS" } else { "χ²" }) }
                                        td { (format!("{:.3}", one.statistic)) } td { (format!("{:.3}", one.threshold)) }
                                        td { (p_value(one.p)) } td { (p_value(one.p_adjusted)) }
                                        td { (format!("{:.3}", one.effect)) }
                                        td { (format!("{:.3}", one.jensen_shannon)) }
                                        td { (format!("{:.3}", one.stability_index)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn trends(report: &Report, facts: &Facts<'_>) -> Markup {
    if facts.timeline.0.is_empty() {
        return html! {};
    }
    let usual = |signal: Signal| report.signals.iter().find(|one| one.signal == signal).map(|one| one.reference_mean);
    let share = |part: f64, step: &Step| (step.predictions > 0).then(|| part / step.predictions as f64);
    html! {
        section aria-labelledby="trends" {
            h2 id="trends" { "Over time" }
            p class="text soft" { "Pieces of " (length(facts.timeline.1)) ", in UTC; the dashed rule is the reference." }
            div class="figures" {
                figure {
                    figcaption { strong { "sentences judged" } }
                    (timeline("sentences judged", facts.timeline, |step| Some(step.predictions as f64), None, None))
                }
                figure {
                    figcaption { strong { "share called acceptable" } }
                    (timeline("share called acceptable", facts.timeline, |step| share(step.acceptable as f64, step),
                        usual(Signal::Label), Some(1.0)))
                }
                figure {
                    figcaption { strong { "mean probability of acceptable" } }
                    (timeline("mean probability of acceptable", facts.timeline, |step| share(step.p_sum, step),
                        usual(Signal::PAcceptable), Some(1.0)))
                }
                figure {
                    figcaption { strong { "requests refused or failed" } }
                    (timeline("requests refused or failed", facts.timeline, |step| Some(step.problems as f64), None, None))
                }
            }
        }
    }
}

fn service(report: &Report, facts: &Facts<'_>) -> Markup {
    let limits = &facts.settings.service;
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let row = |name: &str, value: String, warn: String, alert: String| {
        html! { tr { th scope="row" { (name) } td { (value) } td { (warn) } td { (alert) } } }
    };
    html! {
        section aria-labelledby="service" {
            h2 id="service" { "The service" }
            div class="scroll narrow" tabindex="0" {
                table {
                    thead { tr { th scope="col" { "" } th scope="col" { "found" } th scope="col" { "warn above" }
                        th scope="col" { "alert above" } } }
                    tbody {
                        (row("defects (5xx)", percent(report.service.defect_share),
                            percent(limits.defect_share.warn), percent(limits.defect_share.alert)))
                        (row("refused requests (4xx)", percent(report.service.refused_share),
                            percent(limits.refused_share.warn), percent(limits.refused_share.alert)))
                        @if let Some([median, p95, p99]) = report.service.latency_ms {
                            (row("latency, 95th percentile", format!("{p95:.1} ms"),
                                format!("{} ms", limits.latency_p95_ms.warn), format!("{} ms", limits.latency_p95_ms.alert)))
                            (row("latency, median and 99th percentile", format!("{median:.1} and {p99:.1} ms"),
                                String::new(), String::new()))
                        }
                        @if let Some(share) = report.service.cold_start_share {
                            (row("cold starts", percent(share),
                                percent(limits.cold_start_share.warn), percent(limits.cold_start_share.alert)))
                        }
                        @for (code, count) in &report.service.problems {
                            tr { th scope="row" { code { (code) } } td { (count) } td {} td {} }
                        }
                    }
                }
            }
        }
    }
}

fn uncertain(facts: &Facts<'_>) -> Markup {
    if facts.least_certain.is_empty() {
        return html! {};
    }
    let texts = facts.least_certain.iter().any(|one| one.text.is_some());
    html! {
        section aria-labelledby="uncertain" {
            h2 id="uncertain" { "Least certain" }
            p class="text" {
                "Where a label teaches the model most. "
                @if texts { code { "monitor export-candidates" } " writes such sentences into a file to be labelled." }
                @else { "The records hold no sentences, so these are names to look up where you keep them." }
            }
            div class="scroll" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { (if texts { "sentence" } else { "request, place in it" }) }
                        th scope="col" { "P(acceptable)" } th scope="col" { "tokens" } th scope="col" { "hash" }
                        th scope="col" { "when" }
                    } }
                    tbody {
                        @for one in facts.least_certain {
                            tr {
                                th scope="row" {
                                    @if let Some(text) = &one.text { (text) }
                                    @else { code { (one.request_id) ", " (one.index) } }
                                }
                                td { (format!("{:.3}", one.p_acceptable)) }
                                td { (one.tokens) }
                                td { @if let Some(hash) = &one.text_hash { code { (hash) } } @else { "—" } }
                                td { (one.timestamp) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn about(report: &Report, facts: &Facts<'_>) -> Markup {
    html! {
        section aria-labelledby="about" {
            h2 id="about" { "What was compared" }
            dl class="facts" {
                dt { "Bundle" } dd { code { (facts.bundle) } }
                dt { "Reference" }
                dd { (report.reference_sentences) " sentences of " (facts.source.split) ", by the "
                    (facts.source.precision.name()) " model" }
                @for (name, digest) in &facts.source.files { dt { (name) } dd { code { (digest) } } }
                dt { "Records" } dd { (facts.records) }
                @if let (Some(from), Some(to)) = (report.from_ms, report.to_ms) {
                    dt { "From, to" } dd { (moment(from)) ", " (moment(to)) }
                }
                dt { "Different sentences" }
                dd {
                    @if facts.distinct > 0 {
                        (facts.distinct) "; " (report.repeated) " came again"
                        @if facts.settings.drift.once_per_sentence { " and were counted once" }
                    } @else { "not known: records hold no hashes" }
                }
                @for (bundle, count) in &report.bundles { dt { "Records of bundle" } dd { (count) ": " code { (bundle) } } }
            }
        }
    }
}

fn figure(value: Option<f64>) -> String {
    match value {
        None => "—".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 0.1 || value == 0.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "below 0.001".to_owned() } else { format!("{p:.3}") }
}

fn length(millis: i64) -> String {
    let plural = |count: i64, unit: &str| if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") };
    match millis / 1000 {
        seconds @ ..60 => plural(seconds, "second"),
        seconds @ 60..3600 => plural(seconds / 60, "minute"),
        seconds @ 3600..172_800 => plural(seconds / 3600, "hour"),
        seconds => plural(seconds / 86_400, "day"),
    }
}
