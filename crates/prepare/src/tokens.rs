//! From sentences to token ids.

use std::path::Path;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use tokenizers::{ModelWrapper, Tokenizer};
use wellformed_core::dataset::Example;
use wellformed_core::family::{Family, Vocabulary};

use crate::corpus::Sentence;
use crate::error::PrepareError;

/// The base model's tokenizer, with a longest sequence.
pub struct Tokens {
    tokenizer: Tokenizer,
    unknown: i32,
    end: i32,
    max_length: usize,
}

/// A sentence's token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// `[CLS]`, the sentence, `[SEP]`, or what the vocabulary has in their place: at most the longest sequence.
    pub ids: Vec<i32>,
    /// How many tokens between them are unknown ones.
    pub unknown: usize,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// A sentence, prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// As it is written.
    pub example: Example,
    /// How many of its tokens are unknown ones.
    pub unknown: usize,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

impl Tokens {
    /// Reads a `tokenizer.json`. The padding and truncation that the file may ask for are switched off.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Input`] when the file is missing, is no tokenizer of a kind that a supported base model has, or
    /// does not put the tokens of this kind for a start and an end around a sentence.
    pub fn load(path: &Path, max_length: usize) -> Result<Self, PrepareError> {
        let wrong = |problem: String| PrepareError::input(path.display(), problem);
        if !path.is_file() {
            return Err(wrong("no such file; run the fetch stage first".to_owned()));
        }
        let mut tokenizer =
            Tokenizer::from_file(path).map_err(|error| wrong(format!("cannot be read as a tokenizer: {error}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        let vocabulary = match tokenizer.get_model() {
            ModelWrapper::WordPiece(_) => Vocabulary::WordPiece,
            ModelWrapper::BPE(_) => Vocabulary::ByteLevel,
            ModelWrapper::WordLevel(_) | ModelWrapper::Unigram(_) => {
                return Err(wrong(format!(
                    "its vocabulary is neither of WordPiece nor of byte-level BPE; the base model must be {}",
                    Family::supported()
                )));
            }
        };
        let special = vocabulary.special();
        let id = |token: &str| {
            let id = tokenizer.token_to_id(token).map(|id| id as i32);
            let family = Family::supported();
            id.ok_or_else(|| wrong(format!("there is no {token} in its vocabulary; the base model must be {family}")))
        };
        let (start, end, unknown) = (id(special.start)?, id(special.end)?, id(special.unknown)?);
        let tokens = Self { tokenizer, unknown, end, max_length };
        let empty = tokens.encode("")?.ids;
        if empty != [start, end] {
            return Err(wrong(format!(
                "an empty sentence becomes {empty:?}, but must become {} {}, {:?}; its post_processor has to add them \
                 (TemplateProcessing, BertProcessing or RobertaProcessing)",
                special.start,
                special.end,
                [start, end]
            )));
        }
        Ok(tokens)
    }

    /// Encodes one sentence, without the white space around it, which says nothing about a sentence, but would be tokens
    /// to a byte-level vocabulary.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Local`] when the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Encoded, PrepareError> {
        let encoding =
            self.tokenizer.encode_fast(text.trim(), true).map_err(|error| anyhow!("cannot tokenise: {error}"))?;
        let mut ids: Vec<i32> = encoding.get_ids().iter().map(|id| *id as i32).collect();
        let truncated = ids.len() > self.max_length;
        if truncated {
            ids.truncate(self.max_length - 1);
            ids.push(self.end);
        }
        let unknown = ids.iter().filter(|id| **id == self.unknown).count();
        Ok(Encoded { ids, unknown, truncated })
    }

    /// Encodes sentences on all cores, in the order given.
    pub(crate) fn prepare(&self, sentences: Vec<Sentence>, bar: &ProgressBar) -> Result<Vec<Prepared>, PrepareError> {
        let one = |sentence: Sentence| {
            let Encoded { ids, unknown, truncated } =
                self.encode(&sentence.text).map_err(|error| anyhow!("{}: {error}", sentence.id))?;
            bar.inc(1);
            let Sentence { id, text, label, source, domain, .. } = sentence;
            let example = Example { id, sentence: text, label, source, domain, input_ids: ids };
            Ok(Prepared { example, unknown, truncated })
        };
        sentences.into_par_iter().map(one).collect()
    }
}

/// Draws on stderr if that is a terminal, and nothing otherwise.
pub(crate) fn progress(sentences: usize) -> ProgressBar {
    // The template is a constant; should it be wrong, a plain bar will do.
    let style = ProgressStyle::with_template("tokenising [{wide_bar}] {human_pos}/{human_len} sentences")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(sentences as u64).with_style(style)
}
