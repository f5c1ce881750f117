//! One fault in a sentence.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::words::Vocabulary;

/// Fewest words of a sentence that loses one or has them moved.
const FEWEST: usize = 4;
/// How often a fault is drawn before a sentence is given up: not every fault can be made in every sentence.
const TRIES: usize = 20;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Two neighbours have changed places.
    Swapped,
    /// A word stands elsewhere.
    Moved,
    /// A word is missing.
    Missing,
    /// A function word is missing.
    FunctionWordMissing,
    /// A function word too many.
    FunctionWordAdded,
    /// Another function word of its kind.
    FunctionWordConfused,
    /// Another form of the word.
    Inflection,
    /// Another word.
    Replaced,
}

impl Fault {
    /// All faults, each with how often it is tried in relation to the others.
    pub const ALL: [(Self, f64); 8] = [
        (Self::Swapped, 2.0),
        (Self::Moved, 2.0),
        (Self::Missing, 1.0),
        (Self::FunctionWordMissing, 2.5),
        (Self::FunctionWordAdded, 1.5),
        (Self::FunctionWordConfused, 3.0),
        (Self::Inflection, 4.0),
        (Self::Replaced, 1.5),
    ];

    /// As it stands in the column `source`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Moved => "moved",
            Self::Missing => "missing",
            Self::FunctionWordMissing => "function_word_missing",
            Self::FunctionWordAdded => "function_word_added",
            Self::FunctionWordConfused => "function_word_confused",
            Self::Inflection => "inflection",
            Self::Replaced => "replaced",
        }
    }
}

/// The sentence with one fault; `None` if it is too short for any.
///
/// Its final mark stays where it is, and so does the capital at its start, unless that belongs to a name: neither must
/// give the fault away.
pub fn damage(sentence: &str, vocabulary: &Vocabulary, random: &mut impl Rng) -> Option<(Fault, String)> {
    let body = sentence.trim().trim_end_matches(['.', '?', '!']);
    let mark = &sentence.trim()[body.len()..];
    let mut words: Vec<String> = body.split_whitespace().map(str::to_owned).collect();
    let first = words.first_mut()?;
    let capital = first.chars().next().is_some_and(char::is_uppercase);
    // `I` is written so everywhere.
    if capital && first != "I" && vocabulary.is_function(&first.to_lowercase()) {
        *first = first.to_lowercase();
    }
    for _ in 0..TRIES {
        let (fault, _) = Fault::ALL.choose_weighted(random, |(_, weight)| *weight).ok()?;
        let mut damaged = words.clone();
        if apply(*fault, &mut damaged, vocabulary, random).is_some() && damaged != words {
            let mut text = damaged.join(" ");
            if capital && let Some(letter) = text.chars().next() {
                text.replace_range(..letter.len_utf8(), &letter.to_uppercase().to_string());
            }
            return Some((*fault, text + mark));
        }
    }
    None
}

/// Makes the fault; `None` if it cannot be made in these words.
fn apply(fault: Fault, words: &mut Vec<String>, vocabulary: &Vocabulary, random: &mut impl Rng) -> Option<()> {
    let count = words.len();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let mut places = |wanted: &dyn Fn(&str) -> bool| -> Option<usize> {
        let found: Vec<usize> = (0..count).filter(|place| wanted(&lower[*place])).collect();
        found.choose(random).copied()
    };
    match fault {
        Fault::Swapped | Fault::Moved | Fault::Missing | Fault::FunctionWordMissing if count < FEWEST => None,
        Fault::Swapped => {
            let place = random.random_range(0..count - 1);
            (lower[place] != lower[place + 1]).then(|| words.swap(place, place + 1))
        }
        Fault::Moved => {
            let (from, to) = (random.random_range(0..count), random.random_range(0..count));
            (from.abs_diff(to) > 1).then(|| {
                let word = words.remove(from);
                words.insert(to, word);
            })
        }
        Fault::Missing => {
            words.remove(random.random_range(0..count));
            Some(())
        }
        Fault::FunctionWordMissing => {
            words.remove(places(&|word| vocabulary.is_function(word))?);
            Some(())
        }
        Fault::FunctionWordAdded => {
            words.insert(random.random_range(1..=count), vocabulary.any_function_word(random).to_owned());
            Some(())
        }
        Fault::FunctionWordConfused => {
            let place = places(&|word| !vocabulary.confused_with(word).is_empty())?;
            let others = vocabulary.confused_with(&lower[place]);
            (*others.choose(random)?).clone_into(&mut words[place]);
            Some(())
        }
        Fault::Inflection => {
            let place = places(&|word| !vocabulary.other_forms(word).is_empty())?;
            words[place].clone_from(vocabulary.other_forms(&lower[place]).choose(random)?);
            Some(())
        }
        Fault::Replaced => {
            let place = places(&|word| !vocabulary.is_function(word))?;
            vocabulary.any_content_word(random)?.clone_into(&mut words[place]);
            Some(())
        }
    }
}
