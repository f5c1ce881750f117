//! The families of encoders that a base model can be of, and everything in which one differs from another.
//!
//! All of them are BERT's encoder: word, position and type embeddings, then layers of self-attention and feed-forward.
//! What differs is here and nowhere else: how tensors are called, where positions start, what the family's own head for
//! a sentence looks like, and how its vocabulary writes words. Code asks a [`Family`] or a [`Vocabulary`] for what it
//! needs and does not ask which one it has, so that a further family is a further arm in this file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A family of encoders, under the name that `config.json` has for it in `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Family {
    /// BERT (Devlin et al. 2019), and what has its tensors, such as `MiniLM`.
    #[default]
    Bert,
    /// ELECTRA (Clark et al. 2020): embeddings may be narrower than the hidden states.
    Electra,
    /// `RoBERTa` (Liu et al. 2019): bytes as an alphabet, no types, positions that start behind the padding's id.
    Roberta,
}

/// `model_type` is none that can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model_type is {found:?}, but must be {}", Family::supported())]
pub struct UnknownFamily {
    /// What was found.
    pub found: String,
}

/// What a family's own classifier does with the state of the first token: a dense layer, then this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstTokenHead {
    /// Follows the dense layer.
    pub activation: HeadActivation,
    /// Whether the dense layer comes with the base model, as BERT's pooler does, or starts from new values.
    pub is_pretrained: bool,
}

/// The activation of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadActivation {
    /// tanh(x)
    Tanh,
    /// x·Φ(x), with the error function.
    Gelu,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bert, Self::Electra, Self::Roberta];

    /// The name in `config.json`, which is also what stands before the names of the encoder's tensors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Electra => "electra",
            Self::Roberta => "roberta",
        }
    }

    /// All names, for messages.
    pub fn supported() -> String {
        let [first, second, last] = Self::ALL.map(|family| format!("{:?}", family.name()));
        format!("{first}, {second} or {last}")
    }

    /// The family of a `model_type`.
    ///
    /// # Errors
    ///
    /// [`UnknownFamily`] names those that there are.
    pub fn from_name(name: &str) -> Result<Self, UnknownFamily> {
        let found = Self::ALL.into_iter().find(|family| family.name() == name);
        found.ok_or_else(|| UnknownFamily { found: name.to_owned() })
    }

    /// How its tokenizer writes words.
    pub fn vocabulary(self) -> Vocabulary {
        match self {
            Self::Bert | Self::Electra => Vocabulary::WordPiece,
            Self::Roberta => Vocabulary::ByteLevel,
        }
    }

    /// The row of the position table that a sentence's first token gets. `RoBERTa` counts from behind the padding's id
    /// (`padding_idx + 1` in fairseq), so that this many rows of its table are never used.
    pub fn first_position(self, pad_token_id: usize) -> usize {
        match self {
            Self::Bert | Self::Electra => 0,
            Self::Roberta => pad_token_id + 1,
        }
    }

    /// The id of the padding token where `config.json` does not say.
    pub fn default_pad_token_id(self) -> usize {
        match self {
            Self::Bert | Self::Electra => 0,
            Self::Roberta => 1,
        }
    }

    /// Whether the embeddings may have a width of their own and a projection to that of the hidden states.
    pub fn projects_embeddings(self) -> bool {
        self == Self::Electra
    }

    /// The head of `…ForSequenceClassification` in transformers.
    pub fn first_token_head(self) -> FirstTokenHead {
        match self {
            Self::Bert => FirstTokenHead { activation: HeadActivation::Tanh, is_pretrained: true },
            Self::Electra => FirstTokenHead { activation: HeadActivation::Gelu, is_pretrained: false },
            Self::Roberta => FirstTokenHead { activation: HeadActivation::Tanh, is_pretrained: false },
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl From<Family> for String {
    fn from(family: Family) -> Self {
        family.name().to_owned()
    }
}

impl TryFrom<String> for Family {
    type Error = UnknownFamily;

    fn try_from(name: String) -> Result<Self, UnknownFamily> {
        Self::from_name(&name)
    }
}

/// How a tokenizer's vocabulary writes words, and which tokens stand for no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// `WordPiece`: `un ##likely`, between `[CLS]` and `[SEP]`.
    WordPiece,
    /// Byte-level BPE: `Ġun likely`, where `Ġ` is the space before a word, between `<s>` and `</s>`.
    ByteLevel,
}

/// Tokens that stand for no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Fills up a batch.
    pub padding: &'static str,
    /// A word that the vocabulary cannot spell.
    pub unknown: &'static str,
    /// Before a sentence.
    pub start: &'static str,
    /// After a sentence.
    pub end: &'static str,
    /// A word that is hidden.
    pub mask: &'static str,
}

