//! The phenomena: a module each, with a function that draws a minimal pair.

mod agreement;
mod argument_structure;
mod auxiliaries;
mod case;
mod comparatives;
mod determiners;
mod existential;
mod islands;
mod missing;
mod passives;
mod polarity;
mod reflexives;
mod subcategorisation;
mod tense;
mod wh_movement;
mod word_order;

use crate::grammar::Draw;

/// Two sentences that differ in one phenomenon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The acceptable one.
    pub(crate) good: String,
    /// The unacceptable one.
    pub(crate) bad: String,
}

impl Pair {
    /// Two statements, given without capital and full stop.
    fn statement(good: impl AsRef<str>, bad: impl AsRef<str>) -> Self {
        Self { good: sentence(good.as_ref(), '.'), bad: sentence(bad.as_ref(), '.') }
    }

    /// Two questions, given without capital and question mark.
    fn question(good: impl AsRef<str>, bad: impl AsRef<str>) -> Self {
        Self { good: sentence(good.as_ref(), '?'), bad: sentence(bad.as_ref(), '?') }
    }
}

fn sentence(words: &str, end: char) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| format!("{}{}{end}", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

/// What decides whether a sentence is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phenomenon {
    /// The verb agrees with its subject, whatever stands between them.
    SubjectVerbAgreement,
    /// Determiner and noun agree in number.
    DeterminerNounAgreement,
    /// A reflexive agrees with an antecedent in its own clause.
    Reflexives,
    /// Auxiliaries: their order, the form after each, and that each is said once.
    Auxiliaries,
    /// How many objects a verb takes, and in which form.
    ArgumentStructure,
    /// What moves to the front of a question or relative clause, and what it leaves.
    WhMovement,
    /// What nothing can be moved out of.
    Islands,
    /// `ever`, `any` and the like stand under a negation or in a question.
    NegativePolarityItems,
    /// Which clause, infinitive, gerund or preposition a word takes.
    Subcategorisation,
    /// The order of words within phrase and clause.
    WordOrder,
    /// Articles, prepositions, copulas and the like are said.
    MissingFunctionWords,
    /// Tenses fit the time and one another.
    TenseSequences,
    /// How things are compared.
    Comparatives,
    /// The case of pronouns.
    PronounCase,
    /// How a passive is made.
    Passives,
    /// What can follow `there is`.
    ExistentialThere,
}

impl Phenomenon {
    /// All of them, in the order of the corpus.
    pub const ALL: [Self; 16] = [
        Self::SubjectVerbAgreement,
        Self::DeterminerNounAgreement,
        Self::Reflexives,
        Self::Auxiliaries,
        Self::ArgumentStructure,
        Self::WhMovement,
        Self::Islands,
        Self::NegativePolarityItems,
        Self::Subcategorisation,
        Self::WordOrder,
        Self::MissingFunctionWords,
        Self::TenseSequences,
        Self::Comparatives,
        Self::PronounCase,
        Self::Passives,
        Self::ExistentialThere,
    ];

    /// The name in the corpus and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubjectVerbAgreement => "subject_verb_agreement",
            Self::DeterminerNounAgreement => "determiner_noun_agreement",
            Self::Reflexives => "reflexives",
            Self::Auxiliaries => "auxiliaries",
            Self::ArgumentStructure => "argument_structure",
            Self::WhMovement => "wh_movement",
            Self::Islands => "islands",
            Self::NegativePolarityItems => "negative_polarity_items",
            Self::Subcategorisation => "subcategorisation",
            Self::WordOrder => "word_order",
            Self::MissingFunctionWords => "missing_function_words",
            Self::TenseSequences => "tense_sequences",
            Self::Comparatives => "comparatives",
            Self::PronounCase => "pronoun_case",
            Self::Passives => "passives",
            Self::ExistentialThere => "existential_there",
        }
    }

    /// Draws a minimal pair.
    pub(crate) fn pair(self, draw: &mut Draw<'_>) -> Pair {
        match self {
            Self::SubjectVerbAgreement => agreement::pair(draw),
            Self::DeterminerNounAgreement => determiners::pair(draw),
            Self::Reflexives => reflexives::pair(draw),
            Self::Auxiliaries => auxiliaries::pair(draw),
            Self::ArgumentStructure => argument_structure::pair(draw),
            Self::WhMovement => wh_movement::pair(draw),
            Self::Islands => islands::pair(draw),
            Self::NegativePolarityItems => polarity::pair(draw),
            Self::Subcategorisation => subcategorisation::pair(draw),
            Self::WordOrder => word_order::pair(draw),
            Self::MissingFunctionWords => missing::pair(draw),
            Self::TenseSequences => tense::pair(draw),
            Self::Comparatives => comparatives::pair(draw),
            Self::PronounCase => case::pair(draw),
            Self::Passives => passives::pair(draw),
            Self::ExistentialThere => existential::pair(draw),
        }
    }
}
