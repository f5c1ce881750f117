//! Token ids, against Hugging Face's tokenizers: `fixtures/make_tokens.py`, and, for every family,
//! `crates/export/tests/fixtures/make_families.py`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wellformed_core::dataset::Split;
use wellformed_prepare::tokens::{Encoded, Tokens};

use crate::support::{Project, fixture, stage, table};

#[test]
fn token_ids_truncation_and_unknown_tokens_agree_with_hugging_face() {
    let project = Project::own(&table(5, 5));
    let fixture = fixture();
    assert!(!fixture["tokenizer"]["padding"].is_null() && !fixture["tokenizer"]["truncation"].is_null());
    let cases = fixture["cases"].as_array().unwrap();
    for case in cases {
        let max_length = case["max_length"].as_u64().unwrap() as usize;
        let seen = Tokens::load(&project.places.tokenizer, max_length).unwrap();
        let seen = seen.encode(case["sentence"].as_str().unwrap()).unwrap();
        let expected = Encoded {
            ids: serde_json::from_value(case["ids"].clone()).unwrap(),
            unknown: case["unknown"].as_u64().unwrap() as usize,
            truncated: case["truncated"].as_bool().unwrap(),
        };
        assert_eq!(seen, expected, "{case}");
    }
    assert!(cases.iter().any(|case| case["truncated"] == true) && cases.iter().any(|case| case["unknown"] != 0));
}

#[test]
fn truncated_sentences_and_unknown_tokens_are_counted() {
    let validation = "sentence\tlabel\nthe queen .\t1\nthe cat\t1\nthe dog sleeps in the old house of the cat\t0\n";
    let project = Project::new(&[("corpus/train.tsv", table(20, 20).as_str()), ("corpus/validation.tsv", validation)]);
    let mut stage = stage();
    stage.prepare.max_length = 8;
    project.prepare(&stage).unwrap();
    let lengths: Vec<usize> = project.read(Split::Validation).iter().map(|one| one.input_ids.len()).collect();
    assert_eq!(lengths, [5, 4, 8]);
    let found = &project.metrics()["validation"];
    assert_eq!((&found["sentences"], &found["truncated"], &found["max_tokens"]), (&3.into(), &1.into(), &8.into()));
    assert_eq!(found["mean_tokens"], 17.0 / 3.0);
    assert_eq!(found["unknown_rate"], 1.0 / 11.0);
    assert_eq!(found["acceptable"], 2.0 / 3.0);
}

#[test]
fn a_tokenizer_that_adds_no_special_tokens_is_refused_with_what_is_missing() {
    let refusal = |change: &dyn Fn(&mut Value)| {
        let project = Project::own(&table(10, 10));
        let mut tokenizer = fixture()["tokenizer"].clone();
        change(&mut tokenizer);
        project.put_tokenizer(&tokenizer);
        project.refusal()
    };
    let said = refusal(&|tokenizer| tokenizer["post_processor"] = Value::Null);
    assert!(said.contains("an empty sentence becomes [], but must become [CLS] [SEP], [2, 3]"), "{said}");
    assert!(said.contains("post_processor"), "{said}");
    let said = refusal(&|tokenizer| {
        tokenizer["added_tokens"] = json!([]);
        let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let id = vocabulary.remove("[SEP]").unwrap();
        vocabulary.insert("[END]".to_owned(), id);
        tokenizer["post_processor"] = Value::Null;
    });
    assert!(said.contains("there is no [SEP] in its vocabulary"), "{said}");
    let said = refusal(&|tokenizer| *tokenizer = json!({ "model": 1 }));
    assert!(said.contains("tokenizer.json: cannot be read as a tokenizer"), "{said}");

    let project = Project::own(&table(10, 10));
    fs::remove_file(&project.places.tokenizer).unwrap();
    assert!(project.refusal().contains("tokenizer.json: no such file; run the fetch stage first"));
}

#[test]
fn a_base_of_every_family_brings_its_own_tokens_around_a_sentence() {
    for family in ["electra", "roberta"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export/tests/fixtures").join(family);
        let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
        let max_length = expected["max_length"].as_u64().unwrap() as usize;
        let tokens = Tokens::load(&folder.join("tokenizer.json"), max_length).unwrap();
        let sentences = expected["sentences"].as_array().unwrap();
        for sentence in sentences {
            let found = tokens.encode(sentence["text"].as_str().unwrap()).unwrap();
            let ids: Vec<i32> = serde_json::from_value(sentence["ids"].clone()).unwrap();
            assert_eq!(found.ids, ids, "{family}: {sentence}");
        }
        let lengths = sentences.iter().map(|sentence| sentence["ids"].as_array().unwrap().len());
        assert_eq!(lengths.max(), Some(max_length), "one is cut");
    }
}

#[test]
fn a_tokenizer_of_a_kind_that_no_supported_family_has_is_refused() {
    let project = Project::own(&table(10, 10));
    let mut tokenizer = fixture()["tokenizer"].clone();
    tokenizer["model"] = json!({ "type": "Unigram", "unk_id": 0, "vocab": [["[UNK]", 0.0], ["a", -1.0]] });
    project.put_tokenizer(&tokenizer);
    let said = project.refusal();
    assert!(said.contains("neither of WordPiece nor of byte-level BPE"), "{said}");
    assert!(said.contains("must be \"bert\", \"electra\" or \"roberta\""), "{said}");
}
