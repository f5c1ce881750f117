//! The order of token classes in a corpus, and what it says of a sentence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::class::{CLASSES, CONTINUATION, FREQUENT, class};

/// The version of the form that a [`Reference`] is stored in.
pub const FORMAT: u32 = 1;

/// Frequent tokens that count for [`Signals::frequent_share`]: few enough that hardly any word of content is among
/// them, so that it is the share of function words and signs.
const FUNCTION: usize = 60;

/// Surprise is stored in steps of 1/16 bit; a byte reaches 15.9 bits.
const STEPS: f64 = 16.0;

/// What a class's successors are worth beside the corpus's overall frequencies, in observations (a Dirichlet prior:
/// `MacKay` and Peto 1995, A hierarchical Dirichlet language model).
const PRIOR: f64 = 8.0;

/// Token classes and the surprise of each after each other, of one corpus and one vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Reference {
    /// Class by token id.
    classes: Vec<u8>,
    /// In sixteenths of a bit: row by row, the class that comes first, then the one that follows.
    surprise: Vec<u8>,
}

/// What [`Reference::signals`] says of a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals {
    /// Tokens for each token that starts a word or is a sign; 1 when no word had to be taken apart.
    pub pieces_per_word: f64,
    /// Share of the tokens that is among the corpus's 60 most frequent, from 0 to 1.
    pub frequent_share: f64,
    /// Mean surprise of a token's class after the class before it, −log₂ P, in bits, the sentence's start and end
    /// included.
    pub surprise: f64,
}

/// Why there is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// A sentence has a token that the vocabulary does not have.
    #[error("token id {id}, but the vocabulary ends with {last}: sentences and vocabulary do not belong together")]
    Token {
        /// The id.
        id: u32,
        /// The last id of the vocabulary.
        last: usize,
    },
    /// Too little to count.
    #[error("{0} tokens in all sentences together, but a reference needs at least 1000")]
    TooSmall(u64),
    /// A stored reference that cannot be one.
    #[error("signals: {field} is {found}, but must be {expected}; export the bundle again")]
    Stored {
        /// Which part of it.
        field: &'static str,
        /// What was found.
        found: String,
        /// What it has to be.
        expected: String,
    },
}

impl Reference {
    /// Counts a corpus. `sentences` are token ids with `[CLS]` and `[SEP]` (or whatever a model has in their place), as
    /// the model gets them; `vocabulary` is the text of each token by its id, with `##` before a later piece of a word.
    ///
    /// The same sentences in another order give the same reference.
    ///
    /// # Errors
    ///
    /// [`SignalError::Token`], [`SignalError::TooSmall`].
    pub fn build<S: AsRef<[u32]>>(sentences: &[S], vocabulary: &[String]) -> Result<Self, SignalError> {
        let mut counts = vec![0_u64; vocabulary.len()];
        for &id in sentences.iter().flat_map(AsRef::as_ref) {
            let token = counts.get_mut(id as usize);
            *token.ok_or(SignalError::Token { id, last: vocabulary.len().saturating_sub(1) })? += 1;
        }
        let total: u64 = counts.iter().sum();
        if total < 1000 {
            return Err(SignalError::TooSmall(total));
        }
        let mut classes: Vec<u8> =
            vocabulary.iter().zip(&counts).map(|(token, &count)| class(token, count > 0) as u8).collect();
        for (place, id) in most_frequent(&counts, vocabulary).into_iter().enumerate() {
            classes[id] = place as u8;
        }
        let mut after = vec![0_u64; CLASSES * CLASSES];
        let mut overall = vec![0_u64; CLASSES];
        for sentence in sentences {
            for pair in sentence.as_ref().windows(2) {
                let [first, second] = [pair[0], pair[1]].map(|id| usize::from(classes[id as usize]));
                after[first * CLASSES + second] += 1;
                overall[second] += 1;
            }
        }
        // One more of each, so that nothing is impossible.
        let all = (overall.iter().sum::<u64>() + CLASSES as u64) as f64;
        let prior: Vec<f64> = overall.iter().map(|&count| (count + 1) as f64 / all).collect();
        let mut surprise = Vec::with_capacity(CLASSES * CLASSES);
        for row in after.chunks(CLASSES) {
            let seen = row.iter().sum::<u64>() as f64;
            surprise.extend(row.iter().zip(&prior).map(|(&count, prior)| {
                let probability = (count as f64 + PRIOR * prior) / (seen + PRIOR);
                (-probability.log2() * STEPS).round().clamp(0.0, 255.0) as u8
            }));
        }
        Ok(Self { classes, surprise })
    }

