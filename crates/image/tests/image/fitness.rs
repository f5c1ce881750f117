//! What is built is fit, what is not fit is found, and limits hold.

use std::collections::BTreeMap;

use serde_json::json;
use wellformed_image::layout::Kind;
use wellformed_image::{BUNDLE_LABEL, Error, Expectations, Image, Limits, Prepared, Target, inspect, verify};

use crate::support::{answers, built, copy_folder};

fn expectations(image: &Image) -> Expectations {
    let mut expected = Expectations::new(Target::Lambda, image.label(BUNDLE_LABEL).unwrap(), answers());
    // With a bundle as small as BERT-tiny's.
    (expected.max_compressed, expected.max_uncompressed) = (12_000_000, 12_000_000);
    expected.starts = 2;
    expected
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_image_is_fit_under_half_a_processor_and_512_mb() {
    let Some(built) = built() else { return };
    let found = verify(&built.image, &expectations(&built.image)).unwrap();
    for check in &found.checks {
        println!("{}: {}", check.name, check.found);
    }
    let failures: Vec<_> = found.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let cold = found.cold_start.unwrap();
    assert_eq!((cold.first_answer_ms.len(), cold.limits.memory_mb), (2, 512));
    assert_eq!(built.image.label("org.opencontainers.image.revision").unwrap(), built.request.revision);
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_same_commit_gives_the_same_digest_without_any_cache() {
    let Some(built) = built() else { return };
    let mut request = built.request.clone();
    request.cache = false;
    "test-again".clone_into(&mut request.tag);
    let again = built.builder.build(&request, &mut |_| {}).unwrap();
    let programs = [&built.image, &again].map(|image| {
        let entries = image.layout.entries().unwrap();
        entries.into_iter().find(|entry| entry.path == Target::Lambda.program()).unwrap().sha256
    });
    assert_eq!(programs[0], programs[1], "the program itself");
    assert_eq!(again.digest(), built.image.digest(), "the image around it");
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn files_are_of_1970_and_the_labels_of_each_build_are_its_own() {
    let Some(built) = built() else { return };
    let mut request = built.request.clone();
    "test-labels".clone_into(&mut request.tag);
    request.revision = "0123456789".to_owned();
    // From the cache, all but the labels.
    let other = built.builder.build(&request, &mut |_| {}).unwrap();
    assert_eq!(other.label("org.opencontainers.image.revision"), Some("0123456789"));
    assert_ne!(other.digest(), built.image.digest());
    let layers = |image: &Image| image.layout.manifest.layers.iter().map(|it| it.digest.clone()).collect::<Vec<_>>();
    assert_eq!(layers(&other), layers(&built.image), "another commit's image shares its layers");
    for entry in other.layout.entries().unwrap() {
        assert_eq!(entry.modified, 0, "{entry:?}");
        let mode = if entry.kind == Kind::Folder { 0o755 } else { entry.mode & 0o555 };
        assert_eq!(entry.mode, mode, "{entry:?}");
    }
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn another_bundle_other_answers_and_a_budget_that_is_too_small_are_found() {
    let Some(built) = built() else { return };
    let mut expected = expectations(&built.image);
    expected.bundle_digest = Some("0".repeat(64));
    expected.golden[0].p_acceptable = 1.0 - expected.golden[0].p_acceptable;
    expected.max_compressed = 1_000_000;
    expected.max_cold_start_ms = Some(0.001);
    let found = verify(&built.image, &expected).unwrap();
    let failures: Vec<&str> = found.failures().map(|check| check.name.as_str()).collect();
    let wanted = [
        "the download is within its budget",
        "the label wellformed.bundle.digest is right",
        "the bundle is the expected one",
        "it answers as the bundle does outside",
        "its answers name the bundle",
        "it starts within its budget",
    ];
    assert_eq!(failures, wanted);
    assert!(!inspect(&built.image, &Expectations { target: Target::Serve, ..expected }).unwrap()[2].passed);
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn a_program_that_cannot_start_says_why() {
    let Some(built) = built() else { return };
    let prepared = Prepared::new(&built.image).unwrap();
    let variables = BTreeMap::from([("WELLFORMED_BUNDLE".to_owned(), "/no/such/bundle".to_owned())]);
    let error = prepared.start(Limits::default(), &variables).err().unwrap();
    let Error::Init { message, log } = error else { panic!("{error}") };
    assert!(message.starts_with("Wellformed.Init: ") && message.contains("/no/such/bundle"), "{message}");
    assert!(log.contains("/no/such/bundle"), "{log}");
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn a_program_that_needs_more_memory_than_it_gets_is_ended() {
    let Some(built) = built() else { return };
    let prepared = Prepared::new(&built.image).unwrap();
    let mut whole = prepared.start(Limits::default(), &BTreeMap::new()).unwrap();
    assert!(whole.enforced().read_only);
    if !whole.enforced().memory {
        return crate::support::lacking("no control group for memory can be made here").unwrap_or_default();
    }
    assert!(whole.is_alive());
    // Less than the program itself holds. It fails while it starts, or with an event of several megabytes.
    let event = json!({ "sentence": "word ".repeat(1_000_000) }).to_string();
    match prepared.start(Limits { memory_mb: 6, ..Limits::default() }, &BTreeMap::new()) {
        Err(error) => assert!(matches!(error, Error::Init { .. } | Error::Failed { .. }), "{error}"),
        Ok(mut small) => {
            let answer = small.invoke(event.as_bytes()).unwrap();
            assert_eq!(answer.function_error.as_deref(), Some("Runtime.OutOfMemory"), "{answer:?}");
            assert!(!small.is_alive());
        }
    }
    // The same event is no trouble for the one with 512 MB.
    let answer = whole.invoke(event.as_bytes()).unwrap();
    assert_eq!((answer.function_error, answer.payload.is_empty()), (None, false));
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn a_damaged_layer_is_found_when_the_image_is_opened() {
    let Some(built) = built() else { return };
    let folder = tempfile::tempdir().unwrap();
    copy_folder(built.image.layout.folder(), folder.path());
    let layer = &built.image.layout.manifest.layers[0].digest["sha256:".len()..];
    let path = folder.path().join("blobs/sha256").join(layer);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = Image::open(folder.path(), "damaged").unwrap_err().to_string();
    assert!(error.contains(layer), "{error}");
}
