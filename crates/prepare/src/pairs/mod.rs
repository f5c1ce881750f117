//! Minimal pairs to begin with: sentences whose faults are known because they were made.
//!
//! A model that is to judge acceptability first learns to tell a sentence from its faulty twin, and only then from the
//! few thousand sentences that linguists have judged. The pairs come from three sources, and need no text beside the
//! corpus:
//!
//! - the project's own grammar ([`wellformed_starter`]), whose training part shares no content word with the split
//!   *phenomena*;
//! - constructions that were written down as templates ([`wellformed_starter::contrasts`]);
//! - each acceptable sentence of *train*, against itself with one fault ([`fault`]).
//!
//! A pair of which either sentence occurs in *tune*, *validation* or *phenomena* is left out, and one that *train*
//! judges otherwise.
//!
//! | module | |
//! |---|---|
//! | [`fault`] | the faults |
//! | [`words`] | which words can stand for which, and what other forms a word has |

pub mod fault;
pub mod words;

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use wellformed_core::dataset::{Domain, Split};
use wellformed_core::files::sha256_bytes;
use wellformed_core::label::Label;
use wellformed_core::params::PrepareStage;
use wellformed_starter::{Sizes, contrasts, generate};

use crate::corpus::Sentence;
use crate::error::PrepareError;
use crate::normal::normal_form;
use crate::split::Splits;

use words::Vocabulary;

/// How many pairs there are, and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of the grammar.
    pub grammar: usize,
    /// Of constructions.
    pub constructions: usize,
    /// Of a training sentence and its faulty copy.
    pub faulty_copies: usize,
    /// Pairs left out because a sentence of theirs occurs in another split.
    pub removed_for_other_splits: usize,
}

/// All pairs: those of the grammar, those of constructions, then those of the training sentences. The two sentences of a
/// pair are neighbours, the acceptable one first.
///
/// What is drawn for a training sentence depends on the seed, the sentence and the number of its copy alone, and on the
/// words of all of them: a corpus that grows changes few pairs.
///
/// # Errors
///
/// [`PrepareError::Input`] when the grammar cannot make as many pairs as `prepare.grammar_pairs` asks for.
pub fn pairs(splits: &Splits, stage: &PrepareStage) -> Result<(Vec<Sentence>, Counts), PrepareError> {
    let train = splits.get(&Split::Train).map_or(&[][..], Vec::as_slice);
    let reported: BTreeSet<&str> = splits
        .iter()
        .filter(|(split, _)| **split != Split::Train)
        .flat_map(|(_, sentences)| sentences.iter().map(|sentence| sentence.normal.as_str()))
        .collect();
    let of_grammar = grammar(stage)?;
    let vocabulary = Vocabulary::of(of_grammar.iter().flatten().chain(train).map(|sentence| sentence.text.as_str()));
    let copies = faulty_copies(train, &vocabulary, stage.prepare.faulty_copies, stage.seed);
    let of_constructions = constructions(train, stage)?;

    let is_elsewhere = |pair: &[Sentence; 2]| pair.iter().any(|it| reported.contains(it.normal.as_str()));
    let before = of_grammar.len() + of_constructions.len() + copies.len();
    let (mut all, mut counts) = (Vec::new(), Counts::default());
    for (pairs, count) in [
        (of_grammar, &mut counts.grammar),
        (of_constructions, &mut counts.constructions),
        (copies, &mut counts.faulty_copies),
    ] {
        for pair in pairs.into_iter().filter(|pair| !is_elsewhere(pair)) {
            *count += 1;
            all.extend(pair);
        }
    }
    counts.removed_for_other_splits = before - counts.grammar - counts.constructions - counts.faulty_copies;
    Ok((all, counts))
}

