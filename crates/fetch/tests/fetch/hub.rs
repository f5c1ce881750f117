//! The Hugging Face hub: digests, commits, tokens, and its ways of saying no.

use wellformed_core::files::sha256_bytes;
use wellformed_fetch::{FetchError, Token, WrongDigest};

use crate::server::{COMMIT, Fault, HubServer, Server, git_blob};
use crate::support::{Model, Project, sets};

const NAME: &str = "someone/tiny-bert";

/// A project that takes its base model from `server`.
fn project(server: &Server) -> Project {
    let mut project = Project::new();
    project.settings.hub = server.url("");
    project
}

fn base(more: &[&str]) -> Vec<String> {
    let mut all = vec!["base.source=hf:someone/tiny-bert@main", "base.folder=''", "base.sha256={}"];
    all.extend(more);
    sets(&all)
}

fn put_model(server: &HubServer, model: &Model) -> String {
    server.put_small("config.json", &model.config);
    server.put_small("tokenizer.json", &model.tokenizer);
    server.put_large("model.safetensors", &model.weights)
}

#[test]
fn a_model_comes_with_its_commit_and_digests_written_down() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    let project = project(&server.hub);
    let line = project.base(&base(&[])).unwrap();
    assert!(line.contains(COMMIT), "{line}");
    assert_eq!(project.base_files(), ["config.json", "model.safetensors", "source.json", "tokenizer.json"]);
    assert_eq!(project.base_file("model.safetensors"), model.weights);
    assert_eq!(project.base_file("config.json"), model.config);
    let record = project.record();
    assert_eq!(record["source"], "hf:someone/tiny-bert@main");
    assert_eq!(record["revision"], COMMIT);
    assert_eq!(record["initialisation"], "pretrained");
    assert_eq!(record["files"]["model.safetensors"]["sha256"], sha256_bytes(&model.weights));
    assert_eq!(record["files"]["config.json"]["bytes"], model.config.len());
}

#[test]
fn after_the_first_file_the_commit_is_asked_for_so_that_all_files_are_of_one_version() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    project(&server.hub).base(&base(&[])).unwrap();
    let by_branch = server.hub.log().iter().filter(|seen| seen.path.contains("/resolve/main/")).count();
    assert_eq!(by_branch, 1, "{:#?}", server.hub.log());
    assert_eq!(server.hub.seen(&server.route_at_commit("model.safetensors")).len(), 2, "a HEAD and a GET");
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    let project = project(&server.hub);
    project.base(&base(&[])).unwrap();
    server.hub.forget();
    let line = project.base(&base(&[])).unwrap();
    assert!(line.contains("already here"), "{line}");
    assert!(server.hub.log().is_empty(), "{:?}", server.hub.log());
}

#[test]
fn a_damaged_file_is_fetched_again_and_the_others_are_kept() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    let stored = put_model(&server, &model);
    let project = project(&server.hub);
    project.base(&base(&[])).unwrap();
    project.file("models/base/config.json", "{}");
    server.hub.forget();
    server.store.forget();
    project.base(&base(&[])).unwrap();
    assert_eq!(project.base_file("config.json"), model.config);
    assert!(server.store.seen(&stored).is_empty(), "the weights were here, and the hub said so before sending them");
}

#[test]
fn weights_that_break_off_are_resumed_at_the_store() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    let stored = put_model(&server, &model);
    server.store.fail(&stored, &[Fault::Cut(100_000)]);
    let project = project(&server.hub);
    project.base(&base(&[])).unwrap();
    assert_eq!(project.base_file("model.safetensors"), model.weights);
    let sent: Vec<(u16, usize)> = server.store.seen(&stored).iter().map(|seen| (seen.status, seen.sent)).collect();
    assert_eq!(sent, [(200, 100_000), (206, model.weights.len() - 100_000)]);
}

