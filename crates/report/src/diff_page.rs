//! The page about two runs. It quotes sentences.

use maud::{Markup, html};

use crate::chart::{Series, interval};
use crate::compare::{ComparedPart, Comparison};
use crate::figures::{self, Figure};
use crate::number::{count, measure, p_value, percent, signed, value};
use crate::run_page::title;
use crate::shell::{Example, Section, examples, notice, page};

/// The page, whole.
pub fn diff_page(comparison: &Comparison) -> String {
    let (before, after) = (&comparison.before, &comparison.after);
    let mut sections = vec![
        Section { id: "score", title: "What moved", body: score(comparison) },
        Section { id: "parameters", title: "Parameters", body: parameters(comparison) },
        Section { id: "curves", title: "Curves", body: curves(comparison) },
    ];
    if comparison.validation().is_some_and(|part| part.tested.is_some()) {
        sections.push(Section { id: "flips", title: "Sentences that flipped", body: flips(comparison) });
    }
    let heading = format!("{} → {}", before.name, after.name);
    let lead = html! {
        p class="kind" { "Wellformed: two runs" }
        h1 { (heading) }
        p class="where" {
            (title(before))
            @if title(before) != title(after) { " → " (title(after)) }
        }
        @for text in comparison.notes.iter().chain(&crate::run_page::notices(after)) { (notice(&html! { (text) })) }
    };
    page(&format!("Wellformed: {heading}"), &lead, &sections)
}

fn score(comparison: &Comparison) -> Markup {
    html! {
        p class="text" style="font-size:1.25rem" { (comparison.verdict()) }
        @if comparison.parts.iter().any(|part| part.tested.is_some()) { (tests(comparison)) }
        h3 { "Every measure of validation" }
        @if let Some(part) = comparison.validation() { (measures(part)) }
    }
}

fn tests(comparison: &Comparison) -> Markup {
    let tested: Vec<_> = comparison.parts.iter().filter_map(|part| Some((part.name, part.tested.as_ref()?))).collect();
    let widest = tested
        .iter()
        .flat_map(|(_, one)| [one.mcc.interval.low.abs(), one.mcc.interval.high.abs()])
        .fold(0.01_f64, f64::max);
    let scale = (-widest, widest);
    html! {
        div class="scroll" role="region" tabindex="0" aria-label="Tests" {
            table {
                thead { tr {
                    th scope="col" { "part" } th scope="col" { "sentences" }
                    th scope="col" { "MCC, change" } th scope="col" { (percent(comparison.confidence)) " interval" }
                    th scope="col" { "worse · better" } th scope="col" { "p" }
                    th scope="col" { "right now · wrong now" } th scope="col" { "p, accuracy" }
                } }
                tbody {
                    @for (name, one) in &tested {
                        @let range = one.mcc.interval;
                        tr {
                            th scope="row" { (name) }
                            td { (count(one.sentences as u64)) }
                            td { (signed(one.mcc.difference())) }
                            td class="nowrap" { (signed(range.low)) " to " (signed(range.high)) }
                            td { (interval(one.mcc.difference(), range.low, range.high, scale, Some(0.0), name)) }
                            td { (p_value(one.mcc.p)) }
                            td { (one.mcnemar.improved) " · " (one.mcnemar.worsened) }
                            td { (p_value(one.mcnemar.mid_p)) }
                        }
                    }
                }
            }
        }
        p class="text soft" style="margin-top:.75rem" {
            "MCC: paired bootstrap. Accuracy: McNemar’s test, mid-p. They weigh the sentences, not the seed of the "
            "training. The question is asked of validation; the other rows are looks around, not corrected for being "
            "many."
        }
    }
}

fn measures(part: &ComparedPart) -> Markup {
    html! {
        div class="scroll narrow" role="region" tabindex="0" aria-label="Every measure of validation" {
            table {
                thead { tr {
                    th scope="col" { "measure" } th scope="col" { "before" } th scope="col" { "after" }
                    th scope="col" { "change" }
                } }
                tbody {
                    @for change in &part.changes {
                        tr {
                            th scope="row" {
                                (change.name)
                                @if !change.higher_is_better { span class="soft" { " (lower is better)" } }
                            }
                            td { (measure(change.before)) }
                            td { (measure(change.after)) }
                            td {
                                @let text = change.difference().map_or_else(|| "–".to_owned(), signed);
                                @match change.is_better() {
                                    Some(true) => { span class="better" { (text) " better" } }
                                    Some(false) => { span class="worse" { (text) " worse" } }
                                    None => { (text) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn parameters(comparison: &Comparison) -> Markup {
    if comparison.parameters.is_empty() {
        return html! { p class="text" { "The runs were made with the same parameters." } };
    }
    let cell = |one: &Option<serde_json::Value>| one.as_ref().map_or_else(|| "not there".to_owned(), value);
    html! {
        div class="scroll narrow" role="region" tabindex="0" aria-label="Parameters that differ" {
            table {
                thead { tr {
                    th scope="col" { "parameter" } th scope="col" class="words" { "before" }
                    th scope="col" class="words" { "after" }
                } }
                tbody {
                    @for change in &comparison.parameters {
                        tr {
                            th scope="row" { code { (change.key) } }
                            td class="words" { (cell(&change.before)) }
                            td class="words" { (cell(&change.after)) }
                        }
                    }
                }
            }
        }
    }
}

fn curves(comparison: &Comparison) -> Markup {
    let both = [(&comparison.before, Series::Second), (&comparison.after, Series::First)];
    let figures: Vec<Figure> = [
        figures::mcc_by_epoch(&both),
        figures::loss_by_step(&both),
        figures::roc(&both),
        figures::precision_recall(&both),
        figures::reliability(&both),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! {
        div class="figures" { @for (at, figure) in figures.iter().enumerate() { (figure.markup(at + 1)) } }
    }
}

fn flips(comparison: &Comparison) -> Markup {
    let list = |is_right: bool| -> Vec<Example<'_>> {
        comparison
            .flips
            .iter()
            .filter(|flip| flip.is_right == is_right)
            .map(|flip| {
                let [before, after] = flip.p_acceptable;
                let example = flip.example.as_ref();
                Example {
                    id: &flip.id,
                    sentence: example.map_or("(the prepared data are not here)", |one| &one.sentence),
                    label: flip.label.name(),
                    source: example.map_or("", |one| &one.source),
                    domain: example.map_or("", |one| one.domain.name()),
                    verdict: format!("acceptable: {} → {}", percent(before), percent(after)),
                    confidence: None,
                }
            })
            .collect()
    };
    let (right, wrong) = (list(true), list(false));
    html! {
        p class="text" {
            "Sentences of validation on which the decision changed, the largest move of the probability first. A star "
            "is the linguist’s. The sentences belong to their publishers: this page is for you, not for publication."
        }
        h3 { "Right now: " (right.len()) }
        @if !right.is_empty() { (examples("right", &right)) }
        h3 { "Wrong now: " (wrong.len()) }
        @if !wrong.is_empty() { (examples("wrong", &wrong)) }
    }
}
