//! Base models from a folder and at random, and what becomes of the one that was there.

use std::fs;

use tokenizers::Tokenizer;
use wellformed_core::files::sha256_bytes;
use wellformed_fetch::{FetchError, Part};

use crate::server::Server;
use crate::support::{Model, Project, cola_archive, names, sets};

/// A project with a model in `my-bert/`.
fn with_model(model: &Model) -> Project {
    let project = Project::new();
    project.file("my-bert/config.json", &model.config);
    project.file("my-bert/tokenizer.json", &model.tokenizer);
    project.file("my-bert/model.safetensors", &model.weights);
    project.file("my-bert/README.md", "not needed");
    project
}

fn from_folder(project: &Project, more: &[&str]) -> Vec<String> {
    let source = format!("base.source='dir:{}'", project.path("my-bert").display());
    let mut all = sets(&["base.sha256={}"]);
    all.push(source);
    all.extend(sets(more));
    all
}

fn random(more: &[&str]) -> Vec<String> {
    let mut all = sets(&["base.source=random", "base.random.vocabulary=300", "base.random.layers=3"]);
    all.extend(sets(more));
    all
}

#[test]
fn a_folder_is_copied_less_what_no_later_stage_reads() {
    let model = Model::new();
    let project = with_model(&model);
    project.base(&from_folder(&project, &[])).unwrap();
    assert_eq!(project.base_files(), ["config.json", "model.safetensors", "source.json", "tokenizer.json"]);
    assert_eq!(project.base_file("model.safetensors"), model.weights);
    assert_eq!(project.record()["files"]["model.safetensors"]["sha256"], sha256_bytes(&model.weights));
    assert!(project.base(&from_folder(&project, &[])).unwrap().contains("already here"));
}

#[test]
fn a_folder_that_changes_is_copied_again() {
    let project = with_model(&Model::new());
    project.base(&from_folder(&project, &[])).unwrap();
    project.file("my-bert/model.safetensors", "other weights");
    let line = project.base(&from_folder(&project, &[])).unwrap();
    assert!(!line.contains("already here"), "{line}");
    assert_eq!(project.base_file("model.safetensors"), b"other weights");
}

#[test]
fn every_family_is_taken_and_any_other_is_refused_with_those_that_there_are() {
    let mut model = Model::new();
    for family in ["bert", "electra", "roberta"] {
        model.config = format!(r#"{{"model_type": "{family}"}}"#).into_bytes();
        let project = with_model(&model);
        project.base(&from_folder(&project, &[])).unwrap();
        assert_eq!(project.base_file("config.json"), model.config);
    }
    model.config = br#"{"model_type": "deberta-v2"}"#.to_vec();
    let project = with_model(&model);
    let error = project.base(&from_folder(&project, &[])).unwrap_err().to_string();
    let said = "model_type is \"deberta-v2\", but must be \"bert\", \"electra\" or \"roberta\"";
    assert!(error.contains(said), "{error}");
    assert!(!project.places.base.exists(), "nothing is kept");
}

#[test]
fn pytorch_weights_do_when_there_are_no_safetensors() {
    let project = with_model(&Model::new());
    fs::rename(project.path("my-bert/model.safetensors"), project.path("my-bert/pytorch_model.bin")).unwrap();
    project.base(&from_folder(&project, &[])).unwrap();
    assert!(project.base_files().contains(&"pytorch_model.bin".to_owned()));
}

#[test]
fn a_wrong_digest_leaves_the_old_model_in_place() {
    let model = Model::new();
    let project = with_model(&model);
    project.base(&from_folder(&project, &[&model.digests()])).unwrap();
    project.file("my-bert/model.safetensors", "tampered with");
    // The old weights answer to the digest, so nothing is taken from the folder.
    project.base(&from_folder(&project, &[&model.digests()])).unwrap();
    assert_eq!(project.base_file("model.safetensors"), model.weights);

    let other = model.digests().replace(&sha256_bytes(&model.weights), &"0".repeat(64));
    let error = project.base(&from_folder(&project, &[&other])).unwrap_err();
    assert!(matches!(&error, FetchError::Digest(_)), "{error:?}");
    assert!(error.to_string().contains("model.safetensors of dir:"), "{error}");
    assert_eq!(project.base_file("model.safetensors"), model.weights);
}

#[test]
fn a_digest_of_a_file_that_no_model_needs_is_an_old_digest() {
    let project = with_model(&Model::new());
    let stale = format!("base.sha256={{pytorch_model.bin: '{}'}}", "0".repeat(64));
    let error = project.base(&from_folder(&project, &[&stale])).unwrap_err().to_string();
    assert!(error.contains("base.sha256 in params.yaml lists pytorch_model.bin"), "{error}");
    assert!(error.contains("config.json, model.safetensors, tokenizer.json"), "{error}");
}

#[test]
fn a_folder_that_is_missing_or_the_target_itself_is_refused() {
    let project = with_model(&Model::new());
    let nowhere = project.base(&from_folder(&project, &["base.source=dir:nowhere"])).unwrap_err().to_string();
    assert!(nowhere.contains("nowhere: no such folder"), "{nowhere}");
    project.base(&from_folder(&project, &[])).unwrap();
    let itself = format!("base.source='dir:{}'", project.places.base.display());
    let error = project.base(&from_folder(&project, &[&itself])).unwrap_err().to_string();
    assert!(error.contains("this is where the base model goes"), "{error}");
}

#[test]
fn a_random_base_is_a_configuration_and_a_vocabulary_of_the_training_sentences() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put("/cola.zip", &archive);
    let url = format!("data.cola.url={}", server.url("/cola.zip"));
    let digest = format!("data.cola.sha256='{}'", sha256_bytes(&archive));
    let parameters = random(&[&url, &digest]);
    project.fetch(&[Part::Data, Part::Base], &parameters).unwrap();
    assert_eq!(project.base_files(), ["config.json", "source.json", "tokenizer.json"], "no weights");
    assert_eq!(project.record()["initialisation"], "random");

    let tokenizer = Tokenizer::from_bytes(project.base_file("tokenizer.json")).unwrap();
    let size = tokenizer.get_vocab_size(true);
    let config: serde_json::Value = serde_json::from_slice(&project.base_file("config.json")).unwrap();
    assert!((20..=300).contains(&size), "{size}");
    assert_eq!(config["vocab_size"], size);
    assert_eq!((&config["num_hidden_layers"], &config["model_type"]), (&3.into(), &"bert".into()));
    for (id, token) in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].into_iter().enumerate() {
        assert_eq!(tokenizer.token_to_id(token), Some(id as u32));
    }
    let sentence = "The 42 keys to the cabinet are on the table.";
    let encoding = tokenizer.encode(sentence, true).unwrap();
    assert!(!encoding.get_tokens().contains(&"[UNK]".to_owned()), "{:?}", encoding.get_tokens());
    assert!(encoding.get_tokens().contains(&"cabinet".to_owned()), "a frequent word is a token of its own");
    assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), sentence.to_lowercase());
    // Only the development part knows the word: its letters are not in the vocabulary for its sake.
    assert_eq!(tokenizer.token_to_id("doors"), None);
}

