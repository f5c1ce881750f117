//! A damaged bundle is refused, and the message names the file.

use std::fs;
use std::path::Path;

use wellformed_infer::{Options, Precision, Predictor, verify};

use crate::support::{bundle, copy};

/// Every file of the bundle.
fn files() -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(bundle()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        ["bundle.json", "model.int8.onnx", "model.onnx", "profile.json", "signals.json", "tokenizer.json"]
    );
    names
}

/// What is said about a broken bundle, whoever opens it.
fn complaints(folder: &Path, name: &str) -> Vec<String> {
    let mut complaints = vec![verify(folder).unwrap_err().to_string()];
    for precision in Precision::ALL {
        let uses = match name {
            "model.onnx" => precision == Precision::Fp32,
            "model.int8.onnx" => precision == Precision::Int8,
            "profile.json" => false,
            _ => true,
        };
        let opened = Predictor::open(folder, &Options { precision: Some(precision), threads: 1 });
        if uses {
            complaints.push(opened.unwrap_err().to_string());
        }
    }
    complaints
}

/// Breaks one file of a copy in some way, and requires that everyone who reads that file names it.
fn refused(what: &str, damage: impl Fn(&Path, &str)) {
    for name in files() {
        let folder = copy();
        damage(folder.path(), &name);
        for complaint in complaints(folder.path(), &name) {
            assert!(complaint.contains(&name), "{what} {name}: {complaint}");
        }
    }
}

#[test]
fn a_whole_bundle_is_accepted() {
    let manifest = verify(&bundle()).unwrap();
    assert!(manifest.files.len() >= 4);
    for precision in Precision::ALL {
        let predictor = Predictor::open(&bundle(), &Options { precision: Some(precision), threads: 1 }).unwrap();
        assert_eq!(predictor.digest(), manifest.digest);
        assert_eq!(predictor.precision(), precision);
    }
    let default = Predictor::open(&bundle(), &Options::default()).unwrap();
    assert_eq!(default.precision(), manifest.default_precision);
}

#[test]
fn a_missing_file_is_named() {
    refused("missing", |folder, name| fs::remove_file(folder.join(name)).unwrap());
}

#[test]
fn a_bundle_with_one_of_its_models_predicts_as_the_whole_one_and_keeps_its_name() {
    for (missing, precision) in [("model.onnx", Precision::Int8), ("model.int8.onnx", Precision::Fp32)] {
        let options = Options { precision: Some(precision), threads: 1 };
        let folder = copy();
        fs::remove_file(folder.path().join(missing)).unwrap();
        let part = Predictor::open(folder.path(), &options).unwrap();
        let whole = Predictor::open(&bundle(), &options).unwrap();
        assert_eq!(part.digest(), whole.digest());
        let ask = |predictor: &Predictor| predictor.predict("The dog sleeps.").unwrap().logits;
        assert_eq!(ask(&part), ask(&whole));
    }
}

#[test]
fn a_truncated_file_is_named() {
    for keep in [0.0, 0.5, 0.999] {
        refused("truncated", |folder, name| {
            let bytes = fs::read(folder.join(name)).unwrap();
            fs::write(folder.join(name), &bytes[..(bytes.len() as f64 * keep) as usize]).unwrap();
        });
    }
}

#[test]
fn a_flipped_bit_is_found() {
    for place in [0.0, 0.1, 0.37, 0.5, 0.73, 0.98] {
        refused("flipped", |folder, name| {
            let mut bytes = fs::read(folder.join(name)).unwrap();
            let mut at = (bytes.len() as f64 * place) as usize;
            if name == "bundle.json" {
                // White space of the manifest means nothing.
                at = (at..bytes.len()).find(|&at| !bytes[at].is_ascii_whitespace()).unwrap();
            }
            bytes[at] ^= 1;
            fs::write(folder.join(name), bytes).unwrap();
        });
    }
}

#[test]
fn a_file_in_the_place_of_another_is_named() {
    for other in files() {
        refused("swapped", |folder, name| {
            // In its own place, a file is no other: take the first byte away instead.
            let bytes = fs::read(bundle().join(&other)).unwrap();
            fs::write(folder.join(name), if other == name { &bytes[1..] } else { &bytes[..] }).unwrap();
        });
    }
}

#[test]
fn a_longer_file_is_named() {
    refused("longer", |folder, name| {
        let mut bytes = fs::read(folder.join(name)).unwrap();
        bytes.extend_from_slice(b"{}");
        fs::write(folder.join(name), bytes).unwrap();
    });
}

/// Changes the manifest of a copy and seals it again: what a careless program could write.
fn resealed(change: impl FnOnce(&mut wellformed_infer::Manifest)) -> String {
    let folder = copy();
    let path = folder.path().join("bundle.json");
    let mut manifest: wellformed_infer::Manifest = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, serde_json::to_string(&manifest.seal()).unwrap()).unwrap();
    Predictor::open(folder.path(), &Options::default()).unwrap_err().to_string()
}

#[test]
fn a_manifest_that_contradicts_the_model_is_refused() {
    assert!(resealed(|manifest| manifest.max_length += 1).contains("longest sequence"));
    assert!(resealed(|manifest| manifest.vocabulary += 1).contains("vocabulary"));
    assert!(resealed(|manifest| manifest.calibration.temperature *= 2.0).contains("temperature"));
    assert!(resealed(|manifest| manifest.calibration.temperature = 0.0).contains("calibration.temperature"));
    assert!(resealed(|manifest| manifest.max_length = 1).contains("max_length"));
    assert!(resealed(|manifest| manifest.format = 2).contains("format"));
    assert!(resealed(|manifest| drop(manifest.files.remove("tokenizer.json"))).contains("tokenizer.json"));
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = copy();
    let mut tokenizer: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("tokenizer.json")).unwrap()).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    let next = vocabulary.len();
    vocabulary.insert("oneword".to_owned(), next.into());
    let bytes = serde_json::to_vec(&tokenizer).unwrap();
    fs::write(folder.path().join("tokenizer.json"), &bytes).unwrap();
    let path = folder.path().join("bundle.json");
    let mut manifest: wellformed_infer::Manifest = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let entry = manifest.files.get_mut("tokenizer.json").unwrap();
    entry.bytes = bytes.len() as u64;
    entry.sha256 = wellformed_core::files::sha256_bytes(&bytes);
    fs::write(&path, serde_json::to_string(&manifest.seal()).unwrap()).unwrap();
    let complaint = Predictor::open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(complaint.contains("tokenizer.json") && complaint.contains("different models"), "{complaint}");
}
