//! Which sentence goes into which split: duplicates and leaks out, `tune` (and `validation`, if need be) cut off.
//!
//! - A training sentence that occurs again with the same label, letter by letter, is kept once. With both labels it is
//!   kept once with each: two linguists disagreed, and to drop either would be to decide.
//! - Validation and phenomena stay as they are, so that figures compare with published ones. A training sentence that
//!   occurs in them, compared by its normal form, is left out instead.
//! - A cut never separates sentences of the same normal form.
//! - Extra sentences are added to training after the cuts, so that *tune* and *validation* stay what they were and
//!   figures compare. What occurs in any other split is left out of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wellformed_core::dataset::Split;
use wellformed_core::files::sha256_bytes;
use wellformed_core::label::Label;
use wellformed_core::params::PrepareStage;

use crate::corpus::{Corpus, Sentence};
use crate::error::PrepareError;

/// What was found among the sentences, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cleaning {
    /// Training sentences that occur twice or more, letter by letter.
    pub duplicates: Duplicates,
    /// Training sentences that occur in a split that is reported on.
    pub leakage: Leakage,
    /// What became of the sentences of `data/extra/`, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Extra>,
    /// Rows with control characters, all kept.
    pub control_characters: usize,
}

/// Training sentences that occur more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Rows left out: the same letters, the same label as an earlier row.
    pub removed: usize,
    /// Sentences kept with both labels.
    pub kept_with_both_labels: usize,
    /// Rows kept although an earlier row has the same normal form, but other letters.
    pub kept_similar: usize,
    /// Validation rows whose normal form an earlier validation row has; validation stays as it is.
    pub kept_in_validation: usize,
}

/// Training rows left out because their normal form occurs in a split that is reported on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Leakage {
    /// In validation.
    pub removed_for_validation: usize,
    /// In phenomena, and not in validation.
    pub removed_for_phenomena: usize,
}

/// Sentences that are added for training.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Extra {
    /// Rows that were added.
    pub added: usize,
    /// Rows left out: the same letters, the same label as another training row.
    pub duplicates: usize,
    /// Rows left out because their normal form occurs in *tune*, validation or phenomena.
    pub removed_for_other_splits: usize,
}

/// All splits, in the order of [`Split::ALL`].
pub type Splits = BTreeMap<Split, Vec<Sentence>>;

/// Makes the four splits.
///
/// # Errors
///
/// [`PrepareError::Split`] when a split would be empty, or when the training sentences have one label only.
pub fn split(
    corpus: Corpus,
    phenomena: Vec<Sentence>,
    stage: &PrepareStage,
) -> Result<(Splits, Cleaning), PrepareError> {
    let mut cleaning = Cleaning { control_characters: corpus.controls.len(), ..Cleaning::default() };
    let mut train = without_duplicates(corpus.train, &mut cleaning.duplicates);
    let validation = if let Some(validation) = corpus.validation {
        cleaning.duplicates.kept_in_validation = validation.len() - forms(&validation).len();
        cleaning.leakage.removed_for_validation = remove(&mut train, &validation);
        validation
    } else {
        let (rest, validation) = cut(train, stage.prepare.validation_fraction, stage.seed, Split::Validation)?;
        train = rest;
        validation
    };
    cleaning.leakage.removed_for_phenomena = remove(&mut train, &phenomena);
    let (mut train, tune) = cut(train, stage.prepare.tune_fraction, stage.seed, Split::Tune)?;
    if !corpus.extra.is_empty() {
        cleaning.extra = Some(add(&mut train, corpus.extra, [&tune, &validation, &phenomena]));
    }
    for label in Label::ALL {
        if train.iter().all(|sentence| sentence.label != label) {
            let (index, name) = (label.index(), label.name());
            return Err(PrepareError::Split(format!(
                "none of its {} training sentences has the label {index} ({name}); a classifier needs both labels",
                train.len()
            )));
        }
    }
    let splits =
        [(Split::Train, train), (Split::Tune, tune), (Split::Validation, validation), (Split::Phenomena, phenomena)];
    Ok((splits.into(), cleaning))
}

fn without_duplicates(sentences: Vec<Sentence>, found: &mut Duplicates) -> Vec<Sentence> {
    let mut labels: BTreeMap<String, BTreeSet<Label>> = BTreeMap::new();
    let mut kept = Vec::with_capacity(sentences.len());
    for sentence in sentences {
        if labels.entry(sentence.text.clone()).or_default().insert(sentence.label) {
            kept.push(sentence);
        } else {
            found.removed += 1;
        }
    }
    found.kept_with_both_labels = labels.values().filter(|labels| labels.len() > 1).count();
    found.kept_similar = labels.len() - forms(&kept).len();
    kept
}