#[test]
fn the_hubs_sha256_is_held_against_what_the_store_sends() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    let stored = put_model(&server, &model);
    server.store.fail(&stored, &[Fault::Replace(b"other weights".to_vec())]);
    let project = project(&server.hub);
    let error = project.base(&base(&[])).unwrap_err();
    let FetchError::Digest(wrong) = &error else { panic!("{error:?}") };
    let WrongDigest { kind, found, wanted, by, .. } = wrong.as_ref();
    assert_eq!((*kind, found, wanted), ("sha256", &sha256_bytes(b"other weights"), &sha256_bytes(&model.weights)));
    assert!(by.contains(NAME) && by.contains(COMMIT), "{by}");
    assert!(!project.places.base.exists(), "a model is there whole or not at all");
}

#[test]
fn gits_sha1_is_held_against_small_files() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    let cached = format!("/api/resolve-cache/{NAME}/{COMMIT}/config.json");
    // The entity tag comes with the HEAD; the GET after it brings something else.
    let lie = format!("\"{}\"", git_blob(b"what the hub has"));
    server.hub.fail(&cached, &[Fault::Status(200, vec![("etag", lie), ("content-length", "7".to_owned())])]);
    let error = project(&server.hub).base(&base(&[])).unwrap_err();
    let FetchError::Digest(wrong) = &error else { panic!("{error:?}") };
    let WrongDigest { kind, found, wanted, .. } = wrong.as_ref();
    assert_eq!(
        (*kind, found.clone(), wanted.clone()),
        ("git blob sha1", git_blob(&model.config), git_blob(b"what the hub has"))
    );
}

#[test]
fn a_digest_in_params_is_held_against_the_file_as_well() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    let other = format!("base.sha256={{config.json: '{}'}}", sha256_bytes(b"another"));
    let error = project(&server.hub).base(&base(&[&other])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("base.sha256.config.json in params.yaml"), "{text}");
    assert!(text.contains("If base.source was changed"), "{text}");
}

#[test]
fn a_mirror_that_names_no_digest_needs_one_in_params() {
    let (server, model) = (HubServer::without_headers(NAME), Model::new());
    put_model(&server, &model);
    let project = project(&server.hub);
    let error = project.base(&base(&[])).unwrap_err();
    assert!(error.to_string().contains("list the file under base.sha256"), "{error}");
    // The small files have git's SHA-1 as entity tag; only the weights need a digest of ours.
    project.base(&base(&[&model.digests()])).unwrap();
    assert_eq!(project.base_file("model.safetensors"), model.weights);
    assert_eq!(project.record()["revision"], "main", "the mirror names no commit");
}

#[test]
fn a_token_opens_the_hub_and_does_not_reach_the_store() {
    let (server, model) = (HubServer::private(NAME, "hf_secret"), Model::new());
    put_model(&server, &model);
    let mut project = project(&server.hub);
    project.settings.token = Some(Token::new("hf_secret"));
    project.base(&base(&[])).unwrap();
    assert!(server.hub.log().iter().all(|seen| seen.headers["authorization"] == "Bearer hf_secret"));
    let store = server.store.log();
    assert!(!store.is_empty());
    for seen in store {
        let leaked = seen.headers.iter().any(|(name, value)| name == "authorization" || value.contains("hf_secret"));
        assert!(!leaked, "{seen:?}");
    }
    let printed = format!("{:?}", project.settings);
    assert!(!printed.contains("hf_secret"), "{printed}");
}

#[test]
fn cola_never_sees_the_token() {
    let (site, mut project) = (Server::site(), Project::new());
    project.settings.token = Some(Token::new("hf_secret"));
    project.data(&sets(&[&format!("data.cola.url={}", site.url("/cola.zip"))])).unwrap_err();
    assert!(site.log().iter().all(|seen| !seen.headers.contains_key("authorization")), "{:?}", site.log());
    assert_eq!(site.log().len(), 1);
}

