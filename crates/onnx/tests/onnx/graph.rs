//! The files that are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use wellformed_core::bundle::Precision;
use wellformed_core::files::{read_json, sha256_bytes};
use wellformed_onnx::proto::{TensorProto, ValueInfoProto};
use wellformed_onnx::{Architecture, Error, Weight, initializers, model};

use crate::support::{file, fp32_weights, kinds, small, weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Whatever changes a file, even a name in it, has to pass the checker and ONNX Runtime again: run the ignored test
/// below with `WELLFORMED_WRITE=1`.
#[test]
fn the_files_are_those_that_onnx_runtime_was_seen_to_agree_on() {
    let verified: BTreeMap<String, String> = read_json(&fixture("verified.json")).unwrap();
    let found = kinds().into_iter().map(|(name, architecture)| (name, sha256_bytes(&file(&architecture)))).collect();
    assert_eq!(verified, found);
}

#[test]
#[ignore = "needs onnx and onnxruntime in .venv-onnx (bench/requirements-onnx.txt): cargo test --release -p wellformed-onnx -- --ignored"]
fn onnx_runtime_agrees_with_numpy_on_every_kind_of_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("WELLFORMED_PYTHON").map_or_else(|| root.join(".venv-onnx/bin/python"), Into::into);
    let folder = tempfile::tempdir().unwrap();
    for (name, architecture) in kinds() {
        std::fs::write(folder.path().join(name + ".onnx"), file(&architecture)).unwrap();
    }
    let mut check = Command::new(&python);
    check.arg(fixture("check_models.py")).arg(folder.path());
    if std::env::var_os("WELLFORMED_WRITE").is_some() {
        check.arg("--write").arg(fixture("verified.json"));
    }
    let output = check.output().unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    println!("{printed}");
    let results: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(results.as_object().unwrap().len(), kinds().len());
}

#[test]
fn every_node_is_named_and_every_value_is_made_once_and_before_it_is_used() {
    for (kind, architecture) in kinds() {
        let graph = model(&architecture, weights(&architecture)).unwrap().graph.unwrap();
        let mut known: BTreeSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
        known.extend(graph.initializer.iter().map(TensorProto::name));
        let mut unused: BTreeSet<&str> = known.clone();
        let mut names = BTreeSet::new();
        for node in &graph.node {
            assert!(!node.name().is_empty() && names.insert(node.name()), "{kind}: {}", node.name());
            for input in &node.input {
                assert!(known.contains(input.as_str()), "{kind}: {} uses {input}", node.name());
                unused.remove(input.as_str());
            }
            for output in &node.output {
                assert!(known.insert(output), "{kind}: {output} is there already");
                unused.insert(output);
            }
        }
        let outputs: Vec<&str> = graph.output.iter().map(ValueInfoProto::name).collect();
        assert_eq!(outputs, ["logits", "probabilities"]);
        unused.retain(|name| !outputs.contains(name));
        assert_eq!(unused, BTreeSet::new(), "{kind}");
    }
}

#[test]
fn int8_files_hold_their_matrices_in_8_bits_and_the_classifier_in_32() {
    let int8 = Architecture { precision: Precision::Int8, ..small() };
    let text: Vec<String> = initializers(&int8).iter().map(|spec| format!("{} {spec}", spec.name)).collect();
    for wanted in [
        "embeddings.word.int8 I8[40, 16]",
        "embeddings.word.scale F32[40, 1]",
        "embeddings.position F32[12, 16]",
        "layers.1.qkv.weight.int8 I8[16, 48]",
        "layers.1.qkv.weight.scale F32[48]",
        "layers.0.outer.weight.int8 I8[24, 16]",
        "head.weight.scale F32[16]",
        "classifier.weight F32[16, 2]",
    ] {
        assert!(text.iter().any(|line| line == wanted), "{wanted} is not in {text:#?}");
    }
}

#[test]
fn embeddings_of_their_own_width_have_a_product_to_that_of_the_hidden_states() {
    let narrow = Architecture { embedding: Some(10), precision: Precision::Int8, ..small() };
    let text: Vec<String> = initializers(&narrow).iter().map(|spec| format!("{} {spec}", spec.name)).collect();
    for wanted in [
        "embeddings.word.int8 I8[40, 10]",
        "embeddings.position F32[12, 10]",
        "embeddings.norm.bias F32[10]",
        "embeddings.projection.weight.int8 I8[10, 16]",
        "embeddings.projection.weight.scale F32[16]",
        "embeddings.projection.bias F32[16]",
        "layers.0.qkv.weight.int8 I8[16, 48]",
    ] {
        assert!(text.iter().any(|line| line == wanted), "{wanted} is not in {text:#?}");
    }
    assert!(!initializers(&small()).iter().any(|spec| spec.name.contains("projection")));
}

#[test]
fn a_model_is_not_written_with_a_weight_missing_or_too_many_or_misshapen() {
    let architecture = small();
    let mut without = fp32_weights(&architecture);
    let bias = without.remove("head.bias").unwrap();
    assert_eq!(model(&architecture, without), Err(Error::Missing { name: "head.bias".to_owned() }));

    let mut more = fp32_weights(&architecture);
    more.insert("tail.bias".to_owned(), bias);
    assert_eq!(model(&architecture, more), Err(Error::SurplusWeight { name: "tail.bias".to_owned() }));

    let mut other = fp32_weights(&architecture);
    other.insert("head.bias".to_owned(), Weight::from_f32(vec![15], &[0.0; 15]));
    let error = model(&architecture, other).unwrap_err().to_string();
    assert_eq!(error, "weight head.bias: found F32[15] in 60 bytes, but the architecture needs F32[16]");
}

#[test]
fn an_architecture_that_cannot_be_is_refused_by_its_field() {
    let refused = |architecture: Architecture| architecture.validate().unwrap_err().to_string();
    assert!(refused(Architecture { heads: 3, ..small() }).contains("multiple of heads (3)"));
    assert!(refused(Architecture { embedding: Some(0), ..small() }).contains("embedding is 0"));
    assert!(refused(Architecture { embedding: Some(16), ..small() }).contains("must then be left out"));
    assert!(refused(Architecture { layers: 0, ..small() }).contains("layers is 0"));
    assert!(refused(Architecture { hidden: usize::MAX, ..small() }).contains("hidden is"));
    assert!(refused(Architecture { temperature: 1e-50, ..small() }).contains("temperature is 0"));
    assert!(refused(Architecture { epsilon: f32::NAN, ..small() }).contains("epsilon is NaN"));
}
