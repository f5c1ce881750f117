//! The split `phenomena`: minimal pairs that the project generates, a check list of single rules of grammar.

use wellformed_core::dataset::Domain;
use wellformed_core::label::Label;
use wellformed_starter::{Sizes, generate};

use crate::corpus::Sentence;
use crate::error::PrepareError;
use crate::normal::normal_form;

/// The seed of the check list. Fixed, and not that of params.yaml: a model is compared with another on the same
/// sentences, whatever the seeds and corpora they were trained with. Which words are kept for validation does not depend
/// on a seed, so a training part of the starter corpus never has them.
pub const SEED: u64 = 1;

/// Minimal pairs per phenomenon: enough that one pair more or less is two per cent.
pub const PAIRS: usize = 50;

/// The check list, in the starter corpus's order: its validation part, whose words its training part never uses.
pub(crate) fn sentences() -> Result<Vec<Sentence>, PrepareError> {
    let corpus = generate(SEED, Sizes { train_pairs: 0, validation_pairs: PAIRS })
        .map_err(|error| PrepareError::input("phenomena", error.to_string()))?;
    let sentences = (1..).zip(corpus.validation).map(|(number, item)| Sentence {
        id: format!("phenomena-{number}"),
        normal: normal_form(&item.sentence),
        text: item.sentence,
        label: if item.acceptable { Label::Acceptable } else { Label::Unacceptable },
        source: item.phenomenon.name().to_owned(),
        domain: Domain::In,
    });
    Ok(sentences.collect())
}
