//! As many new pairs of each phenomenon as were asked for.

use std::collections::HashSet;

use crate::error::StarterError;
use crate::grammar::Draw;
use crate::lexicon::{Lexicon, Part};
use crate::phenomena::{Pair, Phenomenon};

/// How many pairs in a row may bring nothing new before the grammar counts as exhausted.
const PATIENCE: usize = 2_000;

/// A sentence with its judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The sentence, from its capital to its full stop or question mark.
    pub sentence: String,
    /// Whether a speaker accepts it.
    pub acceptable: bool,
    /// What decides that.
    pub phenomenon: Phenomenon,
    /// Which of its phenomenon's pairs in this part it belongs to, from 0.
    pub pair: usize,
}

/// Minimal pairs per phenomenon; the sentences are twice as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// For training.
    pub train_pairs: usize,
    /// For validation, made of other content words.
    pub validation_pairs: usize,
}

/// By default 300 pairs for training and 50 for validation.
impl Default for Sizes {
    fn default() -> Self {
        Self { train_pairs: 300, validation_pairs: 50 }
    }
}

/// A generated corpus: the phenomena in the order of [`Phenomenon::ALL`], their pairs one after the other, the acceptable
/// sentence first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// For training.
    pub train: Vec<Item>,
    /// For validation.
    pub validation: Vec<Item>,
}

/// Generates a corpus; no sentence occurs in it twice, not even in other capitals.
///
/// # Errors
///
/// When the grammar cannot make as many different pairs of a phenomenon.
pub fn generate(seed: u64, sizes: Sizes) -> Result<Corpus, StarterError> {
    let mut seen = HashSet::new();
    // Validation first: so it stays the same whatever the size of the training part.
    let validation = part(seed, Part::Validation, sizes.validation_pairs, &mut seen)?;
    let train = part(seed, Part::Train, sizes.train_pairs, &mut seen)?;
    Ok(Corpus { train, validation })
}

fn part(seed: u64, part: Part, asked: usize, seen: &mut HashSet<String>) -> Result<Vec<Item>, StarterError> {
    let lexicon = Lexicon::new(part);
    let mut items = Vec::new();
    for phenomenon in Phenomenon::ALL {
        let stream = 2 * phenomenon as u64 + part as u64;
        let mut draw = Draw::new(seed, stream, &lexicon);
        let next = || {
            draw.clear();
            phenomenon.pair(&mut draw)
        };
        let pairs = new_pairs(asked, seen, next).map_err(|possible| {
            let part = part.name();
            StarterError::TooLarge { phenomenon, part, asked, possible }
        })?;
        for (number, Pair { good, bad }) in pairs.into_iter().enumerate() {
            for (sentence, acceptable) in [(good, true), (bad, false)] {
                items.push(Item { sentence, acceptable, phenomenon, pair: number });
            }
        }
    }
    Ok(items)
}

/// As many pairs as are `asked` for, both sentences of each not `seen` before; the number there is, if that is less.
fn new_pairs(asked: usize, seen: &mut HashSet<String>, mut next: impl FnMut() -> Pair) -> Result<Vec<Pair>, usize> {
    let mut pairs = Vec::new();
    let mut in_vain = 0;
    while pairs.len() < asked {
        let pair = next();
        let (good, bad) = (normal(&pair.good), normal(&pair.bad));
        if good != bad && !seen.contains(&good) && !seen.contains(&bad) {
            seen.extend([good, bad]);
            pairs.push(pair);
            in_vain = 0;
        } else {
            in_vain += 1;
            if in_vain == PATIENCE {
                return Err(pairs.len());
            }
        }
    }
    Ok(pairs)
}

/// What two sentences have in common that count as the same.
fn normal(sentence: &str) -> String {
    sentence.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_that_runs_out_says_how_many_pairs_it_has() {
        let seven = || {
            let mut number = 0;
            move || {
                number = (number + 1) % 7;
                Pair { good: format!("Good {number}."), bad: format!("Bad {number}.") }
            }
        };
        assert_eq!(new_pairs(8, &mut HashSet::new(), seven()), Err(7));
        assert_eq!(new_pairs(7, &mut HashSet::new(), seven()).map(|pairs| pairs.len()), Ok(7));
    }

    #[test]
    fn a_pair_is_new_only_if_both_of_its_sentences_are() {
        let old = || Pair { good: "New.".to_owned(), bad: "Old  one.".to_owned() };
        let mut seen = HashSet::from(["old one.".to_owned()]);
        assert_eq!(new_pairs(1, &mut seen, old), Err(0));
    }

    #[test]
    fn the_refusal_names_phenomenon_part_size_and_what_is_possible() {
        let phenomenon = Phenomenon::Islands;
        let error = StarterError::TooLarge { phenomenon, part: Part::Validation.name(), asked: 900, possible: 812 };
        for part in ["islands", "validation", "900", "812"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
