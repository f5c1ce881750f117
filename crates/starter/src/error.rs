//! What can go wrong: the grammar runs out of sentences, or the constructions are not written as they should be.

use thiserror::Error;

use crate::phenomena::Phenomenon;

/// Why a corpus could not be generated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StarterError {
    /// The grammar and this half of the lexicon make fewer pairs than were asked for.
    #[error(
        "the starter corpus has no {asked} {part} pairs of {}: {possible} is the most that its grammar and lexicon make \
         of them with this seed; ask for {possible} {part} pairs per phenomenon or fewer",
        phenomenon.name()
    )]
    TooLarge {
        /// The phenomenon that ran out first.
        phenomenon: Phenomenon,
        /// `training` or `validation`.
        part: &'static str,
        /// The pairs that were asked for.
        asked: usize,
        /// The pairs that were found before nothing new came any more.
        possible: usize,
    },
    /// `constructions.txt` does not keep to its format.
    #[error("constructions.txt, line {line}: {reason}")]
    Construction {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}