impl SpecialTokens {
    /// In the order in which a new `WordPiece` vocabulary starts.
    pub const fn all(self) -> [&'static str; 5] {
        [self.padding, self.unknown, self.start, self.end, self.mask]
    }
}

/// What a later piece of a word starts with in a `WordPiece` vocabulary.
pub const CONTINUATION: &str = "##";

/// The space before a word in a byte-level vocabulary.
pub const SPACE: char = 'Ġ';

impl Vocabulary {
    /// The tokens that stand for no text.
    pub const fn special(self) -> SpecialTokens {
        match self {
            Self::WordPiece => {
                SpecialTokens { padding: "[PAD]", unknown: "[UNK]", start: "[CLS]", end: "[SEP]", mask: "[MASK]" }
            }
            Self::ByteLevel => {
                SpecialTokens { padding: "<pad>", unknown: "<unk>", start: "<s>", end: "</s>", mask: "<mask>" }
            }
        }
    }

    /// An entry of the vocabulary as `WordPiece` would write it: a word's first piece as it is, a later one behind
    /// [`CONTINUATION`].
    ///
    /// A byte-level vocabulary marks the space before a word, not the piece that continues one, so an entry without the
    /// mark may be either. A sign continues nothing (`.` after a word), and neither does a capital letter, which starts
    /// a sentence far more often than it stands within a word; everything else without the mark does.
    pub fn as_word_piece(self, entry: &str) -> String {
        match self {
            Self::WordPiece => entry.to_owned(),
            Self::ByteLevel => {
                // A space by itself is an entry as well.
                let rest = entry.strip_prefix(SPACE).filter(|rest| !rest.is_empty()).unwrap_or(entry);
                let starts = entry.starts_with(SPACE) || self.special().all().contains(&entry);
                let continues = entry
                    .chars()
                    .next()
                    .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit() || !first.is_ascii());
                if !starts && continues { format!("{CONTINUATION}{rest}") } else { rest.to_owned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_read_and_written_under_its_model_type() {
        for family in Family::ALL {
            let json = serde_json::to_string(&family).unwrap_or_default();
            assert_eq!(json, format!("{:?}", family.name()));
            assert_eq!(serde_json::from_str::<Family>(&json).ok(), Some(family));
        }
        let error = serde_json::from_str::<Family>("\"gpt2\"").map_err(|error| error.to_string());
        let said = "model_type is \"gpt2\", but must be \"bert\", \"electra\" or \"roberta\"";
        assert_eq!(error, Err(said.to_owned()));
    }

    #[test]
    fn a_byte_level_entry_continues_a_word_unless_it_has_a_space_a_capital_or_is_a_sign() {
        let pieces = ["Ġcat", "s", "The", ".", "Ġ", "84", "Ġ19", "Ã©", "<s>", "'t"];
        let written = pieces.map(|piece| Vocabulary::ByteLevel.as_word_piece(piece));
        assert_eq!(written, ["cat", "##s", "The", ".", "Ġ", "##84", "19", "##Ã©", "<s>", "'t"]);
        assert_eq!(Vocabulary::WordPiece.as_word_piece("##s"), "##s");
    }
}