#[test]
fn a_private_or_missing_repository_asks_for_a_token() {
    let (server, model) = (HubServer::private(NAME, "hf_secret"), Model::new());
    put_model(&server, &model);
    let mut project = project(&server.hub);
    for token in [None, Some(Token::new("wrong"))] {
        project.settings.token = token;
        let error = project.base(&base(&[])).unwrap_err();
        assert!(matches!(&error, FetchError::Refused { status: 401, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("HF_TOKEN") && text.contains("base.source") && text.contains(NAME), "{text}");
        assert!(!text.contains("wrong"), "{text}");
    }
}

#[test]
fn a_gated_repository_and_a_missing_revision_say_so() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    put_model(&server, &model);
    let project = project(&server.hub);
    let gated = Fault::Status(403, vec![("x-error-code", "GatedRepo".to_owned())]);
    server.hub.fail(&server.route("config.json"), &[gated]);
    let error = project.base(&base(&[])).unwrap_err();
    assert!(error.to_string().contains("is gated: accept its terms"), "{error}");
    let error = project.base(&base(&["base.source=hf:someone/tiny-bert@v9"])).unwrap_err();
    assert!(error.to_string().contains("has no revision v9"), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_repository_without_a_file_that_a_model_needs_says_which() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    server.put_small("config.json", &model.config);
    let project = project(&server.hub);
    let error = project.base(&base(&[])).unwrap_err().to_string();
    assert!(error.contains("there is no tokenizer.json or vocab.txt") && error.contains("base.folder"), "{error}");
    server.put_small("tokenizer.json", &model.tokenizer);
    let error = project.base(&base(&[])).unwrap_err().to_string();
    assert!(error.contains("there is no model.safetensors or pytorch_model.bin"), "{error}");
}

#[test]
fn a_model_of_another_family_is_refused_before_its_weights_are_fetched() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    let stored = put_model(&server, &model);
    server.put_small("config.json", br#"{"model_type": "gpt2"}"#);
    let error = project(&server.hub).base(&base(&[])).unwrap_err().to_string();
    assert!(error.contains("model_type is \"gpt2\", but must be \"bert\", \"electra\" or \"roberta\""), "{error}");
    assert!(server.store.seen(&stored).is_empty());
}

#[test]
fn googles_bert_tiny_has_no_tokenizer_json_and_gets_one() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    server.put_small("config.json", &model.config);
    server.put_small("vocab.txt", &model.vocabulary);
    server.put_large("pytorch_model.bin", &model.weights);
    let project = project(&server.hub);
    project.base(&base(&[])).unwrap();
    let expected = ["config.json", "pytorch_model.bin", "source.json", "tokenizer.json", "vocab.txt"];
    assert_eq!(project.base_files(), expected);
    assert_eq!(project.record()["files"]["tokenizer.json"]["from"], "built from vocab.txt");
    let tokenizer = tokenizers::Tokenizer::from_bytes(project.base_file("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.encode("The CATS", true).unwrap().get_ids(), [2, 5, 6, 7, 3]);
    assert!(project.base(&base(&[])).unwrap().contains("already here"));
}

#[test]
fn a_folder_of_the_repository_is_possible() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    server.put_small("onnx/tiny/config.json", &model.config);
    server.put_small("onnx/tiny/tokenizer.json", &model.tokenizer);
    server.put_large("onnx/tiny/model.safetensors", &model.weights);
    let project = project(&server.hub);
    project.base(&base(&["base.folder=onnx/tiny"])).unwrap();
    assert_eq!(project.record()["files"]["config.json"]["from"], "onnx/tiny/config.json");
}

#[test]
fn a_hub_in_trouble_is_asked_again() {
    let (server, model) = (HubServer::new(NAME), Model::new());
    let stored = put_model(&server, &model);
    server.hub.fail(&server.route("config.json"), &[Fault::Status(502, Vec::new())]);
    server.store.fail(&stored, &[Fault::Status(503, Vec::new())]);
    let project = project(&server.hub);
    project.base(&base(&[])).unwrap();
    assert_eq!(project.base_file("model.safetensors"), model.weights);
}

#[test]
fn a_hub_out_of_reach_names_the_ways_out() {
    let error = Project::new().base(&base(&[])).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    for way in ["HF_ENDPOINT", "dvc pull models/base", "base.source=dir:PATH", "--preset scratch"] {
        assert!(text.contains(way), "{way} is missing in: {text}");
    }
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    let mut project = Project::new();
    for endpoint in ["huggingface.co", "ftp://hub", ""] {
        endpoint.clone_into(&mut project.settings.hub);
        let error = project.base(&base(&[])).unwrap_err().to_string();
        assert!(error.starts_with("HF_ENDPOINT: "), "{error}");
    }
}
