//! A base model without weights: an architecture from params.yaml and a vocabulary learned from the training sentences
//! (without their labels; validation sentences play no part).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::json;
use wellformed_core::files::{sha256_file, write_json};
use wellformed_core::params::{BaseParams, RandomBaseParams};
use zip::ZipArchive;

use super::{
    CONFIG, Initialisation, Record, TOKENIZER, already, file_record, finish, intact, staging_folder, tokenizer,
};
use crate::corpus::pack;
use crate::corpus::table::{Form, sentences};
use crate::error::FetchError;
use crate::places::Places;

/// The longest sequence of BERT.
const POSITIONS: usize = 512;

pub(super) fn fetch(base: &BaseParams, places: &Places) -> Result<String, FetchError> {
    let corpus = &places.corpus;
    if !corpus.is_file() {
        let problem = "base.source is random, whose vocabulary is learned from the corpus, and the corpus is not here; run \
                       fetch without --only base";
        return Err(FetchError::input(corpus.display(), problem));
    }
    let made_from = json!({ "corpus": sha256_file(corpus)?, "architecture": base.random });
    if let Some(record) = intact(places, base).filter(|record| record.made_from.as_ref() == Some(&made_from)) {
        return Ok(already(places, &record));
    }
    let folder = staging_folder(places)?;
    let texts = training_sentences(corpus)?;
    let vocabulary = tokenizer::learn(&texts, base.random.vocabulary)?;
    tokenizer::write(&vocabulary, tokenizer::Casing::default(), &folder.join(TOKENIZER))?;
    write_json(&folder.join(CONFIG), &config(&base.random, vocabulary.len()))?;

    let from = |name: &str, from: &str| Ok((name.to_owned(), file_record(&folder.join(name), from.to_owned())?));
    let files: Result<BTreeMap<_, _>, FetchError> = [
        from(CONFIG, "base.random in params.yaml"),
        from(TOKENIZER, "learned from the training sentences of the corpus"),
    ]
    .into_iter()
    .collect();
    let record = Record {
        source: base.source.clone(),
        folder: String::new(),
        revision: None,
        initialisation: Initialisation::Random,
        made_from: Some(made_from),
        files: files?,
    };
    finish(places, &record)
}

/// `config.json` as Hugging Face transformers would write it; what params.yaml does not choose is BERT's.
fn config(base: &RandomBaseParams, vocabulary: usize) -> serde_json::Value {
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": base.hidden,
        "num_hidden_layers": base.layers,
        "num_attention_heads": base.heads,
        "intermediate_size": base.feed_forward,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
    })
}

/// The sentences of the corpus's training part, in order.
fn training_sentences(corpus: &Path) -> Result<Vec<String>, FetchError> {
    let unreadable = |error: String| FetchError::input(corpus.display(), error);
    let file = File::open(corpus).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let mut archive = ZipArchive::new(file).map_err(|error| unreadable(format!("is not a ZIP file: {error}")))?;
    let forms = [
        ("cola_public/raw/in_domain_train.tsv".to_owned(), None),
        (format!("{}/train.tsv", pack::FOLDER), Some(Form::Tsv)),
        (format!("{}/train.csv", pack::FOLDER), Some(Form::Csv)),
        (format!("{}/train.parquet", pack::FOLDER), Some(Form::Parquet)),
    ];
    let Some((name, form)) = forms.into_iter().find(|(name, _)| archive.index_for_name(name).is_some()) else {
        return Err(unreadable("it holds no training sentences; delete it and run fetch again".to_owned()));
    };
    let bytes = pack::member(&mut archive, &name)?;
    sentences(&format!("{} in {}", name, corpus.display()), form, &bytes)
}
