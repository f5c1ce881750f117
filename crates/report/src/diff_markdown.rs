//! A comparison as the comment on a pull request: the answer first, the rest folded, never a sentence of the corpus.

use std::fmt::Write as _;

use crate::compare::{ComparedPart, Comparison, Flip};
use crate::number::{measure, p_value, p_words, percent, signed, three, value};

/// By this line a comment is found again, to be updated in place.
pub const MARKER: &str = "<!-- wellformed: report of the runs -->";

/// GitHub refuses a longer comment; counted in characters.
pub const MOST_CHARACTERS: usize = 65_536;

/// What is left free for whatever else a comment may get.
const RESERVE: usize = 1_024;

/// Something folded, which is left out when the comment grows too long: the last ones first.
#[derive(Debug, Clone)]
pub struct Folded {
    /// What stands on the fold.
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// The comment. `more` are what DVC says of the same two revisions.
pub fn markdown(comparison: &Comparison, more: &[Folded]) -> String {
    let (before, after) = (&comparison.before.name, &comparison.after.name);
    let mut head = format!("{MARKER}\n### Runs: `{before}` → `{after}`\n\n**{}**\n", comparison.verdict());
    if let Some(part) = comparison.validation() {
        head.push('\n');
        head += &validation_table(part, comparison.confidence);
    }
    for note in &comparison.notes {
        // Writing to a String cannot fail.
        let _ = write!(head, "\n> {note}\n");
    }
    if !comparison.after.stale.is_empty() {
        let keys = comparison.after.stale.join("`, `");
        let _ = write!(head, "\n> params.yaml is ahead of the run: `{keys}` changed, and no run was made of it yet.\n");
    }
    let mut folds = vec![parameter_fold(comparison)];
    folds.extend(parts_fold(comparison));
    folds.extend(measures_fold(comparison));
    folds.extend(flips_fold(&comparison.flips, comparison));
    folds.extend(more.iter().cloned());
    fit(head, folds)
}

/// As many folds as fit; what is left out is named.
fn fit(head: String, folds: Vec<Folded>) -> String {
    let length = |text: &str| text.chars().count();
    let mut text = head;
    let mut left_out = Vec::new();
    for fold in folds {
        let block = format!("\n<details><summary>{}</summary>\n\n{}\n</details>\n", fold.title, fold.body.trim_end());
        if length(&text) + length(&block) + RESERVE > MOST_CHARACTERS {
            left_out.push(fold.title);
        } else {
            text += &block;
        }
    }
    if !left_out.is_empty() {
        let _ = write!(text, "\nToo long for a comment, and left out: {}.\n", left_out.join("; "));
    }
    text
}

fn validation_table(part: &ComparedPart, confidence: f64) -> String {
    let mut table = format!(
        "| validation | before | after | change | {} interval | p |\n|---|--:|--:|--:|:-:|--:|\n",
        percent(confidence)
    );
    for change in &part.changes {
        let (range, p) = match (&part.tested, change.name) {
            (Some(tested), "MCC") => (
                format!("{} to {}", signed(tested.mcc.interval.low), signed(tested.mcc.interval.high)),
                format!("{} ¹", p_value(tested.mcc.p)),
            ),
            (Some(tested), "accuracy") => {
                let counts = format!("+{} −{} sentences", tested.mcnemar.improved, tested.mcnemar.worsened);
                (counts, format!("{} ²", p_value(tested.mcnemar.mid_p)))
            }
            (_, "F1, macro average" | "ROC AUC" | "log loss" | "calibration error") | (None, "MCC" | "accuracy") => {
                (String::new(), String::new())
            }
            _ => continue,
        };
        let lower = if change.higher_is_better { "" } else { " (lower is better)" };
        let _ = writeln!(
            table,
            "| {}{lower} | {} | {} | {} | {range} | {p} |",
            change.name,
            measure(change.before),
            measure(change.after),
            change.difference().map_or_else(|| "–".to_owned(), signed),
        );
    }
    if let Some(tested) = &part.tested {
        let _ = write!(
            table,
            "\n<sub>¹ paired bootstrap over {} sentences; ² McNemar’s test, mid-p (exact: {}). They weigh the \
             sentences, not the seed of the training.</sub>\n",
            tested.sentences,
            p_words(tested.mcnemar.exact)
        );
    }
    table
}

fn parameter_fold(comparison: &Comparison) -> Folded {
    let changes = &comparison.parameters;
    let mut body = String::new();
    if changes.is_empty() {
        body += "The runs were made with the same parameters.\n";
    } else {
        body += "| parameter | before | after |\n|---|---|---|\n";
        for change in changes {
            let cell = |one: &Option<serde_json::Value>| {
                one.as_ref().map_or_else(|| "not there".to_owned(), |one| code(&value(one)))
            };
            let _ = writeln!(body, "| `{}` | {} | {} |", change.key, cell(&change.before), cell(&change.after));
        }
    }
    let title = match changes.len() {
        0 => "Parameters: none changed".to_owned(),
        1 => "Parameters: 1 changed".to_owned(),
        n => format!("Parameters: {n} changed"),
    };
    Folded { title, body }
}

/// Text as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace('|', "\\|").replace('\n', " "))
}

