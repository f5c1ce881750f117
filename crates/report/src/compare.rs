//! Two runs beside one another: what moved, whether it is more than chance, and which sentences flipped.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use wellformed_core::dataset::{Domain, Example};
use wellformed_core::label::Label;

use crate::parameters;
use crate::predictions::{Prediction, Predictions};
use crate::run::{MEASURES, Metrics, Part, Run};
use crate::significance::{McNemar, MccDifference, Pair, SAMPLES, mcc_difference, mcnemar};

/// A number before and after.
#[derive(Debug, Clone)]
pub struct Change {
    /// As people call it.
    pub name: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// In the older run.
    pub before: Option<f64>,
    /// In the newer run.
    pub after: Option<f64>,
}

impl Change {
    /// After less before.
    pub fn difference(&self) -> Option<f64> {
        Some(self.after? - self.before?)
    }

    /// Whether it got better; `None` where nothing moved in the third decimal, or there is nothing to compare.
    pub fn is_better(&self) -> Option<bool> {
        let difference = self.difference().filter(|difference| difference.abs() >= 0.0005)?;
        Some((difference > 0.0) == self.higher_is_better)
    }
}

/// A part of the data, measured in both runs.
#[derive(Debug, Clone)]
pub struct ComparedPart {
    /// As people call it.
    pub name: &'static str,
    /// Its numbers, in the order of [`MEASURES`].
    pub changes: Vec<Change>,
    /// The paired tests on the sentences that both runs judged; `None` without both predictions.
    pub tested: Option<Tested>,
}

/// Paired tests.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Sentences that both runs judged.
    pub sentences: usize,
    /// Of accuracy.
    pub mcnemar: McNemar,
    /// Of the MCC.
    pub mcc: MccDifference,
}

/// A parameter that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterChange {
    /// With its section.
    pub key: String,
    /// `None` where the older run does not have it.
    pub before: Option<Value>,
    /// `None` where the newer run does not have it.
    pub after: Option<Value>,
}

/// A sentence of validation on which the decision changed.
#[derive(Debug, Clone)]
pub struct Flip {
    /// The sentence's id.
    pub id: String,
    /// The linguist's judgement.
    pub label: Label,
    /// Calibrated probability of *acceptable* in both runs.
    pub p_acceptable: [f64; 2],
    /// Whether the newer run is right.
    pub is_right: bool,
    /// The sentence with its source and domain, where the prepared data are there.
    pub example: Option<Example>,
}

/// Two runs beside one another.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The older run.
    pub before: Run,
    /// The newer run.
    pub after: Run,
    /// Validation first.
    pub parts: Vec<ComparedPart>,
    /// What differs among the parameters.
    pub parameters: Vec<ParameterChange>,
    /// Sentences of validation whose decision changed, the largest move of the probability first.
    pub flips: Vec<Flip>,
    /// What the reader should know: why there is no test, what could not be matched.
    pub notes: Vec<String>,
    /// The coverage of the intervals.
    pub confidence: f64,
}

/// Holds two runs against one another. `examples` are the prepared sentences of validation, where they are there.
pub fn compare(before: Run, after: Run, predictions: [&Predictions; 2], examples: &[Example]) -> Comparison {
    let confidence = after.values.get("eval.confidence").and_then(Value::as_f64).unwrap_or(0.95);
    let seed = after.values.get("seed").and_then(Value::as_u64).unwrap_or(1);
    let mut notes = Vec::new();
    let examples: HashMap<&str, &Example> = examples.iter().map(|one| (one.id.as_str(), one)).collect();
    let matched = match predictions {
        [Ok(old), Ok(new)] => {
            let wrong = [(&before, old), (&after, new)].into_iter().find_map(|(run, list)| misfit(run, list));
            match wrong {
                Some(note) => {
                    notes.push(note);
                    None
                }
                None => Some(join(old, new, &mut notes)),
            }
        }
        both => {
            for reason in both.iter().filter_map(|one| one.as_ref().err()) {
                notes.push(format!("No significance tests: {reason}"));
            }
            None
        }
    };
    let parts = parts(&before.metrics, &after.metrics)
        .into_iter()
        .map(|(name, old, new)| ComparedPart {
            name,
            changes: changes(old, new),
            tested: matched.as_deref().and_then(|matched| {
                let pairs = pairs_of(name, matched, &examples);
                tested(&pairs, confidence, seed)
            }),
        })
        .collect();
    let flips = matched.as_deref().map(|matched| flips(matched, &examples)).unwrap_or_default();
    let parameters = parameter_changes(&before, &after);
    Comparison { before, after, parts, parameters, flips, notes, confidence }
}

