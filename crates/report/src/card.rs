//! `MODEL_CARD.md`: what the model is, for whoever meets it on the Hugging Face hub or in the repository.
//!
//! It is made of committed files only (reports/, params.yaml, dvc.lock), so that a clone without data can say whether
//! it is current, and it names no commit, because committing it would make it untrue.

use std::fmt::Write as _;

use crate::figures::acceptable_share;
use crate::number::{bytes, count, measure, percent, three};
use crate::run::{Part, Run, known_base};

/// Where it lies.
pub const CARD: &str = "MODEL_CARD.md";

/// The card, whole.
pub fn card(run: &Run) -> String {
    let mut text = front_matter(run);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<!-- Made by `cargo xtask report` of what the last run left behind. Do not edit: run it again. -->\n\n\
         # Wellformed: {}\n\n{}",
        crate::run_page::title(run),
        introduction(run)
    );
    text += &results(run);
    text += &sources(run);
    text += &phenomena(run);
    text += &training(run);
    text += &probabilities(run);
    text += &bundle(run);
    text += &limits(run);
    text += &provenance(run);
    text
}

/// A text as YAML in double quotes, of which JSON's are a part.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_cola(run: &Run) -> bool {
    matches!(run.parameter("data.source").as_str(), "cola" | "glue")
}

/// The base model's name on the Hugging Face hub.
fn hub_name(run: &Run) -> Option<String> {
    let source = run.parameter("base.source");
    match source.strip_prefix("hf:") {
        Some(rest) => rest.split('@').next().map(str::to_owned),
        None => known_base(&source).map(|(hub, _)| hub.to_owned()),
    }
}

fn front_matter(run: &Run) -> String {
    let mut text = "---\nlanguage:\n- en\n".to_owned();
    if let Some((_, licence)) = known_base(&run.parameter("base.source")) {
        let _ = writeln!(text, "license: {licence}");
    }
    text += "library_name: onnx\npipeline_tag: text-classification\ntags:\n";
    for tag in ["linguistic-acceptability", "grammaticality", "bert", "onnx", "rust", "burn"] {
        let _ = writeln!(text, "- {tag}");
    }
    if let Some(hub) = hub_name(run) {
        let _ = write!(text, "base_model:\n- {}\nbase_model_relation: finetune\n", quoted(&hub));
    }
    if is_cola(run) {
        text += "datasets:\n- nyu-mll/glue\n";
    }
    text += "metrics:\n- matthews_correlation\n- accuracy\n- f1\n";
    let Some(validation) = &run.metrics.validation else { return text + "---\n\n" };
    text += "model-index:\n- name: Wellformed\n  results:\n";
    let mut result = |name: &str, part: &Part| {
        let (kind, config) = if is_cola(run) { ("nyu-mll/glue", "cola") } else { ("wellformed", "starter") };
        let _ = write!(
            text,
            "  - task:\n      type: text-classification\n      name: Linguistic acceptability\n    dataset:\n      type: \
             {kind}\n      name: {}\n      config: {config}\n      split: validation\n    metrics:\n",
            quoted(&format!("{}, {name}", run.corpus()))
        );
        let values = [
            ("matthews_correlation", "MCC", part.mcc),
            ("accuracy", "Accuracy", part.accuracy),
            ("f1", "F1 of acceptable", part.f1),
            ("roc_auc", "ROC AUC", part.roc_auc),
        ];
        for (kind, name, value) in values {
            if let Some(value) = value {
                let _ = write!(text, "    - type: {kind}\n      name: {name}\n      value: {value}\n");
            }
        }
    };
    result("validation", validation);
    text + "---\n\n"
}

fn introduction(run: &Run) -> String {
    let base = match hub_name(run) {
        Some(hub) => format!("[{}](https://huggingface.co/{hub}), fine-tuned", run.base_model()),
        None if run.parameter("base.source") == "random" => "trained from random weights".to_owned(),
        None => format!("{}, fine-tuned", run.base_model()),
    };
    let corpus = if is_cola(run) {
        "[CoLA](https://nyu-mll.github.io/CoLA/), the Corpus of Linguistic Acceptability".to_owned()
    } else {
        run.corpus()
    };
    let starter = if run.parameter("data.source") == "starter" {
        "\n> **This model was trained on the starter corpus, which the project generates itself. Its figures say nothing \
         about CoLA.**\n"
    } else {
        ""
    };
    format!(
        "A small BERT that says whether an English sentence is acceptable: whether a native speaker would take it as a \
         sentence of the language. It is {base} on {corpus}. Class 0 is *unacceptable*, class 1 is \
         *acceptable*.\n{starter}"
    )
}

