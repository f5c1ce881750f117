//! The plots of a run, and of two runs laid over one another. Each stands with its legend and its numbers as a table.

use maud::{Markup, html};

use crate::chart::{Axis, Chart, Mark, Series, swatch};
use crate::number::{count, measure, percent, three};
use crate::run::Run;

/// A plot with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Unique on its page.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// A sentence more; may be empty.
    pub note: String,
    /// What the lines are; may be empty where there is one.
    pub legend: Vec<(Series, String)>,
    /// The plot.
    pub chart: Chart,
    /// The names of the table's columns.
    pub header: Vec<String>,
    /// The table: every number that is drawn, or evenly chosen rows where there are many.
    pub rows: Vec<Vec<String>>,
}

impl Figure {
    /// The figure as HTML, with its number.
    pub fn markup(&self, number: usize) -> Markup {
        let legend = html! {
            ul class="legend" { @for (series, name) in &self.legend { li { (swatch(*series)) (name) } } }
        };
        let details = html! {
            details {
                summary { "The numbers" }
                (table(&format!("The numbers of figure {number}"), &self.header, &self.rows))
            }
        };
        frame(self.id, number, &self.title, &self.note, &html! { (legend) (self.chart.svg()) (details) })
    }
}

/// A figure: its number, as linguists number examples, its title, and three things below: a legend (perhaps empty), the
/// picture, and what may be unfolded.
pub fn frame(id: &str, number: usize, title: &str, note: &str, below: &Markup) -> Markup {
    html! {
        figure id=(id) {
            figcaption {
                span class="number" { "(" (number) ")" }
                " " strong { (title) }
                @if !note.is_empty() { " " span class="soft" { (note) } }
            }
            (below)
        }
    }
}

