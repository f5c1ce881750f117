//! What a sentence looks like to someone who may not keep it: three numbers, computed from its token ids where it is
//! predicted, for less than a microsecond.
//!
//! | signal | what moves it |
//! |---|---|
//! | [`Signals::pieces_per_word`] | other languages, misspellings, codes: words that the vocabulary has to put together |
//! | [`Signals::frequent_share`] | other languages, telegrams, lists of keywords: function words are missing |
//! | [`Signals::surprise`] | words in an order that the training corpus does not have |
//!
//! They are measured against a [`Reference`], which is made once from the token ids of the training set
//! ([`Reference::build`]), ships with the model, and holds no sentence: which tokens are frequent, and how often a
//! class of tokens follows another.
//!
//! Invariant: this crate knows nothing of tokenizers, models or files, so that whatever predicts can afford it.

mod class;
mod reference;

pub use reference::{FORMAT, Reference, SignalError, Signals};
