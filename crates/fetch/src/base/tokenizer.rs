//! `tokenizer.json` where a source has none: for WordPiece from a `vocab.txt`, or with a vocabulary learned from
//! sentences; for byte-level BPE from `vocab.json` and `merges.txt`.
//!
//! What transformers' `BertTokenizerFast` makes of the same files is made here: clean text, spaces around Chinese
//! characters, lower case and no accents (if asked for), split at spaces and punctuation, longest match first, `[CLS]`
//! and `[SEP]` around. For byte-level BPE it is what `RobertaTokenizerFast` makes.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainerBuilder};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer, Trainer,
};
use wellformed_core::family::{CONTINUATION, Vocabulary};
use wellformed_core::files::{read_json, write_whole};

use crate::error::FetchError;

/// BERT's special tokens, in the order a new vocabulary starts with.
const SPECIAL: [&str; 5] = Vocabulary::WordPiece.special().all();

/// How text is normalised before it is split: the part of `tokenizer_config.json` that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Casing {
    do_lower_case: bool,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: bool,
}

impl Default for Casing {
    /// The uncased models'.
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
}

impl Casing {
    fn normalizer(self) -> BertNormalizer {
        BertNormalizer::new(true, self.tokenize_chinese_chars, self.strip_accents, self.do_lower_case)
    }
}

const WORDS: &str = "vocab.txt";
const ENTRIES: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// The files that a tokenizer is built from where there is no `tokenizer.json`.
pub(crate) fn parts(vocabulary: Vocabulary) -> &'static [&'static str] {
    match vocabulary {
        Vocabulary::WordPiece => &[WORDS],
        Vocabulary::ByteLevel => &[ENTRIES, MERGES],
    }
}

/// Builds `tokenizer.json` at `to` from its [`parts`] in `folder`, and a `tokenizer_config.json` if there is one.
pub(crate) fn from_parts(
    vocabulary: Vocabulary,
    folder: &Path,
    config: Option<&Path>,
    to: &Path,
) -> Result<(), FetchError> {
    match vocabulary {
        Vocabulary::WordPiece => from_vocabulary(&folder.join(WORDS), config, to),
        Vocabulary::ByteLevel => from_merges(&folder.join(ENTRIES), &folder.join(MERGES), config, to),
    }
}

/// Builds `tokenizer.json` at `to` from a vocabulary, a token a line, and a `tokenizer_config.json` if there is one
/// (without it, the uncased models' settings).
fn from_vocabulary(vocabulary: &Path, config: Option<&Path>, to: &Path) -> Result<(), FetchError> {
    let text = std::fs::read_to_string(vocabulary).with_context(|| format!("cannot read {}", vocabulary.display()))?;
    let tokens: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    let mut casing = Casing::default();
    if let Some(config) = config {
        casing = read_json(config)?;
        let value: Value = read_json(config)?;
        check_special_tokens(&value, Vocabulary::WordPiece)?;
    }
    write(&tokens, casing, to)
}

/// Builds `tokenizer.json` at `to` from a byte-level vocabulary, its merges, and a `tokenizer_config.json` if there is
/// one.
fn from_merges(vocabulary: &Path, merges: &Path, config: Option<&Path>, to: &Path) -> Result<(), FetchError> {
    let mut prefix_space = false;
    if let Some(config) = config {
        let value: Value = read_json(config)?;
        check_special_tokens(&value, Vocabulary::ByteLevel)?;
        prefix_space = value["add_prefix_space"].as_bool().unwrap_or(false);
    }
    let [words, pairs] = [vocabulary, merges].map(|path| path.to_string_lossy().into_owned());
    let model = BPE::from_file(&words, &pairs).build();
    let model = model.map_err(|error| FetchError::input("vocab.json or merges.txt", error.to_string()))?;
    save(&build_byte_level(model, prefix_space)?, to)
}

fn build_byte_level(model: BPE, prefix_space: bool) -> Result<Tokenizer, FetchError> {
    let special = Vocabulary::ByteLevel.special();
    let id = |token: &str| {
        let missing = || FetchError::input(ENTRIES, format!("there is no {token} in the vocabulary"));
        Ok::<_, FetchError>((token.to_owned(), model.token_to_id(token).ok_or_else(missing)?))
    };
    let around = RobertaProcessing::new(id(special.end)?, id(special.start)?);
    for token in special.all() {
        id(token)?;
    }
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(prefix_space, true, true)))
        .with_post_processor(Some(around.trim_offsets(true).add_prefix_space(prefix_space)))
        .with_decoder(Some(ByteLevel::default()));
    tokenizer.add_special_tokens(&special.all().map(|token| AddedToken::from(token, true)));
    Ok(tokenizer)
}