/// A table that scrolls by itself where it is wider than the page. All columns but the first are numbers.
pub fn table(label: &str, header: &[String], rows: &[Vec<String>]) -> Markup {
    html! {
        div class="scroll" role="region" tabindex="0" aria-label=(label) {
            table {
                thead { tr { @for name in header { th scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A run and how it is drawn.
pub type Drawn<'a> = (&'a Run, Series);

fn legend(runs: &[Drawn<'_>]) -> Vec<(Series, String)> {
    if runs.len() < 2 { Vec::new() } else { runs.iter().map(|(run, series)| (*series, run.name.clone())).collect() }
}

fn strings<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// At most `most` of the items, evenly chosen, the first and the last among them.
fn chosen<T>(items: &[T], most: usize) -> Vec<&T> {
    if items.len() <= most {
        return items.iter().collect();
    }
    (0..most).map(|at| &items[at * (items.len() - 1) / (most - 1)]).collect()
}

/// The mean of each of at most `most` runs of neighbours.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(most).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        (chunk.iter().map(|point| point.0).sum::<f64>() / n, chunk.iter().map(|point| point.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

/// The mean over a window of a fortieth of all points around each of them.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let half = (points.len() / 80).max(1);
    let at = |index: usize| {
        let window = &points[index.saturating_sub(half)..(index + half + 1).min(points.len())];
        (points[index].0, window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64)
    };
    (0..points.len()).map(at).collect()
}

/// A value at each step of the training: thin as measured, bold as the mean around it.
fn by_step(
    runs: &[Drawn<'_>],
    id: &'static str,
    title: &str,
    name: &str,
    of: impl Fn(&crate::run::Step) -> Option<f64>,
) -> Option<Figure> {
    let mut marks = Vec::new();
    let mut rows = Vec::new();
    let (mut last, mut values) = (0.0_f64, Vec::new());
    for (run, series) in runs {
        let points: Vec<(f64, f64)> = run.steps.iter().filter_map(|step| Some((step.step as f64, of(step)?))).collect();
        let Some(&(end, _)) = points.last() else { continue };
        last = last.max(end);
        let line = smooth(&points);
        if runs.len() == 1 {
            let raw = thinned(&points, 720);
            values.extend(raw.iter().map(|point| point.1));
            marks.push(Mark::Line(Series::Behind, raw));
        }
        let line = thinned(&line, 240);
        values.extend(line.iter().map(|point| point.1));
        let few: Vec<(f64, f64)> = chosen(&line, 25).into_iter().copied().collect();
        let hint = |&(x, y): &(f64, f64)| (x, y, format!("{}: {name} {} at step {x:.0}", run.name, three(y)));
        rows.extend(few.iter().map(|&(x, y)| vec![format!("{x:.0}"), run.name.clone(), three(y)]));
        let hints = Mark::Hints(few.iter().map(hint).collect());
        marks.push(Mark::Line(*series, line));
        marks.push(hints);
    }
    Some(Figure {
        id,
        title: title.to_owned(),
        note: "The line is the mean of a fortieth of the run.".to_owned(),
        legend: if runs.len() == 1 {
            vec![(Series::First, "mean".to_owned()), (Series::Behind, "each step".to_owned())]
        } else {
            legend(runs)
        },
        chart: Chart {
            description: format!("{title}; the numbers are in the table below"),
            x: Axis::between("step", 0.0, last),
            y: Axis::around(name, values)?,
            marks,
            height: 290.0,
        },
        header: vec!["step".to_owned(), "run".to_owned(), name.to_owned()],
        rows,
    })
}

/// Training loss at each step.
pub fn loss_by_step(runs: &[Drawn<'_>]) -> Option<Figure> {
    by_step(runs, "loss-by-step", "Training loss at each step", "loss", |step| Some(step.loss))
}

/// Norm of the gradient at each step.
pub fn gradient_by_step(runs: &[Drawn<'_>]) -> Option<Figure> {
    by_step(runs, "gradient-by-step", "Norm of the gradient at each step", "norm", |step| step.gradient_norm)
}

/// Loss after each epoch, on train and on tune.
pub fn loss_by_epoch(run: &Run) -> Option<Figure> {
    let points = |of: fn(&crate::run::Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
        run.history.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?))).collect()
    };
    let (train, tune) = (points(|epoch| epoch.train_loss), points(|epoch| epoch.tune_loss));
    let values: Vec<f64> = train.iter().chain(&tune).map(|point| point.1).collect();
    let mut marks = Vec::new();
    for (series, name, line) in [(Series::Second, "train", train), (Series::First, "tune", tune)] {
        let dot = |&(x, y): &(f64, f64)| (x, y, format!("{name} loss {} after epoch {x}", three(y)));
        let dots = line.iter().map(dot).collect();
        marks.extend([Mark::Line(series, line), Mark::Dots(series, dots)]);
    }
    let (best, x) = epochs(&[(run, Series::First)])?;
    marks.extend(best);
    Some(Figure {
        id: "loss-by-epoch",
        title: "Loss after each epoch".to_owned(),
        note: "Where tune rises while train falls, the model learns its sentences by heart.".to_owned(),
        legend: vec![(Series::First, "tune".to_owned()), (Series::Second, "train".to_owned())],
        chart: Chart {
            description: "Loss on train and on tune after each epoch; the numbers are in the table below".to_owned(),
            x,
            y: Axis::around("loss", values)?,
            marks,
            height: 290.0,
        },
        header: strings(["epoch", "train", "tune"]),
        rows: run
            .history
            .iter()
            .map(|epoch| vec![epoch.epoch.to_string(), measure(epoch.train_loss), measure(epoch.tune_loss)])
            .collect(),
    })
}

/// The axis of epochs, and a rule at the best one where there is one run.
fn epochs(runs: &[Drawn<'_>]) -> Option<(Option<Mark>, Axis)> {
    let last = runs.iter().filter_map(|(run, _)| Some(run.history.last()?.epoch)).max()?;
    let first = runs.iter().filter_map(|(run, _)| Some(run.history.first()?.epoch)).min()?;
    let axis = Axis::between("epoch", first as f64, last.max(first + 1) as f64).whole();
    let best = match runs {
        [(run, _)] => run.training.as_ref(),
        _ => None,
    };
    Some((best.map(|training| Mark::Rule(training.best_epoch as f64, "kept".to_owned())), axis))
}

/// MCC on tune after each epoch.
pub fn mcc_by_epoch(runs: &[Drawn<'_>]) -> Option<Figure> {
    let (best, x) = epochs(runs)?;
    let (mut marks, mut rows, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (run, series) in runs {
        let points: Vec<(f64, f64)> =
            run.history.iter().filter_map(|epoch| Some((epoch.epoch as f64, epoch.tune_mcc?))).collect();
        values.extend(points.iter().map(|point| point.1));
        rows.extend(points.iter().map(|&(x, y)| vec![x.to_string(), run.name.clone(), three(y)]));
        let dot = |&(x, y): &(f64, f64)| (x, y, format!("{}: MCC {} after epoch {x}", run.name, three(y)));
        let dots = points.iter().map(dot).collect();
        marks.extend([Mark::Line(*series, points), Mark::Dots(*series, dots)]);
    }
    marks.extend(best);
    Some(Figure {
        id: "mcc-by-epoch",
        title: "MCC on tune after each epoch".to_owned(),
        note: String::new(),
        legend: legend(runs),
        chart: Chart {
            description: "MCC on tune after each epoch; the numbers are in the table below".to_owned(),
            x,
            y: Axis::around("MCC", values)?,
            marks,
            height: 290.0,
        },
        header: strings(["epoch", "run", "MCC"]),
        rows,
    })
}

/// The ROC curve on validation.
pub fn roc(runs: &[Drawn<'_>]) -> Option<Figure> {
    let (mut marks, mut rows) = (vec![Mark::Guide((0.0, 0.0), (1.0, 1.0))], Vec::new());
    for (run, series) in runs {
        let line: Vec<(f64, f64)> =
            run.roc.iter().map(|row| (row.false_positive_rate, row.true_positive_rate)).collect();
        let few = chosen(&run.roc, 25);
        let hint = |row: &&crate::run::RocRow| {
            let (x, y) = (row.false_positive_rate, row.true_positive_rate);
            let threshold = measure(row.threshold);
            (
                x,
                y,
                format!(
                    "{}: {} of the acceptable, {} of the unacceptable pass p ≥ {threshold}",
                    run.name,
                    percent(y),
                    percent(x)
                ),
            )
        };
        let hints = few.iter().map(hint).collect();
        rows.extend(few.iter().map(|row| {
            vec![
                measure(row.threshold),
                run.name.clone(),
                three(row.false_positive_rate),
                three(row.true_positive_rate),
            ]
        }));
        marks.extend([Mark::Line(*series, line), Mark::Hints(hints)]);
    }
    (!rows.is_empty()).then(|| Figure {
        id: "roc",
        title: "ROC on validation".to_owned(),
        note: areas(runs, "Area", |part| part.roc_auc),
        legend: legend(runs),
        chart: Chart {
            description: "Receiver operating characteristic; the numbers are in the table below".to_owned(),
            x: Axis::unit("false positive rate"),
            y: Axis::unit("true positive rate"),
            marks,
            height: 380.0,
        },
        header: strings(["threshold", "run", "false positive rate", "true positive rate"]),
        rows,
    })
}

/// Precision against recall on validation.
pub fn precision_recall(runs: &[Drawn<'_>]) -> Option<Figure> {
    let (mut marks, mut rows) = (Vec::new(), Vec::new());
    if let Some(share) = runs.first().and_then(|(run, _)| acceptable_share(run)) {
        marks.push(Mark::Guide((0.0, share), (1.0, share)));
    }
    for (run, series) in runs {
        let points: Vec<(f64, f64)> = run.precision_recall.iter().map(|row| (row.recall, row.precision)).collect();
        let few = chosen(&run.precision_recall, 25);
        let hint = |row: &&crate::run::PrecisionRecallRow| {
            let threshold = measure(row.threshold);
            let text = format!(
                "{}: precision {}, recall {} at p ≥ {threshold}",
                run.name,
                three(row.precision),
                three(row.recall)
            );
            (row.recall, row.precision, text)
        };
        let hints = few.iter().map(hint).collect();
        rows.extend(
            few.iter()
                .map(|row| vec![measure(row.threshold), run.name.clone(), three(row.recall), three(row.precision)]),
        );
        marks.extend([Mark::Line(*series, points), Mark::Hints(hints)]);
    }
    (!rows.is_empty()).then(|| Figure {
        id: "precision-recall",
        title: "Precision and recall on validation".to_owned(),
        note: areas(runs, "Average precision", |part| part.average_precision),
        legend: legend(runs),
        chart: Chart {
            description: "Precision against recall; the numbers are in the table below".to_owned(),
            x: Axis::unit("recall"),
            y: Axis::unit("precision"),
            marks,
            height: 380.0,
        },
        header: strings(["threshold", "run", "recall", "precision"]),
        rows,
    })
}

fn areas(runs: &[Drawn<'_>], name: &str, of: fn(&crate::run::Part) -> Option<f64>) -> String {
    let areas: Vec<String> =
        runs.iter().filter_map(|(run, _)| Some(three(run.metrics.validation.as_ref().and_then(of)?))).collect();
    if areas.is_empty() { String::new() } else { format!("{name} {}. Fine line: by chance.", areas.join(" and ")) }
}

/// The share of validation that is acceptable.
pub fn acceptable_share(run: &Run) -> Option<f64> {
    run.prepared.as_ref()?["validation"]["acceptable"].as_f64()
}

/// How it is drawn, what it is called, and confidence, share right and sentences of each bin.
type ReliabilityLine = (Series, String, Vec<(f64, f64, u64)>);

/// Accuracy by confidence: one run before and after the temperature, two runs after it.
pub fn reliability(runs: &[Drawn<'_>]) -> Option<Figure> {
    let mut lines: Vec<ReliabilityLine> = Vec::new();
    for (run, series) in runs {
        let after = run.reliability.iter().filter_map(|row| Some((row.confidence, row.after?, row.sentences_after)));
        let after: Vec<_> = after.collect();
        if let [_] = runs {
            let before = run.reliability.iter();
            let before = before.filter_map(|row| Some((row.confidence, row.before?, row.sentences_before))).collect();
            lines.push((Series::Second, "as trained".to_owned(), before));
            lines.push((*series, "with the temperature".to_owned(), after));
        } else {
            lines.push((*series, run.name.clone(), after));
        }
    }
    let lowest = lines.iter().flat_map(|line| &line.2).map(|point| point.1).fold(0.5, f64::min);
    let low = ((lowest - 0.02) * 10.0).floor().max(0.0) / 10.0;
    let mut marks = vec![Mark::Guide((0.5, 0.5), (1.0, 1.0))];
    let mut rows = Vec::new();
    for (series, name, points) in &lines {
        let dot = |&(x, y, n): &(f64, f64, u64)| {
            (x, y, format!("{name}: confidence around {x:.3}, right in {} of {} sentences", percent(y), count(n)))
        };
        rows.extend(points.iter().map(|&(x, y, n)| vec![format!("{x:.3}"), name.clone(), three(y), count(n)]));
        marks.push(Mark::Line(*series, points.iter().map(|&(x, y, _)| (x, y)).collect()));
        marks.push(Mark::Dots(*series, points.iter().map(dot).collect()));
    }
    (!rows.is_empty()).then(|| Figure {
        id: "reliability",
        title: "Reliability on validation".to_owned(),
        note: "How often the model is right when it is this sure. Fine line: as often as it says.".to_owned(),
        legend: lines.iter().rev().map(|(series, name, _)| (*series, name.clone())).collect(),
        chart: Chart {
            description: "Accuracy by confidence; the numbers are in the table below".to_owned(),
            x: Axis::between("confidence", 0.5, 1.0),
            y: Axis::between("share right", low, 1.0),
            marks,
            height: 380.0,
        },
        header: strings(["confidence", "line", "share right", "sentences"]),
        rows,
    })
}

/// Sentences of train by their length in tokens.
pub fn lengths(run: &Run) -> Option<Figure> {
    let rows: Vec<_> = run.lengths.iter().filter(|row| row.split == "train").collect();
    let last = rows.iter().map(|row| row.tokens).max()?;
    let bar = |row: &&crate::run::LengthRow| {
        let at = row.tokens as f64;
        let title = format!("{} sentences of {} tokens", count(row.sentences), row.tokens);
        (at - 0.4, at + 0.4, row.sentences as f64, title)
    };
    let highest = rows.iter().map(|row| row.sentences).max()? as f64;
    Some(Figure {
        id: "lengths",
        title: "Sentences of train by their length".to_owned(),
        note: "In tokens, [CLS] and [SEP] included.".to_owned(),
        legend: Vec::new(),
        chart: Chart {
            description: "Number of sentences of each length; the numbers are in the table below".to_owned(),
            x: Axis::between("tokens", 0.0, last as f64 + 1.0),
            y: Axis::around("sentences", [0.0, highest])?,
            marks: vec![Mark::Bars(Series::First, rows.iter().map(bar).collect())],
            height: 290.0,
        },
        header: strings(["tokens", "sentences"]),
        rows: rows.iter().map(|row| vec![row.tokens.to_string(), count(row.sentences)]).collect(),
    })
}
