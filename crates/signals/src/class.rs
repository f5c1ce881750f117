//! Which tokens are alike: the classes whose order [`Reference`](crate::Reference) counts.
//!
//! Each of the most frequent tokens, which are function words and signs for the most part, is a class of its own: their
//! order is what makes a sentence. All others are grouped by what can be seen of them without a dictionary, above all
//! by ending, which in English tells parts of speech apart. In a language without such endings fewer classes fill, and
//! the order of frequent tokens remains.

/// Tokens that are a class of their own.
pub(crate) const FREQUENT: usize = 150;

/// Endings that make a class, in the order in which they are tried.
const ENDINGS: [&str; 16] =
    ["ing", "ed", "ly", "s", "er", "est", "ion", "ity", "ness", "al", "ive", "ous", "ful", "able", "y", "en"];

/// Letters that a word has before its ending: `ring` does not end in *-ing*.
const STEM: usize = 3;

/// Later pieces of a word, which WordPiece writes with `##`.
pub(crate) const CONTINUATION: usize = FREQUENT;
const DIGITS: usize = FREQUENT + 1;
const FOREIGN: usize = FREQUENT + 2;
const SIGN: usize = FREQUENT + 3;
const SEEN: usize = FREQUENT + 4;
const UNSEEN: usize = FREQUENT + 5;
const FIRST_ENDING: usize = FREQUENT + 6;

/// All classes.
pub(crate) const CLASSES: usize = FIRST_ENDING + ENDINGS.len();

const _: () = assert!(CLASSES <= 256, "a class is stored in a byte");

/// The class of a token that is not among the most frequent.
pub(crate) fn class(token: &str, seen: bool) -> usize {
    if token.starts_with("##") {
        CONTINUATION
    } else if token.bytes().all(|byte| byte.is_ascii_digit()) {
        DIGITS
    } else if !token.is_ascii() {
        FOREIGN
    } else if !token.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        SIGN
    } else {
        let ending = ENDINGS.iter().position(|ending| token.ends_with(ending) && token.len() >= ending.len() + STEM);
        ending.map_or(if seen { SEEN } else { UNSEEN }, |place| FIRST_ENDING + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_counts_only_behind_a_stem() {
        assert_eq!(class("running", true), class("sleeping", false));
        assert_ne!(class("ring", true), class("running", true));
        assert_ne!(class("baker", true), class("bakers", true));
    }

    #[test]
    fn later_pieces_numbers_and_signs_are_classes_whatever_they_spell() {
        assert_eq!(class("##ing", true), CONTINUATION);
        assert_eq!(class("1984", true), DIGITS);
        assert_eq!(class(";", true), SIGN);
        assert_eq!(class("größe", true), FOREIGN);
    }
}
