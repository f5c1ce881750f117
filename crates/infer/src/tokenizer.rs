//! From text to token ids, by Hugging Face's `tokenizers`.

use std::time::Instant;

use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{
    DecoderWrapper, Encoding, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};
use wellformed_core::family::Vocabulary;

use crate::error::Error;
use crate::prediction::Tokens;

/// Bytes of a text that are looked at for each token that the model takes. To `WordPiece` a word of more than 100
/// characters of at most 4 bytes is one unknown token, and no entry of a byte-level vocabulary is as long, so this is
/// what the model could see at most.
const BYTES_PER_TOKEN: usize = 400;

/// Naming the kind of model instead of leaving it open makes reading the file four times as fast: `tokenizers` would
/// otherwise read the whole vocabulary into memory first and then try one kind after the other.
type Of<M> = TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// A tokenizer of one kind or the other.
#[derive(Debug)]
enum Inner {
    WordPiece(Box<Of<WordPiece>>),
    ByteLevel(Box<Of<BPE>>),
}

/// What both kinds can do.
macro_rules! either {
    ($inner:expr, $one:ident => $work:expr) => {
        match $inner {
            Inner::WordPiece($one) => $work,
            Inner::ByteLevel($one) => $work,
        }
    };
}

impl Inner {
    /// Reads a `tokenizer.json`: as the more frequent kind, and only if it is not that, as the other.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let no_word_piece = match plain(bytes) {
            Ok(inner) => return Ok(Self::WordPiece(inner)),
            Err(error) => error,
        };
        let inner = plain(bytes).map_err(|error| {
            format!("not a WordPiece tokenizer: {no_word_piece}; and not one of byte-level BPE: {error}")
        })?;
        Ok(Self::ByteLevel(inner))
    }

    fn vocabulary(&self) -> Vocabulary {
        match self {
            Self::WordPiece(_) => Vocabulary::WordPiece,
            Self::ByteLevel(_) => Vocabulary::ByteLevel,
        }
    }

    fn id(&self, token: &str) -> Option<u32> {
        either!(self, one => one.token_to_id(token))
    }

    fn entry(&self, id: u32) -> Option<String> {
        either!(self, one => one.id_to_token(id))
    }

    /// One more than the highest id, or the number of entries if that is larger.
    fn size(&self) -> usize {
        let (model, added) =
            either!(self, one => (one.get_model().get_vocab_size(), one.get_added_vocabulary().get_vocab()));
        model.max(added.values().max().map_or(0, |&id| id as usize + 1))
    }

    fn encode(&self, text: &str) -> tokenizers::Result<Encoding> {
        either!(self, one => one.encode(text, true))
    }

    /// Without the places of the tokens in the text.
    fn encode_fast(&self, text: &str) -> tokenizers::Result<Encoding> {
        either!(self, one => one.encode_fast(text, true))
    }
}

/// A tokenizer without the padding and truncation that its file may ask for.
fn plain<M: Model + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Box<Of<M>>, String> {
    let mut inner: Box<Of<M>> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|error| error.to_string())?;
    Ok(inner)
}

