//! As many new pairs of each phenomenon as were asked for.

use std::collections::HashSet;

use crate::error::StarterError;
use crate::grammar::Draw;
use crate::lexicon::{Lexicon, Part};
use crate::phenomena::Phenomenon;

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

fn part(seed: u64, part: Part, pairs: usize, seen: &mut HashSet<String>) -> Result<Vec<Item>, StarterError> {
    let lexicon = Lexicon::new(part);
    let mut items = Vec::with_capacity(2 * pairs * Phenomenon::ALL.len());
    for phenomenon in Phenomenon::ALL {
        let stream = 2 * phenomenon as u64 + part as u64;
        let mut draw = Draw::new(seed, stream, &lexicon);
        let (mut found, mut in_vain) = (0, 0);
        while found < pairs {
            draw.clear();
            let pair = phenomenon.pair(&mut draw);
            let (good, bad) = (normal(&pair.good), normal(&pair.bad));
            if good == bad || seen.contains(&good) || seen.contains(&bad) {
                in_vain += 1;
                if in_vain == PATIENCE {
                    return Err(StarterError::TooLarge {
                        phenomenon,
                        part: part.name(),
                        asked: pairs,
                        possible: found,
                    });
                }
                continue;
            }
            in_vain = 0;
            seen.extend([good, bad]);
            for (sentence, acceptable) in [(pair.good, true), (pair.bad, false)] {
                items.push(Item { sentence, acceptable, phenomenon, pair: found });
            }
            found += 1;
        }
    }
    Ok(items)
}

/// What two sentences have in common that count as the same.
fn normal(sentence: &str) -> String {
    sentence.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