/// Adds to `train` what neither it nor another split has.
fn add(train: &mut Vec<Sentence>, mut extra: Vec<Sentence>, others: [&[Sentence]; 3]) -> Extra {
    let mut counts = Extra::default();
    for other in others {
        counts.removed_for_other_splits += remove(&mut extra, other);
    }
    let mut seen: BTreeSet<(String, Label)> =
        train.iter().map(|sentence| (sentence.text.clone(), sentence.label)).collect();
    let before = extra.len();
    extra.retain(|sentence| seen.insert((sentence.text.clone(), sentence.label)));
    counts.added = extra.len();
    counts.duplicates = before - extra.len();
    train.append(&mut extra);
    counts
}

fn forms(sentences: &[Sentence]) -> BTreeSet<&str> {
    sentences.iter().map(|sentence| sentence.normal.as_str()).collect()
}

/// Leaves out of `train` what occurs in `reported`; returns how many rows that were.
fn remove(train: &mut Vec<Sentence>, reported: &[Sentence]) -> usize {
    let (reported, before) = (forms(reported), train.len());
    train.retain(|sentence| !reported.contains(sentence.normal.as_str()));
    before - train.len()
}

/// Cuts a share out of sentences: `(rest, share)`, each in the order given.
///
/// The share has `fraction` of the sentences, rounded, in total. How many each stratum, a source and a label, gives is
/// settled by largest remainders. Which ones is drawn by SHA-256 of seed, split and normal form, so that a sentence's
/// place in the draw depends on nothing but itself: a corpus that grows is not shuffled anew. Sentences of one normal
/// form go together; where they have different labels, a stratum may differ from its number by one or two.
fn cut(
    sentences: Vec<Sentence>,
    fraction: f64,
    seed: u64,
    to: Split,
) -> Result<(Vec<Sentence>, Vec<Sentence>), PrepareError> {
    let total = (sentences.len() as f64 * fraction).round() as usize;
    if total == 0 || total == sentences.len() {
        return Err(PrepareError::Split(format!(
            "{fraction} of {} sentences (prepare.{}_fraction) would leave {} empty; give it more sentences, or another \
             fraction",
            sentences.len(),
            to.name(),
            if total == 0 { to.name() } else { Split::Train.name() },
        )));
    }
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut strata: BTreeMap<(&str, Label), usize> = BTreeMap::new();
    for (at, sentence) in sentences.iter().enumerate() {
        groups.entry(&sentence.normal).or_default().push(at);
        *strata.entry((&sentence.source, sentence.label)).or_default() += 1;
    }
    let mut open = shares(&strata, total, sentences.len());
    let mut drawn: Vec<(String, Vec<usize>)> = groups
        .into_iter()
        .map(|(form, members)| (sha256_bytes(format!("{seed} {} {form}", to.name()).as_bytes()), members))
        .collect();
    drawn.sort();

    let mut chosen = BTreeSet::new();
    for (_, members) in &drawn {
        let mut wanted: BTreeMap<(&str, Label), usize> = BTreeMap::new();
        for at in members {
            *wanted.entry((&sentences[*at].source, sentences[*at].label)).or_default() += 1;
        }
        if wanted.iter().all(|(stratum, count)| open[stratum] >= *count) {
            for (stratum, count) in wanted {
                *open.entry(stratum).or_default() -= count;
            }
            chosen.extend(members.iter().copied());
        }
    }
    // What strata of inseparable sentences could not give, any other gives.
    for (_, members) in &drawn {
        if !chosen.contains(&members[0]) && chosen.len() + members.len() <= total {
            chosen.extend(members.iter().copied());
        }
    }
    let (share, rest): (Vec<_>, Vec<_>) = sentences.into_iter().enumerate().partition(|(at, _)| chosen.contains(at));
    let plain = |part: Vec<(usize, Sentence)>| part.into_iter().map(|(_, sentence)| sentence).collect::<Vec<_>>();
    if share.is_empty() || rest.is_empty() {
        return Err(PrepareError::Split(format!("its sentences are too much alike to cut {} out of it", to.name())));
    }
    Ok((plain(rest), plain(share)))
}

/// Divides `total` among strata in proportion to their sizes: whole parts first, then one each to the largest
/// remainders; of equal remainders, to the larger stratum.
fn shares<K: Ord + Copy>(strata: &BTreeMap<K, usize>, total: usize, all: usize) -> BTreeMap<K, usize> {
    let mut shares: BTreeMap<K, usize> = strata.iter().map(|(key, size)| (*key, size * total / all)).collect();
    let mut order: Vec<(K, usize)> = strata.iter().map(|(key, size)| (*key, *size)).collect();
    order.sort_by(|(one, a), (other, b)| (b * total % all).cmp(&(a * total % all)).then(b.cmp(a)).then(one.cmp(other)));
    let left = total - shares.values().sum::<usize>();
    for (key, _) in order.into_iter().take(left) {
        *shares.entry(key).or_default() += 1;
    }
    shares
}
