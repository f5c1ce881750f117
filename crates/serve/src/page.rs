//! The page at `/`: its shell, and the whole result for a browser without JavaScript.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use wellformed_infer::{Explanation, Label, Perturbation, Precision};

use crate::api::explain;
use crate::model::Model;
use crate::observe::Context;
use crate::problem::{Code, Problem};
use crate::record::Records;
use crate::server::App;
use crate::wire::Sentences;

/// Height of the bars under words, above and below their line, in pixels.
const BAR: f64 = 18.0;

/// The link to the server's own monitor.
const MONITOR: &str = " <a href=\"/monitor\">Whether the model still does as it did</a>";

const NOT_KEPT: &str = "What you type is sent to this server only, and is not kept.";
const KEPT: &str = "What you type is sent to this server only. Its owner keeps sentences, without addresses and long \
                    numbers, to see how the model does.";

/// The page, with everything filled in that does not depend on a sentence.
pub(crate) struct Page {
    shell: String,
}

/// What the result's places are filled with.
struct Shown {
    state: &'static str,
    verdict: String,
    odds: String,
    /// Percent of the scale.
    fill: String,
    notes: String,
    words: String,
}

impl Page {
    pub(crate) fn new(model: &dyn Model, records: &Records) -> Self {
        let threshold = 100.0 * model.manifest().calibration.threshold;
        let shell = include_str!("../page/index.html")
            .replace("{{threshold}}", &format!("{threshold:.1}"))
            .replace("{{facts}}", &facts(model))
            .replace("{{monitor}}", if records.monitor().is_on() { MONITOR } else { "" })
            .replace("{{kept}}", if records.keep_texts() { KEPT } else { NOT_KEPT });
        Self { shell }
    }

    fn fill(&self, text: &str, perturbation: Perturbation, shown: &Shown) -> String {
        let checked = |is: Perturbation| if perturbation == is { " checked" } else { "" };
        let parts: [(&str, &str); 9] = [
            ("{{text}}", &escape(text)),
            ("{{state}}", shown.state),
            ("{{verdict}}", &shown.verdict),
            ("{{odds}}", &shown.odds),
            ("{{fill}}", &shown.fill),
            ("{{notes}}", &shown.notes),
            ("{{words}}", &shown.words),
            ("{{omit}}", checked(Perturbation::Omit)),
            ("{{mask}}", checked(Perturbation::Mask)),
        ];
        // In one pass, so that a sentence that looks like a place is left alone.
        let mut page = String::with_capacity(self.shell.len() + shown.words.len() + 1024);
        let mut rest = &*self.shell;
        while let Some(at) = rest.find("{{") {
            page += &rest[..at];
            rest = &rest[at..];
            let part = parts.iter().find(|(name, _)| rest.starts_with(name));
            let (name, value) = part.copied().unwrap_or(("{{", "{{"));
            page += value;
            rest = &rest[name.len()..];
        }
        page + rest
    }
}

/// `GET /`, with a sentence in `text` if the browser has no JavaScript or a link carries one.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut text = String::new();
    let mut perturbation = Perturbation::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "text" => text = value.into_owned(),
            "perturbation" if value == "mask" => perturbation = Perturbation::Mask,
            _ => {}
        }
    }
    if text.trim().is_empty() {
        return Html(app.page.fill("", perturbation, &Shown::empty())).into_response();
    }
    match explain(&app, &context, Sentences::One("text", text.clone()), perturbation).await {
        Ok(explanation) => Html(app.page.fill(&text, perturbation, &Shown::explanation(&explanation))).into_response(),
        Err(problem) => {
            let html = Html(app.page.fill(&text, perturbation, &Shown::problem(&problem)));
            let mut response = (problem.status(), html).into_response();
            response.extensions_mut().insert(Code(problem.code));
            response
        }
    }
}

/// `GET /docs`.
pub(crate) async fn docs() -> Response {
    (StatusCode::OK, Html(include_str!("../page/docs.html"))).into_response()
}

impl Shown {
    fn empty() -> Self {
        Self {
            state: "empty",
            verdict: "Type a sentence, or take one from the pairs.".to_owned(),
            odds: String::new(),
            fill: "0".to_owned(),
            notes: String::new(),
            words: String::new(),
        }
    }

