//! The bill of materials, by `CycloneDX`'s own validator.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use wellformed_image::Target;
use wellformed_image::sbom::{Advisories, advisories, sbom};

use crate::support::{built, lacking, root};

fn names<'a>(bill: &'a Value, scope: &str) -> BTreeSet<&'a str> {
    let components = bill["components"].as_array().unwrap().iter();
    components.filter(|it| it["scope"] == scope).map(|it| it["name"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_bill_of_materials_lists_what_is_linked_and_nothing_of_the_pipeline() {
    let Some(built) = built() else { return };
    let bill = sbom(&root(), &built.image, Target::Lambda).unwrap();
    assert_eq!(bill, sbom(&root(), &built.image, Target::Lambda).unwrap());
    let linked = names(&bill, "required");
    for name in ["wellformed-lambda", "wellformed-infer", "lambda_runtime", "tokenizers", "model.int8.onnx"] {
        assert!(linked.contains(name), "{name} is missing");
    }
    for name in ["burn", "wellformed-train", "axum", "clap", "arrow"] {
        assert!(!linked.contains(name), "{name} is not in the image");
    }
    let excluded = names(&bill, "excluded");
    assert!(excluded.contains("serde_derive") && !linked.contains("serde_derive"), "a macro is not linked");
    // Everything that Cargo downloaded has the digest of Cargo.lock.
    for component in bill["components"].as_array().unwrap() {
        let ours = component["name"].as_str().unwrap().starts_with("wellformed-");
        assert_eq!(component["hashes"].is_array(), !ours, "{component}");
    }
    assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], built.image.digest()["sha256:".len()..]);
}

#[test]
#[ignore = "builds an image, and needs bench/requirements-image.txt in .venv-image: `cargo xtask test` runs it"]
fn the_bill_of_materials_is_valid_by_the_schema_of_cyclonedx() {
    let Some(built) = built() else { return };
    let python = root().join(".venv-image/bin/python");
    if !python.is_file() {
        return lacking("there is no .venv-image (`cargo xtask test` makes it)").unwrap_or_default();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.json");
    let validate = |bill: &Value| {
        fs::write(&path, bill.to_string()).unwrap();
        let mut command = Command::new(&python);
        command.arg(root().join("bench/check_sbom.py")).arg(&path).output().unwrap()
    };
    let mut bill = sbom(&root(), &built.image, Target::Lambda).unwrap();
    let output = validate(&bill);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // The validator does find what is wrong.
    bill["components"][0]["type"] = "crate".into();
    assert!(!validate(&bill).status.success());
}

#[test]
#[ignore = "asks cargo-deny, which asks the web"]
fn advisories_are_checked_or_said_not_to_be() {
    match advisories(&root(), Target::Lambda) {
        Advisories::Checked { found } => assert!(found.is_empty(), "{found:?}"),
        Advisories::NotChecked { why, how } => {
            assert!(!why.is_empty() && how.contains("cargo deny"));
            eprintln!("NOT TESTED: advisories, {why}");
        }
    }
}
