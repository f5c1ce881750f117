//! The tokenizer built from vocab.txt splits texts as transformers' own does. `fixtures/make_tokenizer.py` wrote down
//! what that is.

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::support::{Model, Project, sets};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/tokenizer.json")).unwrap()
}

/// What `fetch` makes of a folder with this vocabulary and configuration.
fn built(vocabulary: &[&str], config: &Value) -> Result<Tokenizer, String> {
    let (project, model) = (Project::new(), Model::new());
    project.file("bert/config.json", &model.config);
    project.file("bert/model.safetensors", &model.weights);
    project.file("bert/vocab.txt", vocabulary.join("\n") + "\n");
    if !config.is_null() {
        project.file("bert/tokenizer_config.json", config.to_string());
    }
    let source = format!("base.source='dir:{}'", project.path("bert").display());
    project.base(&sets(&[&source, "base.sha256={}"])).map_err(|error| error.to_string())?;
    Ok(Tokenizer::from_bytes(project.base_file("tokenizer.json")).unwrap())
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

#[test]
fn texts_get_the_ids_that_transformers_gives_them() {
    let fixture = fixture();
    let vocabulary: Vec<&str> = fixture["vocabulary"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let tokenizer = built(&vocabulary, &case["config"]).unwrap();
        for single in case["singles"].as_array().unwrap() {
            let text = single["text"].as_str().unwrap();
            let encoding = tokenizer.encode(text, true).unwrap();
            assert_eq!(encoding.get_ids(), ids(&single["ids"]), "{text:?} with {}", case["config"]);
        }
        let pair = (case["pair"]["first"].as_str().unwrap(), case["pair"]["second"].as_str().unwrap());
        let encoding = tokenizer.encode(pair, true).unwrap();
        assert_eq!(encoding.get_ids(), ids(&case["pair"]["ids"]));
        assert_eq!(encoding.get_type_ids(), ids(&case["pair"]["types"]));
        let encoding = tokenizer.encode("the cats sleep unlikely.", true).unwrap();
        assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), case["decoded"].as_str().unwrap());
    }
}

#[test]
fn the_fixture_tells_the_configurations_apart() {
    let fixture = fixture();
    let cases = fixture["cases"].as_array().unwrap();
    let mut different: Vec<String> = cases.iter().map(|case| case["singles"].to_string()).collect();
    different.sort();
    different.dedup();
    // No configuration at all is the same as lower case.
    assert_eq!(different.len(), cases.len() - 1);
}

#[test]
fn a_vocabulary_without_berts_special_tokens_is_refused() {
    let error = built(&["[PAD]", "[UNK]", "[CLS]", "the"], &Value::Null).unwrap_err();
    assert_eq!(error, "vocab.txt: there is no [SEP] in the vocabulary");
    let twice = built(&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "the"], &Value::Null).unwrap_err();
    assert_eq!(twice, "vocab.txt: 7 lines, but only 6 different tokens");
}

/// By `fixtures/make_byte_level.py`.
fn byte_level() -> Value {
    serde_json::from_str(include_str!("../fixtures/byte_level.json")).unwrap()
}

/// What `fetch` makes of a folder with a byte-level vocabulary, and the names of the files that it keeps.
fn built_byte_level(entries: &Value, merges: &str, config: &Value) -> Result<(Tokenizer, Vec<String>), String> {
    let (project, model) = (Project::new(), Model::new());
    project.file("roberta/config.json", r#"{"model_type": "roberta"}"#);
    project.file("roberta/model.safetensors", &model.weights);
    project.file("roberta/vocab.json", entries.to_string());
    project.file("roberta/merges.txt", merges);
    if !config.is_null() {
        project.file("roberta/tokenizer_config.json", config.to_string());
    }
    let source = format!("base.source='dir:{}'", project.path("roberta").display());
    project.base(&sets(&[&source, "base.sha256={}"])).map_err(|error| error.to_string())?;
    let from = project.record()["files"]["tokenizer.json"]["from"].clone();
    let also = if config.is_null() { "" } else { " and tokenizer_config.json" };
    assert_eq!(from, format!("built from vocab.json and merges.txt{also}"));
    Ok((Tokenizer::from_bytes(project.base_file("tokenizer.json")).unwrap(), project.base_files()))
}

#[test]
fn a_byte_level_vocabulary_and_its_merges_give_the_ids_that_transformers_gives() {
    let fixture = byte_level();
    let merges = fixture["merges"].as_str().unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let (tokenizer, files) = built_byte_level(&fixture["vocabulary"], merges, &case["config"]).unwrap();
        assert!(files.contains(&"merges.txt".to_owned()) && files.contains(&"vocab.json".to_owned()), "{files:?}");
        for single in case["singles"].as_array().unwrap() {
            let text = single["text"].as_str().unwrap();
            let encoding = tokenizer.encode(text, true).unwrap();
            assert_eq!(encoding.get_ids(), ids(&single["ids"]), "{text:?} with {}", case["config"]);
            let offsets: Vec<(usize, usize)> = serde_json::from_value(single["offsets"].clone()).unwrap();
            let found = tokenizer.encode_char_offsets(text, true).unwrap();
            assert_eq!(found.get_offsets(), offsets, "{text:?} with {}", case["config"]);
        }
    }
}

#[test]
fn a_byte_level_vocabulary_with_a_part_missing_is_refused_by_what_is_missing() {
    let fixture = byte_level();
    let merges = fixture["merges"].as_str().unwrap();
    let mut entries = fixture["vocabulary"].clone();
    entries.as_object_mut().unwrap().remove("</s>");
    let error = built_byte_level(&entries, merges, &Value::Null).unwrap_err();
    assert!(error.contains("vocab.json: there is no </s> in the vocabulary"), "{error}");
    let config = serde_json::json!({ "mask_token": "[MASK]" });
    let error = built_byte_level(&fixture["vocabulary"], merges, &config).unwrap_err();
    assert!(error.contains("mask_token is \"[MASK]\", but only the usual \"<mask>\" is supported"), "{error}");

    let (project, model) = (Project::new(), Model::new());
    project.file("roberta/config.json", r#"{"model_type": "roberta"}"#);
    project.file("roberta/model.safetensors", &model.weights);
    project.file("roberta/vocab.json", fixture["vocabulary"].to_string());
    let source = format!("base.source='dir:{}'", project.path("roberta").display());
    let error = project.base(&sets(&[&source, "base.sha256={}"])).unwrap_err().to_string();
    assert!(error.contains("there is no tokenizer.json or vocab.json and merges.txt in it"), "{error}");
}

#[test]
fn special_tokens_of_another_name_are_refused() {
    let config = serde_json::json!({ "unk_token": { "content": "<unk>" } });
    let error = built(&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], &config).unwrap_err();
    assert!(error.contains("unk_token is \"<unk>\""), "{error}");
}
