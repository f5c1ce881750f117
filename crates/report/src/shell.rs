//! What all pages share: one file, nothing loaded, style and script inside.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing may be loaded from anywhere, whatever a page quotes.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";

/// A part of a page.
pub struct Section {
    /// Its anchor, unique on the page.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is in it.
    pub body: Markup,
}

/// A whole page.
pub fn page(title: &str, lead: &Markup, sections: &[Section]) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(include_str!("../page/page.css"))) }
            }
            body {
                a class="skip" href="#content" { "To the content" }
                header { (lead) }
                @if sections.len() > 2 {
                    nav aria-label="Parts of this page" {
                        ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main id="content" {
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                script { (PreEscaped(include_str!("../page/page.js"))) }
            }
        }
    };
    markup.into_string()
}

/// Something the reader should know before anything else.
pub fn notice(text: &Markup) -> Markup {
    html! { p class="notice" { (text) } }
}

/// A sentence that may be filtered: what a linguist's example looks like, a star before what is unacceptable.
pub struct Example<'a> {
    /// The sentence's id.
    pub id: &'a str,
    /// The sentence.
    pub sentence: &'a str,
    /// `acceptable` or `unacceptable`, the linguist's judgement.
    pub label: &'a str,
    /// The publication.
    pub source: &'a str,
    /// `in` or `out`.
    pub domain: &'a str,
    /// What the model says.
    pub verdict: String,
    /// From 0 to 1, drawn as a bar; `None` draws none.
    pub confidence: Option<f64>,
}

/// Examples with a filter over them. Without JavaScript all are there and the filter is not.
pub fn examples(prefix: &str, examples: &[Example<'_>]) -> Markup {
    let distinct = |of: fn(&Example<'_>) -> String| {
        let mut values: Vec<String> = examples.iter().map(of).filter(|value| !value.is_empty()).collect();
        values.sort();
        values.dedup();
        values
    };
    let choice = |name: &str, label: &str, values: &[String], words: &dyn Fn(&str) -> String| {
        let id = format!("{prefix}-{name}");
        html! {
            label for=(id) {
                span { (label) }
                select id=(id) data-filter=(name) {
                    option value="" { "all" }
                    @for value in values { option value=(value) { (words(value)) } }
                }
            }
        }
    };
    let plain = |value: &str| value.to_owned();
    let domain = |value: &str| if value == "in" { "in domain".to_owned() } else { "out of domain".to_owned() };
    html! {
        div class="filtered" {
            form class="filter" hidden role="search" aria-label="Filter of the sentences" {
                label for={ (prefix) "-text" } class="wide" {
                    span { "Text or id" }
                    input id={ (prefix) "-text" } type="search" data-filter="text" autocomplete="off" spellcheck="false";
                }
                (choice("label", "Linguist says", &distinct(|one| one.label.to_owned()), &plain))
                (choice("source", "Source", &distinct(|one| one.source.to_owned()), &plain))
                (choice("domain", "Domain", &distinct(|one| one.domain.to_owned()), &domain))
                p class="shown" { output for={ (prefix) "-text" } aria-live="polite" { (examples.len()) " sentences" } }
            }
            ol class="examples" {
                @for one in examples {
                    li data-label=(one.label) data-source=(one.source) data-domain=(one.domain) data-id=(one.id) {
                        p class="sentence" {
                            @if one.label == "unacceptable" {
                                span class="star" aria-hidden="true" { "*" }
                            }
                            (one.sentence)
                        }
                        p class="about" {
                            span class="verdict" { (one.verdict) }
                            @if let Some(confidence) = one.confidence {
                                span class="bar" aria-hidden="true" {
                                    span style={ "width:" (format!("{:.1}", 100.0 * confidence)) "%" } {}
                                }
                            }
                            span { (one.source) @if !one.domain.is_empty() { ", " (domain(one.domain)) } }
                            code { (one.id) }
                        }
                    }
                }
            }
            p class="none" hidden { "No sentence is like that." }
        }
    }
}