/// Why predictions are not those that the run's metrics speak of: their MCC on validation is another.
fn misfit(run: &Run, predictions: &[Prediction]) -> Option<String> {
    let stated = run.metrics.validation.as_ref()?.mcc?;
    let of_validation: Vec<Pair> = predictions
        .iter()
        .filter(|one| one.split == "validation")
        .map(|one| {
            let answer = one.decision() == Label::Acceptable;
            Pair { label: one.label == Label::Acceptable, before: answer, after: answer }
        })
        .collect();
    let found = mcc_difference(&of_validation, 1, 0.95, 0).map(|one| one.after)?;
    ((found - stated).abs() > 1e-5).then(|| {
        format!(
            "No significance tests: the predictions of {} have an MCC of {found:.6} on validation, but its metrics say \
             {stated:.6}; they are not of one run.",
            run.name
        )
    })
}

/// A sentence with both predictions.
type Matched<'a> = (&'a Prediction, &'a Prediction);

/// The predictions of both runs for the same sentences.
fn join<'a>(old: &'a [Prediction], new: &'a [Prediction], notes: &mut Vec<String>) -> Vec<Matched<'a>> {
    let by_id: HashMap<(&str, &str), &Prediction> =
        old.iter().map(|one| ((one.split.as_str(), one.id.as_str()), one)).collect();
    let found = |one: &'a Prediction| -> Option<Matched<'a>> {
        let earlier = by_id.get(&(one.split.as_str(), one.id.as_str()))?;
        (earlier.label == one.label).then_some((*earlier, one))
    };
    let matched: Vec<Matched<'a>> = new.iter().filter_map(found).collect();
    let most = old.len().max(new.len());
    if matched.len() < most {
        notes.push(format!(
            "The runs were measured on different data: {} of {most} sentences are in both with the same judgement. The \
             tests and the list of flips are about those; the metrics are not.",
            matched.len()
        ));
    }
    matched
}

fn pairs_of(name: &str, matched: &[Matched<'_>], examples: &HashMap<&str, &Example>) -> Vec<Pair> {
    let (split, domain) = match name {
        "in domain" => ("validation", Some(Domain::In)),
        "out of domain" => ("validation", Some(Domain::Out)),
        other => (other, None),
    };
    let is_of = |(_, one): &&Matched<'_>| {
        let fits = |wanted| examples.get(one.id.as_str()).is_some_and(|example| example.domain == wanted);
        one.split == split && domain.is_none_or(fits)
    };
    let acceptable = |label: Label| label == Label::Acceptable;
    let pair = |(old, new): &Matched<'_>| Pair {
        label: acceptable(new.label),
        before: acceptable(old.decision()),
        after: acceptable(new.decision()),
    };
    matched.iter().filter(is_of).map(pair).collect()
}

fn tested(pairs: &[Pair], confidence: f64, seed: u64) -> Option<Tested> {
    let mcc = mcc_difference(pairs, SAMPLES, confidence, seed)?;
    Some(Tested { sentences: pairs.len(), mcnemar: mcnemar(pairs), mcc })
}

type BothParts<'a> = (&'static str, Option<&'a Part>, Option<&'a Part>);

/// A part of the metrics.
type PartOf = fn(&Metrics) -> Option<&Part>;

