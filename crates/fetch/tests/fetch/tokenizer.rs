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

#[test]
fn special_tokens_of_another_name_are_refused() {
    let config = serde_json::json!({ "unk_token": { "content": "<unk>" } });
    let error = built(&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], &config).unwrap_err();
    assert!(error.contains("unk_token is \"<unk>\""), "{error}");
}