    fn problem(problem: &Problem) -> Self {
        Self { state: "trouble", verdict: escape(&format!("No verdict: {}.", problem.message())), ..Self::empty() }
    }

    fn explanation(explanation: &Explanation) -> Self {
        let prediction = &explanation.prediction;
        let [unacceptable, acceptable] = prediction.probabilities.map(|p| format!("{:.1}", 100.0 * p));
        let mut notes = Vec::new();
        if prediction.truncated {
            let tokens = prediction.tokens;
            notes.push(format!("The sentence is too long for the model: it saw the first {tokens} tokens only."));
        }
        match prediction.unknown_tokens {
            0 => {}
            1 => notes.push("The model does not know one of the characters or words.".to_owned()),
            unknown => notes.push(format!("The model does not know {unknown} of the characters or words.")),
        }
        let (state, verdict) = match prediction.label {
            Label::Acceptable => ("acceptable", "Acceptable"),
            Label::Unacceptable => ("unacceptable", "Not acceptable"),
        };
        Self {
            state,
            verdict: verdict.to_owned(),
            odds: format!("acceptable {acceptable} %, unacceptable {unacceptable} %"),
            fill: acceptable,
            notes: notes.join(" "),
            words: words(explanation),
        }
    }
}

fn words(explanation: &Explanation) -> String {
    let largest = explanation.words.iter().map(|word| word.weight.abs()).fold(0.1, f64::max);
    let mut html = String::new();
    let mut end = None;
    for word in &explanation.words {
        // Punctuation stands at its word.
        let class = if end.replace(word.end) == Some(word.start) { " class=\"joined\"" } else { "" };
        let points = points(word.weight);
        let up = word.weight > 0.0;
        let side = match (&*points, up) {
            ("0", _) => "neither",
            (_, true) => "for",
            (_, false) => "against",
        };
        let height = (BAR * word.weight.abs() / largest).round().max(1.0);
        let rect = match side {
            "for" => format!("<rect x=\"12%\" width=\"76%\" y=\"{}\" height=\"{height}\"/>", 20.0 - height),
            "against" => {
                format!("<rect x=\"12%\" width=\"76%\" y=\"20\" height=\"{height}\" fill=\"url(#hatch)\"/>")
            }
            _ => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<li{class}><span class=\"word {side}\"><span class=\"w\">{}</span><svg width=\"100%\" height=\"40\" \
             aria-hidden=\"true\" focusable=\"false\">{rect}<line x1=\"0\" x2=\"100%\" y1=\"20\" y2=\"20\"/></svg>\
             <span class=\"n\">{points}</span></span></li>",
            escape(&word.text),
        );
    }
    html
}

/// A weight in percentage points: `+12`, `−3`, `0`.
fn points(weight: f64) -> String {
    let rounded = (100.0 * weight).round() as i64;
    match rounded {
        0 => "0".to_owned(),
        1.. => format!("+{rounded}"),
        _ => format!("\u{2212}{}", -rounded),
    }
}

/// What is known about the model, as a list of names and values.
fn facts(model: &dyn Model) -> String {
    let manifest = model.manifest();
    let metrics = &manifest.metrics;
    let interval = format!("{:.3} ({:.3} to {:.3})", metrics.mcc, metrics.mcc_low, metrics.mcc_high);
    let (precision, mcc) = match model.precision() {
        Precision::Fp32 => ("32 bits", interval),
        Precision::Int8 => ("8 bits", format!("{:.3}; with 32 bits {interval}", metrics.int8_mcc)),
    };
    let digest: String = model.digest().chars().take(12).collect();
    let facts = [
        ("Matthews correlation", mcc),
        ("Measured on", format!("{} sentences it never saw", thousands(metrics.sentences))),
        ("Accuracy", format!("{:.1} %", 100.0 * metrics.accuracy)),
        ("Weights", precision.to_owned()),
        ("Longest sentence", format!("{} tokens", manifest.max_length)),
        ("Bundle", digest),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    facts.iter().fold(String::new(), |mut html, (name, value)| {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escape(value));
        html
    })
}

fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text as HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            c => html.push(c),
        }
    }
    html
}