    /// The signals of a sentence's token ids, with what the tokenizer puts first and last. `None` for fewer than three
    /// tokens: there is no word then.
    ///
    /// A token that the vocabulary does not have, which only a wrong tokenizer can give, counts as a later piece of a
    /// word.
    pub fn signals(&self, ids: &[u32]) -> Option<Signals> {
        let inner = ids.len().checked_sub(2).filter(|&inner| inner > 0)?;
        let class = |id: u32| self.classes.get(id as usize).map_or(CONTINUATION, |&class| usize::from(class));
        let (mut frequent, mut continuations, mut surprise) = (0_usize, 0_usize, 0_u64);
        let mut before = class(ids[0]);
        for (place, &id) in ids.iter().enumerate().skip(1) {
            let now = class(id);
            surprise += u64::from(self.surprise[before * CLASSES + now]);
            if place <= inner {
                frequent += usize::from(now < FUNCTION);
                // Where a vocabulary marks words rather than later pieces, a sentence's first word has no mark.
                continuations += usize::from(now == CONTINUATION && place > 1);
            }
            before = now;
        }
        Some(Signals {
            pieces_per_word: inner as f64 / (inner - continuations).max(1) as f64,
            frequent_share: frequent as f64 / inner as f64,
            surprise: surprise as f64 / STEPS / (ids.len() - 1) as f64,
        })
    }

    /// Entries of the vocabulary that it was made for.
    pub fn vocabulary(&self) -> usize {
        self.classes.len()
    }
}

/// The tokens that get a class of their own, the most frequent first; of equally frequent ones, the lower id. Later
/// pieces of words are none, whatever they spell.
fn most_frequent(counts: &[u64], vocabulary: &[String]) -> Vec<usize> {
    let mut ids: Vec<usize> =
        (0..counts.len()).filter(|&id| counts[id] > 0 && !vocabulary[id].starts_with("##")).collect();
    ids.sort_by_key(|&id| (std::cmp::Reverse(counts[id]), id));
    ids.truncate(FREQUENT);
    ids
}

/// As it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    /// A byte for each token id, in base64.
    classes: String,
    /// A byte for each pair of classes, in base64.
    surprise: String,
}

impl From<Reference> for Stored {
    fn from(reference: Reference) -> Self {
        Self {
            format: FORMAT,
            classes: STANDARD.encode(reference.classes),
            surprise: STANDARD.encode(reference.surprise),
        }
    }
}

impl TryFrom<Stored> for Reference {
    type Error = SignalError;

    fn try_from(stored: Stored) -> Result<Self, SignalError> {
        let wrong = |field, found: String, expected: String| SignalError::Stored { field, found, expected };
        if stored.format != FORMAT {
            return Err(wrong("format", stored.format.to_string(), FORMAT.to_string()));
        }
        let bytes = |field, text: &str| {
            STANDARD.decode(text).map_err(|error| wrong(field, format!("not base64 ({error})"), "base64".to_owned()))
        };
        let (classes, surprise) = (bytes("classes", &stored.classes)?, bytes("surprise", &stored.surprise)?);
        if surprise.len() != CLASSES * CLASSES {
            return Err(wrong(
                "surprise",
                format!("{} bytes long", surprise.len()),
                format!("{} bytes long", CLASSES * CLASSES),
            ));
        }
        if let Some(&class) = classes.iter().find(|&&class| usize::from(class) >= CLASSES) {
            return Err(wrong("classes", format!("a list with class {class}"), format!("below {CLASSES}")));
        }
        Ok(Self { classes, surprise })
    }
}