fn parts_fold(comparison: &Comparison) -> Option<Folded> {
    let mut body = "| part | sentences | MCC before | after | change | interval | p | accuracy before | after | p |\n\
                    |---|--:|--:|--:|--:|:-:|--:|--:|--:|--:|\n"
        .to_owned();
    for part in &comparison.parts {
        let of = |name: &str| part.changes.iter().find(|change| change.name == name);
        let (mcc, accuracy) = (of("MCC")?, of("accuracy")?);
        let (sentences, range, p, q) = match &part.tested {
            Some(tested) => (
                tested.sentences.to_string(),
                format!("{} to {}", signed(tested.mcc.interval.low), signed(tested.mcc.interval.high)),
                p_value(tested.mcc.p),
                p_value(tested.mcnemar.mid_p),
            ),
            None => (String::new(), String::new(), String::new(), String::new()),
        };
        let _ = writeln!(
            body,
            "| {} | {sentences} | {} | {} | {} | {range} | {p} | {} | {} | {q} |",
            part.name,
            measure(mcc.before),
            measure(mcc.after),
            mcc.difference().map_or_else(|| "–".to_owned(), signed),
            measure(accuracy.before),
            measure(accuracy.after),
        );
    }
    body += "\nThe question is asked of validation. The other rows are looks around, their p-values not corrected for \
             being many.\n";
    (comparison.parts.len() > 1).then(|| Folded { title: "Every part of the data".to_owned(), body })
}

fn measures_fold(comparison: &Comparison) -> Option<Folded> {
    let part = comparison.validation()?;
    let mut body = "| measure | before | after | change |\n|---|--:|--:|--:|\n".to_owned();
    for change in &part.changes {
        let _ = writeln!(
            body,
            "| {} | {} | {} | {} |",
            change.name,
            measure(change.before),
            measure(change.after),
            change.difference().map_or_else(|| "–".to_owned(), signed),
        );
    }
    Some(Folded { title: "Every measure of validation".to_owned(), body })
}

fn flips_fold(flips: &[Flip], comparison: &Comparison) -> Option<Folded> {
    comparison.validation()?.tested.as_ref()?;
    let list = |is_right: bool| -> (usize, String) {
        let of: Vec<&Flip> = flips.iter().filter(|flip| flip.is_right == is_right).collect();
        let line = |flip: &&Flip| {
            let [before, after] = flip.p_acceptable;
            format!("`{}` ({} → {})", flip.id, two(before), two(after))
        };
        let shown: Vec<String> = of.iter().take(200).map(line).collect();
        let more = if of.len() > 200 { format!(", and {} more", of.len() - 200) } else { String::new() };
        (of.len(), format!("{}{more}", shown.join(", ")))
    };
    let (right, right_list) = list(true);
    let (wrong, wrong_list) = list(false);
    let mut body = "By id, with the probability of *acceptable* before and after; the sentences themselves are in \
                    `report/diff.html`, which `cargo xtask report --diff` writes.\n"
        .to_owned();
    if right > 0 {
        let _ = write!(body, "\n**Right now:** {right_list}\n");
    }
    if wrong > 0 {
        let _ = write!(body, "\n**Wrong now:** {wrong_list}\n");
    }
    Some(Folded { title: format!("Flipped decisions on validation: {right} right now, {wrong} wrong now"), body })
}

fn two(p: f64) -> String {
    let text = three(p);
    format!("{:.2}", text.parse::<f64>().unwrap_or(p))
}