/// The parts that either run has.
fn parts<'a>(before: &'a Metrics, after: &'a Metrics) -> Vec<BothParts<'a>> {
    let all: [(&'static str, PartOf); 5] = [
        ("validation", |metrics| metrics.validation.as_ref()),
        ("in domain", |metrics| metrics.in_domain.as_ref()),
        ("out of domain", |metrics| metrics.out_of_domain.as_ref()),
        ("tune", |metrics| metrics.tune.as_ref()),
        ("phenomena", |metrics| metrics.phenomena.as_ref()),
    ];
    all.into_iter()
        .map(|(name, of)| (name, of(before), of(after)))
        .filter(|(_, old, new)| old.is_some() || new.is_some())
        .collect()
}

fn changes(before: Option<&Part>, after: Option<&Part>) -> Vec<Change> {
    MEASURES
        .iter()
        .map(|one| Change {
            name: one.name,
            higher_is_better: one.higher_is_better,
            before: before.and_then(one.of),
            after: after.and_then(one.of),
        })
        .filter(|change| change.before.is_some() || change.after.is_some())
        .collect()
}

fn parameter_changes(before: &Run, after: &Run) -> Vec<ParameterChange> {
    let order: BTreeMap<&str, usize> =
        after.parameters.iter().enumerate().map(|(at, one)| (one.key.as_str(), at)).collect();
    let mut keys: Vec<&String> = before.values.keys().chain(after.values.keys()).collect();
    keys.sort_by_key(|key| (order.get(key.as_str()).copied().unwrap_or(usize::MAX), key.as_str()));
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| {
            let (old, new) = (before.values.get(key), after.values.get(key));
            let is_same = matches!((old, new), (Some(old), Some(new)) if parameters::same(old, new));
            (!is_same).then(|| ParameterChange { key: key.clone(), before: old.cloned(), after: new.cloned() })
        })
        .collect()
}

fn flips(matched: &[Matched<'_>], examples: &HashMap<&str, &Example>) -> Vec<Flip> {
    let mut flips: Vec<Flip> = matched
        .iter()
        .filter(|(old, new)| new.split == "validation" && old.decision() != new.decision())
        .map(|(old, new)| Flip {
            id: new.id.clone(),
            label: new.label,
            p_acceptable: [old.p_acceptable, new.p_acceptable],
            is_right: new.decision() == new.label,
            example: examples.get(new.id.as_str()).map(|example| (*example).clone()),
        })
        .collect();
    let moved = |flip: &Flip| (flip.p_acceptable[1] - flip.p_acceptable[0]).abs();
    flips.sort_by(|a, b| moved(b).total_cmp(&moved(a)).then_with(|| a.id.cmp(&b.id)));
    flips
}

impl Comparison {
    /// Validation, if either run was measured on it.
    pub fn validation(&self) -> Option<&ComparedPart> {
        self.parts.iter().find(|part| part.name == "validation")
    }

    /// The one sentence that says it.
    pub fn verdict(&self) -> String {
        use crate::number::{p_words, percent, signed, three};

        let Some(part) = self.validation() else { return "Neither run has metrics of validation.".to_owned() };
        let Some(mcc) = part.changes.iter().find(|change| change.name == "MCC") else {
            return "Neither run has an MCC on validation.".to_owned();
        };
        let (Some(before), Some(after)) = (mcc.before, mcc.after) else {
            return "Only one of the runs has an MCC on validation.".to_owned();
        };
        let moved = format!("MCC on validation {} → {} ({}", three(before), three(after), signed(after - before));
        let Some(tested) = &part.tested else { return format!("{moved}; not tested).") };
        let (low, high) = (tested.mcc.interval.low, tested.mcc.interval.high);
        let words = match (tested.mcc.p < 1.0 - self.confidence, tested.mcc.difference() > 0.0) {
            (true, true) => "better, and more than chance would explain",
            (true, false) => "worse, and more than chance would explain",
            (false, _) if tested.mcnemar.improved + tested.mcnemar.worsened == 0 => "every decision is the same",
            (false, _) => "no more than chance would explain",
        };
        format!(
            "{moved}, {} interval {} to {}, {}): {words}.",
            percent(self.confidence),
            signed(low),
            signed(high),
            p_words(tested.mcc.p)
        )
    }
}