/// Pairs of the project's own grammar.
fn grammar(stage: &PrepareStage) -> Result<Vec<[Sentence; 2]>, PrepareError> {
    let sizes = Sizes { train_pairs: stage.prepare.grammar_pairs, validation_pairs: 0 };
    let corpus =
        generate(stage.seed, sizes).map_err(|error| PrepareError::input("prepare.grammar_pairs", error.to_string()))?;
    let sentences: Vec<Sentence> = (1..)
        .zip(corpus.train)
        .map(|(number, item)| Sentence {
            id: format!("grammar-{number}"),
            normal: normal_form(&item.sentence),
            text: item.sentence,
            label: if item.acceptable { Label::Acceptable } else { Label::Unacceptable },
            source: item.phenomenon.name().to_owned(),
            domain: Domain::In,
        })
        .collect();
    // The acceptable sentence of a pair stands before the other one.
    let mut pairs = Vec::with_capacity(sentences.len() / 2);
    let mut sentences = sentences.into_iter();
    while let (Some(one), Some(other)) = (sentences.next(), sentences.next()) {
        pairs.push([one, other]);
    }
    Ok(pairs)
}

/// Pairs of constructions that *train* does not contradict.
fn constructions(train: &[Sentence], stage: &PrepareStage) -> Result<Vec<[Sentence; 2]>, PrepareError> {
    let judged: BTreeSet<(&str, Label)> =
        train.iter().map(|sentence| (sentence.normal.as_str(), sentence.label)).collect();
    let contrasts = contrasts(stage.seed, stage.prepare.construction_pairs)
        .map_err(|error| PrepareError::input("prepare.construction_pairs", error.to_string()))?;
    let pairs = (1..).zip(contrasts).map(|(number, contrast)| {
        let named = |which, text: String, label| Sentence {
            id: format!("construction-{number}-{which}"),
            normal: normal_form(&text),
            text,
            label,
            source: contrast.topic.clone(),
            domain: Domain::In,
        };
        [
            named("good", contrast.good.clone(), Label::Acceptable),
            named("bad", contrast.bad.clone(), Label::Unacceptable),
        ]
    });
    let other = |label| if label == Label::Acceptable { Label::Unacceptable } else { Label::Acceptable };
    let is_as_judged = |pair: &[Sentence; 2]| {
        pair[0].normal != pair[1].normal
            && pair.iter().all(|sentence| !judged.contains(&(sentence.normal.as_str(), other(sentence.label))))
    };
    Ok(pairs.filter(is_as_judged).collect())
}

/// Each acceptable sentence with up to `copies` different faulty copies of it.
fn faulty_copies(train: &[Sentence], vocabulary: &Vocabulary, copies: usize, seed: u64) -> Vec<[Sentence; 2]> {
    // A copy that somebody has judged acceptable is no faulty one.
    let acceptable = || train.iter().filter(|sentence| sentence.label == Label::Acceptable);
    let known: BTreeSet<&str> = acceptable().map(|sentence| sentence.normal.as_str()).collect();
    let mut pairs = Vec::new();
    for sentence in acceptable() {
        let mut made = BTreeSet::new();
        for copy in 1..=copies {
            let mut random = random(seed, &sentence.normal, copy);
            let Some((fault, text)) = fault::damage(&sentence.text, vocabulary, &mut random) else { continue };
            let normal = normal_form(&text);
            if known.contains(normal.as_str()) || !made.insert(normal.clone()) {
                continue;
            }
            let named = |which| format!("{}-{copy}-{which}", sentence.id);
            let source = fault.name().to_owned();
            let domain = Domain::In;
            let whole = Sentence { id: named("whole"), source: source.clone(), domain, ..sentence.clone() };
            let faulty = Sentence { id: named("faulty"), text, label: Label::Unacceptable, source, domain, normal };
            pairs.push([whole, faulty]);
        }
    }
    pairs
}

/// The random numbers of one copy of a sentence.
fn random(seed: u64, normal: &str, copy: usize) -> ChaCha8Rng {
    let digest = sha256_bytes(format!("{seed} faulty copy {copy} {normal}").as_bytes());
    // Sixteen hexadecimal digits are 64 bits.
    let start = digest.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(seed);
    ChaCha8Rng::seed_from_u64(start)
}