fn results(run: &Run) -> String {
    let mut text = "\n## Results\n\n".to_owned();
    let Some(validation) = &run.metrics.validation else {
        return text + "No run has been measured yet.\n";
    };
    let coverage = run.values.get("eval.confidence").and_then(serde_json::Value::as_f64).unwrap_or(0.95);
    let _ = write!(
        text,
        "| part | sentences | MCC | {} interval | accuracy | F1, acceptable | F1, unacceptable | ROC AUC |\n\
         |---|--:|--:|:-:|--:|--:|--:|--:|\n",
        percent(coverage)
    );
    for (name, part) in run.metrics.parts() {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} to {} | {} | {} | {} | {} |",
            count(part.sentences),
            measure(part.mcc),
            measure(part.mcc_low),
            measure(part.mcc_high),
            measure(part.accuracy),
            measure(part.f1),
            measure(part.unacceptable.f1),
            measure(part.roc_auc),
        );
    }
    text += "\nThe score that counts is the Matthews correlation coefficient (MCC) on *validation*: 0 for guessing, 1 for \
             always right.";
    if let (Some(share), Some(accuracy)) = (acceptable_share(run), validation.accuracy) {
        let _ = write!(
            text,
            " Accuracy flatters: it is {}, and always answering *acceptable* would have {}.",
            three(accuracy),
            three(share.max(1.0 - share))
        );
    }
    text += " The best epoch and the temperature were chosen on *tune*, a part of the training set, and nothing on \
             *validation*. *In domain* are its sentences from publications that the training set draws on as well. \
             Intervals are bootstrap intervals over the sentences.\n";
    text
}

fn phenomena(run: &Run) -> String {
    let Some(part) = run.metrics.phenomena.as_ref().filter(|_| !run.by_phenomenon.is_empty()) else {
        return String::new();
    };
    let mut rows: Vec<_> = run.by_phenomenon.iter().collect();
    rows.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy).then_with(|| a.name.cmp(&b.name)));
    let mut text = format!(
        "\n### By phenomenon\n\nA check list of {} sentences that the project generates: minimal pairs, half of them \
         unacceptable, so 0.5 is guessing. The accuracy over all is {}.{}\n\n| phenomenon | accuracy |\n|---|--:|\n",
        count(part.sentences),
        measure(part.accuracy),
        run.taught_phenomena()
    );
    for row in rows {
        let _ = writeln!(text, "| {} | {:.2} |", row.name.replace('_', " "), row.accuracy);
    }
    text
}

fn sources(run: &Run) -> String {
    // Fewer sentences than this say little about a publication.
    let mut rows: Vec<_> = run.by_source.iter().filter(|row| row.sentences >= 50).collect();
    if rows.len() < 2 || !is_cola(run) {
        return String::new();
    }
    rows.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy).then_with(|| a.name.cmp(&b.name)));
    let (best, worst) = (rows[0], rows[rows.len() - 1]);
    format!(
        "\nAmong the publications with 50 sentences or more in *validation*, accuracy goes from {} ({}) to {} ({}).\n",
        three(worst.accuracy),
        worst.name,
        three(best.accuracy),
        best.name
    )
}

fn training(run: &Run) -> String {
    let Some(training) = &run.training else { return String::new() };
    let trained = if training.trained_parameters == training.parameters {
        format!("all {} parameters trained", count(training.parameters))
    } else {
        format!("{} of {} parameters trained", count(training.trained_parameters), count(training.parameters))
    };
    let mut text = format!(
        "\n## Training\n\n{}{} sentences, {} epochs, {} steps, {trained}; epoch {} was kept. {}Everything about a run is \
         chosen in `params.yaml`; the same parameters on the same device give the same model.\n\n| parameter | value |\n|---|---|\n",
        training.beforehand(),
        count(training.sentences),
        training.epochs,
        count(training.steps),
        training.best_epoch,
        training.beside_labels()
    );
    for one in &run.parameters {
        let is_told = one.key == "seed"
            || one.key == "base.source"
            || one.key == "prepare.max_length"
            || one.key.starts_with("model.")
            || one.key.starts_with("train.");
        if is_told {
            let _ = writeln!(text, "| `{}` | {} |", one.key, crate::number::value(&one.value).replace('|', "\\|"));
        }
    }
    text
}

