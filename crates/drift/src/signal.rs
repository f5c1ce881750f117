//! The numbers that are watched.

use serde::{Deserialize, Serialize};
use wellformed_core::label::Label;

use crate::observation::Features;

/// A number that every prediction has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Tokens that the model saw.
    Tokens,
    /// Characters of the sentence.
    Characters,
    /// Share of the tokens that the vocabulary does not have.
    UnknownShare,
    /// Share of the characters that is not ASCII.
    NonAsciiShare,
    /// Whether the sentence was cut: 1 or 0.
    Truncated,
    /// Tokens for each word ([`wellformed_signals::Signals::pieces_per_word`]).
    PiecesPerWord,
    /// Share of frequent tokens ([`wellformed_signals::Signals::frequent_share`]).
    FrequentShare,
    /// Surprise at the order of tokens, in bits ([`wellformed_signals::Signals::surprise`]).
    Surprise,
    /// The calibrated probability of *acceptable*.
    PAcceptable,
    /// The decision: 1 for *acceptable*, or 0.
    Label,
}

/// How a signal is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ordered number: the Kolmogorov-Smirnov statistic.
    Number,
    /// One of the values 0 and 1: χ².
    Flag,
}

/// Signals are compared to four decimals, in the profile and in operation alike, so that equal numbers stay equal.
const DECIMALS: f64 = 1e4;

impl Signal {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Tokens,
        Self::Characters,
        Self::UnknownShare,
        Self::NonAsciiShare,
        Self::Truncated,
        Self::PiecesPerWord,
        Self::FrequentShare,
        Self::Surprise,
        Self::PAcceptable,
        Self::Label,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Characters => "characters",
            Self::UnknownShare => "unknown_share",
            Self::NonAsciiShare => "non_ascii_share",
            Self::Truncated => "truncated",
            Self::PiecesPerWord => "pieces_per_word",
            Self::FrequentShare => "frequent_share",
            Self::Surprise => "surprise",
            Self::PAcceptable => "p_acceptable",
            Self::Label => "label",
        }
    }

    /// What it is, for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokens => "length in tokens",
            Self::Characters => "length in characters",
            Self::UnknownShare => "share of unknown tokens",
            Self::NonAsciiShare => "share of characters beyond ASCII",
            Self::Truncated => "share of sentences that were cut",
            Self::PiecesPerWord => "tokens for each word",
            Self::FrequentShare => "share of frequent tokens (function words and signs)",
            Self::Surprise => "surprise at the order of words, in bits",
            Self::PAcceptable => "probability of acceptable",
            Self::Label => "share of sentences called acceptable",
        }
    }

    /// How it is compared.
    pub fn kind(self) -> Kind {
        match self {
            Self::Truncated | Self::Label => Kind::Flag,
            _ => Kind::Number,
        }
    }

    /// Its value for a prediction, to four decimals. `None` when it was not recorded or is not finite.
    pub fn of(self, features: &Features) -> Option<f64> {
        let flag = |value: bool| f64::from(u8::from(value));
        let value = match self {
            Self::Tokens => f64::from(features.tokens),
            Self::Characters => f64::from(features.characters?),
            Self::UnknownShare => f64::from(features.unknown_tokens) / f64::from(features.tokens.max(1)),
            Self::NonAsciiShare => features.non_ascii_share?,
            Self::Truncated => flag(features.truncated),
            Self::PiecesPerWord => features.signals?.pieces_per_word,
            Self::FrequentShare => features.signals?.frequent_share,
            Self::Surprise => features.signals?.surprise,
            Self::PAcceptable => features.p_acceptable,
            Self::Label => flag(features.label == Label::Acceptable),
        };
        value.is_finite().then(|| rounded(value))
    }
}

/// To the decimals that signals are compared to.
pub(crate) fn rounded(value: f64) -> f64 {
    // Adding 0 turns −0 into 0.
    (value * DECIMALS).round() / DECIMALS + 0.0
}

impl std::fmt::Display for Signal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}