#[test]
fn a_random_base_is_the_same_every_time_and_kept() {
    let rows = (0..400).map(|n| format!("Sentence {n} speaks of {} and {}.\t1", n * 7919 % 613, n % 17));
    let text = rows.collect::<Vec<_>>().join("\n");
    let fetched = || {
        let project = Project::new();
        let path = project.file("mine.tsv", format!("sentence\tlabel\n{text}"));
        let source = format!("data.source='file:{}'", path.display());
        project.fetch(&[Part::Data, Part::Base], &random(&[&source])).unwrap();
        let line = project.fetch(&[Part::Data, Part::Base], &random(&[&source])).unwrap();
        assert_eq!(line.matches("already here").count(), 2, "{line}");
        (project.base_file("tokenizer.json"), project.base_file("source.json"))
    };
    let first = fetched();
    for _ in 0..5 {
        assert!(fetched() == first, "the vocabulary depends on something besides the sentences");
    }
}

#[test]
fn a_random_base_follows_the_corpus_and_the_architecture() {
    let project = Project::new();
    let path = project.file("mine.csv", "sentence,label\n\"Cats, they sleep.\",1\n\"Cats, they sleep.\",1\n");
    let source = format!("data.source='file:{}'", path.display());
    let both = [Part::Data, Part::Base];
    project.fetch(&both, &random(&[&source])).unwrap();
    let tokens = |project: &Project| Tokenizer::from_bytes(project.base_file("tokenizer.json")).unwrap();
    assert!(tokens(&project).token_to_id("cats").is_some());
    project.file("mine.csv", "sentence,label\nDogs bark.,1\nDogs bark.,1\n");
    project.fetch(&both, &random(&[&source])).unwrap();
    assert!(tokens(&project).token_to_id("cats").is_none() && tokens(&project).token_to_id("dogs").is_some());
    project.fetch(&both, &random(&[&source, "base.random.layers=1"])).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&project.base_file("config.json")).unwrap();
    assert_eq!(config["num_hidden_layers"], 1);
}

#[test]
fn a_random_base_without_a_corpus_or_with_too_small_a_vocabulary_says_so() {
    let project = Project::new();
    let error = project.base(&random(&[])).unwrap_err().to_string();
    assert!(error.contains("run fetch without --only base"), "{error}");
    let many: String = ('\u{4e00}'..'\u{4f00}').collect();
    let path = project.file("mine.tsv", format!("sentence\tlabel\n{many}\t1\n"));
    let source = format!("data.source='file:{}'", path.display());
    let error = project.fetch(&[Part::Data, Part::Base], &random(&[&source])).unwrap_err().to_string();
    assert!(error.contains("base.random.vocabulary is 300, but the corpus has 256 different characters"), "{error}");
}

#[test]
fn going_from_a_model_to_random_leaves_no_weights_behind() {
    let project = with_model(&Model::new());
    project.base(&from_folder(&project, &[])).unwrap();
    let path = project.file("mine.tsv", "sentence\tlabel\nCats sleep.\t1\n");
    project.fetch(&[Part::Data, Part::Base], &random(&[&format!("data.source='file:{}'", path.display())])).unwrap();
    assert_eq!(project.base_files(), ["config.json", "source.json", "tokenizer.json"]);
    assert_eq!(names(&project.path("models")), ["base"], "nothing is left beside it");
}

#[test]
fn a_run_that_was_killed_while_swapping_folders_is_put_right() {
    let project = with_model(&Model::new());
    project.base(&from_folder(&project, &[])).unwrap();
    fs::rename(project.path("models/base"), project.path("models/.base.old")).unwrap();
    project.file("models/.base.new/config.json", "half a folder");
    let line = project.base(&from_folder(&project, &[])).unwrap();
    assert!(line.contains("already here"), "{line}");
    assert_eq!(names(&project.path("models")), ["base"]);
}