fn probabilities(run: &Run) -> String {
    let Some(calibration) = &run.calibration else { return String::new() };
    let mut text = "\n## Probabilities\n\n".to_owned();
    if calibration.fitted {
        let _ = write!(
            text,
            "The probability of *acceptable* is the second of softmax(logits / {}); the temperature was fitted on *tune*. ",
            three(calibration.temperature)
        );
    } else {
        text += "The probability of *acceptable* is the second of softmax(logits); no temperature was fitted. ";
    }
    let _ = write!(text, "A sentence is acceptable when it is above {}.", calibration.threshold);
    if let Some(part) = &run.metrics.validation {
        let by_chance = part.ece_by_chance.map_or(String::new(), |error| {
            let as_large = part.ece_p_value.map_or(String::new(), |p| {
                format!(" on average, and as large as it is with a probability of {}", three(p))
            });
            format!("; if the probabilities were exactly right, chance alone would make it {}{as_large}", three(error))
        });
        let usual = part.ece_15_bins.map_or(String::new(), |error| {
            format!(
                " In 15 bins between 0 and 1, as most published figures have it, the calibration error is {}.",
                three(error)
            )
        });
        let _ = write!(
            text,
            " On *validation* the expected calibration error is {} (without the temperature {}{by_chance}), the log loss {} \
             ({}).{usual}",
            measure(part.ece),
            measure(part.ece_uncalibrated),
            measure(part.log_loss),
            measure(part.log_loss_uncalibrated)
        );
    }
    text + "\n"
}

fn bundle(run: &Run) -> String {
    let number = |key: &str| run.export.get(key).and_then(serde_json::Value::as_f64);
    let whole = |key: &str| run.export.get(key).and_then(serde_json::Value::as_u64);
    let (Some(fp32), Some(int8)) = (number("mcc"), number("int8.mcc")) else { return String::new() };
    let size = |key: &str| whole(key).map_or_else(|| "–".to_owned(), bytes);
    let changed = |key: &str| whole(key).map_or_else(|| "–".to_owned(), count);
    format!(
        "\n## Files\n\nONNX in two precisions. Both were run over *validation* and compared.\n\n| file | size | MCC | \
         decisions changed |\n|---|--:|--:|--:|\n| `model.onnx` (fp32) | {} | {} | {} against the checkpoint |\n| \
         `model.int8.onnx` | {} | {} | {} against fp32 |\n",
        size("bytes"),
        three(fp32),
        changed("changed_decisions"),
        size("int8.bytes"),
        three(int8),
        changed("int8.changed_decisions"),
    )
}

fn limits(run: &Run) -> String {
    let longest = run.parameter("prepare.max_length");
    let publications = if is_cola(run) {
        " Its examples are those of linguists writing about English syntax, and the judgements are theirs: slips of \
         spelling and punctuation, speech, the texts of learners and other varieties of English are not what it was \
         measured on. It must not be used to judge people by their English."
    } else {
        ""
    };
    format!(
        "\n## Limits\n\nIt judges one sentence at a time, up to {longest} tokens; longer ones are cut. It says that \
         something is wrong, not what.{publications}\n"
    )
}

fn provenance(run: &Run) -> String {
    let mut text = "\n## Provenance\n\nBy `dvc.lock`, MD5:\n\n| file | digest |\n|---|---|\n".to_owned();
    // What lies under reports/ is committed beside this card; the rest is known by its digest only.
    let is_dvc = |path: &str| !path.starts_with("reports/") || path == crate::run::PREDICTIONS;
    for output in run.provenance.outputs.iter().filter(|output| is_dvc(&output.path)) {
        let _ = writeln!(text, "| `{}` | `{}` |", output.path, output.md5);
    }
    if is_cola(run) {
        text += "\nCoLA's sentences were collected from publications in linguistics and belong to their publishers; none \
                 is quoted here. Please cite Warstadt, Singh and Bowman 2019, *Neural Network Acceptability Judgments*, \
                 Transactions of the ACL 7.\n";
    }
    text
}