/// Other names for the special tokens would need other code further on.
fn check_special_tokens(config: &Value, vocabulary: Vocabulary) -> Result<(), FetchError> {
    let keys = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"];
    for (key, usual) in keys.into_iter().zip(vocabulary.special().all()) {
        // A plain string, or an object with the string as `content`.
        let value = config.get(key).and_then(|value| value.as_str().or_else(|| value["content"].as_str()));
        if let Some(other) = value.filter(|value| *value != usual) {
            let problem = format!("{key} is {other:?}, but only the usual {usual:?} is supported");
            return Err(FetchError::input("tokenizer_config.json", problem));
        }
    }
    Ok(())
}

/// Writes `tokenizer.json` for a vocabulary whose token ids are its positions.
pub(crate) fn write(tokens: &[String], casing: Casing, to: &Path) -> Result<(), FetchError> {
    let tokenizer = build(tokens, casing).map_err(|error| FetchError::input("vocab.txt", format!("{error:#}")))?;
    save(&tokenizer, to)
}

fn save(tokenizer: &Tokenizer, to: &Path) -> Result<(), FetchError> {
    let text = tokenizer.to_string(true).map_err(|error| anyhow!("cannot write {}: {error}", to.display()))?;
    write_whole(to, |writer| {
        writer.write_all(text.as_bytes())?;
        Ok(writer.write_all(b"\n")?)
    })?;
    Ok(())
}

fn build(tokens: &[String], casing: Casing) -> Result<Tokenizer> {
    let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
    if ids.len() != tokens.len() {
        bail!("{} lines, but only {} different tokens", tokens.len(), ids.len());
    }
    let id = |token: &str| ids.get(token).copied().with_context(|| format!("there is no {token} in the vocabulary"));
    let special = SPECIAL.iter().map(|token| Ok(((*token).to_owned(), id(token)?))).collect::<Result<Vec<_>>>()?;
    let ends = special.iter().filter(|(token, _)| ["[CLS]", "[SEP]"].contains(&token.as_str())).cloned();
    // The builder's defaults are BERT's: [UNK], ##, and words of at most 100 characters.
    let vocabulary = WordPiece::read_bytes(tokens.join("\n").as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let model = WordPiece::builder().vocab(vocabulary).build().map_err(|error| anyhow!("{error}"))?;
    let template = TemplateProcessing::builder()
        .try_single("[CLS]:0 $A:0 [SEP]:0")
        .and_then(|builder| builder.try_pair("[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"))
        .map_err(|error| anyhow!("{error}"))?
        .special_tokens(ends.collect::<Vec<_>>())
        .build()?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(casing.normalizer()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(template))
        .with_decoder(Some(WordPieceDecoder::new(CONTINUATION.to_owned(), true)));
    tokenizer.add_special_tokens(&SPECIAL.map(|token| AddedToken::from(token, true)));
    Ok(tokenizer)
}

/// Learns a WordPiece vocabulary of at most `size` tokens from sentences. The same sentences give the same
/// vocabulary, in the same order.
pub(crate) fn learn(sentences: &[String], size: usize) -> Result<Vec<String>, FetchError> {
    let boxed = |error: tokenizers::Error| anyhow!("cannot learn a vocabulary: {error}");
    let words = |text: &str| -> tokenizers::Result<Vec<String>> {
        let mut normalized = NormalizedString::from(text);
        Casing::default().normalizer().normalize(&mut normalized)?;
        let mut split = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut split)?;
        let words = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Ok(words.into_iter().map(|(word, _, _)| word.to_owned()).collect())
    };
    // The trainer numbers the pieces inside words as it meets them, in the order of a hash map, and breaks ties between
    // merges by number. Named beforehand, all pieces of one character have their numbers before it starts.
    let mut alphabet = BTreeSet::new();
    for sentence in sentences {
        alphabet.extend(words(sentence).map_err(boxed)?.iter().flat_map(|word| word.chars().collect::<Vec<_>>()));
    }
    let fixed: Vec<String> = SPECIAL
        .iter()
        .map(ToString::to_string)
        .chain(alphabet.iter().map(ToString::to_string))
        .chain(alphabet.iter().map(|character| format!("{CONTINUATION}{character}")))
        .collect();
    if fixed.len() > size {
        let problem = format!(
            "base.random.vocabulary is {size}, but the corpus has {} different characters, which alone take {} tokens",
            alphabet.len(),
            fixed.len()
        );
        return Err(FetchError::input("params.yaml", problem));
    }
    let mut trainer = WordPieceTrainerBuilder::new()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(fixed.iter().map(|token| AddedToken::from(token.as_str(), true)).collect())
        .build();
    let mut model = WordPiece::default();
    trainer.feed(sentences.iter(), words).map_err(boxed)?;
    trainer.train(&mut model).map_err(boxed)?;
    let mut tokens: Vec<(String, u32)> = model.get_vocab().into_iter().collect();
    tokens.sort_by_key(|(_, id)| *id);
    Ok(tokens.into_iter().map(|(token, _)| token).collect())
}