/// The bundle's tokenizer, with a longest sequence.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    inner: Inner,
    max_length: usize,
    vocabulary: usize,
    end: u32,
    unknown: u32,
    mask: Option<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn new(bytes: &[u8], max_length: usize) -> Result<Self, String> {
        let inner = Inner::read(bytes)?;
        let special = inner.vocabulary().special();
        let id = |token: &str| inner.id(token).ok_or_else(|| format!("its vocabulary has no {token}"));
        let (start, end, unknown) = (id(special.start)?, id(special.end)?, id(special.unknown)?);
        let mask = inner.id(special.mask);
        let vocabulary = inner.size();
        // As many ids as entries, and all of them below: so the model needs no more rows than there are entries.
        if let Some(id) = (0..vocabulary as u32).find(|&id| inner.entry(id).is_none()) {
            return Err(format!("its vocabulary has {vocabulary} entries, but none with the id {id}"));
        }
        let tokenizer = Self { inner, max_length, vocabulary, end, unknown, mask };
        let empty = tokenizer.inner.encode("").map_err(|error| error.to_string())?;
        if empty.get_ids() != [start, end] {
            let (found, start, end) = (empty.get_tokens(), special.start, special.end);
            return Err(format!("an empty sentence becomes {found:?} instead of {start} {end}"));
        }
        Ok(tokenizer)
    }

    /// Entries of the vocabulary, whose ids are the numbers below.
    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The text of each entry of the vocabulary as `WordPiece` would write it, by its id.
    pub(crate) fn texts(&self) -> Vec<String> {
        let kind = self.inner.vocabulary();
        // Opening the tokenizer has found every id below to have an entry.
        (0..self.vocabulary as u32).map(|id| kind.as_word_piece(&self.inner.entry(id).unwrap_or_default())).collect()
    }

    /// The id of the token for a hidden word, `[MASK]`, if the vocabulary has one.
    pub(crate) fn mask(&self) -> Option<u32> {
        self.mask
    }

    /// Token ids of a sentence, cut to what the model takes.
    pub(crate) fn tokenize(&self, sentence: &str) -> Result<Tokens, Error> {
        let began = Instant::now();
        let (text, cut) = self.visible(sentence)?;
        let encoding = self.inner.encode_fast(text).map_err(Error::tokenizer)?;
        Ok(self.tokens(&encoding, cut, began))
    }

    /// As [`Tokenizer::tokenize`], with the words that the tokens belong to.
    pub(crate) fn words(&self, sentence: &str) -> Result<(Tokens, Vec<Span>), Error> {
        let began = Instant::now();
        let (text, cut) = self.visible(sentence)?;
        let before = sentence.len() - sentence.trim_start().len();
        let encoding = self.inner.encode(text).map_err(Error::tokenizer)?;
        let tokens = self.tokens(&encoding, cut, began);
        let offsets = encoding.get_offsets().iter().zip(encoding.get_special_tokens_mask()).enumerate();
        let pieces = offsets.take(tokens.ids.len() - 1).filter(|(_, (_, special))| **special == 0).filter_map(
            |(token, (&(start, end), _))| {
                // The space before a word may be a part of its token, and is none of the word.
                let piece = text.get(start..end)?;
                let start = start + piece.len() - piece.trim_start().len();
                let end = start + piece.trim().len();
                (start < end).then(|| Span { start: start + before, end: end + before, tokens: vec![token] })
            },
        );
        let words = words(pieces.collect(), sentence);
        Ok((tokens, words))
    }

    /// What the model sees of an encoded text.
    fn tokens(&self, encoding: &Encoding, cut: bool, began: Instant) -> Tokens {
        let mut ids = encoding.get_ids().to_vec();
        let longer = ids.len() > self.max_length;
        if longer {
            ids.truncate(self.max_length - 1);
            ids.push(self.end);
        }
        let unknown = ids.iter().filter(|&&id| id == self.unknown).count();
        Tokens { ids, truncated: longer || cut, unknown, time: began.elapsed() }
    }

    /// The part of a text that can matter, without the white space around it, and whether something was left out.
    ///
    /// A tokenizer splits at least at white space, and a word with an ASCII letter, digit or sign in it becomes at
    /// least one token. After as many such words as the model takes tokens, nothing more can be seen.
    fn visible<'a>(&self, sentence: &'a str) -> Result<(&'a str, bool), Error> {
        let text = sentence.trim();
        if text.is_empty() {
            return Err(Error::Empty);
        }
        let mut words = 0;
        let mut inside = false;
        for (at, byte) in text.bytes().enumerate().take(self.max_length * BYTES_PER_TOKEN) {
            if byte.is_ascii_whitespace() {
                if words >= self.max_length {
                    return Ok((&text[..at], true));
                }
                inside = false;
            } else if byte.is_ascii_graphic() && !inside {
                inside = true;
                words += 1;
            }
        }
        let end = text.floor_char_boundary(self.max_length * BYTES_PER_TOKEN);
        Ok((&text[..end], end < text.len()))
    }
}

/// A stretch of a sentence and the places of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// One after the last byte.
    pub(crate) end: usize,
    /// Indices into the token ids.
    pub(crate) tokens: Vec<usize>,
}

impl Span {
    fn is_word(&self, sentence: &str) -> bool {
        sentence.get(self.start..self.end).is_some_and(|text| text.chars().any(char::is_alphanumeric))
    }

    fn merge(&mut self, next: Self) {
        self.end = self.end.max(next.end);
        self.tokens.extend(next.tokens);
    }
}

/// Words as a person reads them, of the tokenizer's pieces: `don't` is one word, `(cats),` is four.
fn words(pieces: Vec<Span>, sentence: &str) -> Vec<Span> {
    let mut words: Vec<Span> = Vec::new();
    let mut runs: Vec<Vec<Span>> = Vec::new();
    for piece in pieces {
        // To a byte-level vocabulary one character may be several tokens, each of which stands for all of it.
        let last = runs.last_mut().and_then(|run| run.last_mut());
        if let Some(same) = last.filter(|last| (last.start, last.end) == (piece.start, piece.end)) {
            same.merge(piece);
            continue;
        }
        let end = runs.last().and_then(|run| run.last()).map(|last| last.end);
        // What lies between two pieces of a word is nothing; an accent may belong to both.
        let adjacent = end.is_some_and(|end| piece.start <= end);
        match runs.last_mut().filter(|_| adjacent) {
            Some(run) => run.push(piece),
            None => runs.push(vec![piece]),
        }
    }
    for run in runs {
        let first = run.iter().position(|piece| piece.is_word(sentence)).unwrap_or(run.len());
        let last = run.iter().rposition(|piece| piece.is_word(sentence)).unwrap_or(0);
        for (at, piece) in run.into_iter().enumerate() {
            match words.last_mut().filter(|_| at > first && at <= last) {
                Some(word) => word.merge(piece),
                None => words.push(piece),
            }
        }
    }
    words
}
