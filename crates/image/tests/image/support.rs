//! One image of each program for all tests: the programs of this checkout, with the small bundle of infer's tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use wellformed_image::{BuildRequest, Builder, Golden, Image, LOCAL_RUST_IMAGE, Target, golden};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The bundle that the tested image holds.
pub(crate) fn bundle() -> PathBuf {
    root().join("crates/infer/tests/fixtures/bundle")
}

pub(crate) fn answers() -> Vec<Golden> {
    golden(&bundle(), None).unwrap()
}

pub(crate) struct Built {
    pub(crate) builder: Builder,
    pub(crate) request: BuildRequest,
    pub(crate) image: Image,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build(Target::Lambda));
static FORWARDER: LazyLock<Result<Built, String>> = LazyLock::new(|| build(Target::Forwarder));
static PROJECT: LazyLock<PathBuf> = LazyLock::new(project);

fn build(target: Target) -> Result<Built, String> {
    let builder = Builder::find().map_err(|error| error.to_string())?;
    if builder == Builder::Buildah && std::env::var_os(wellformed_image::RUST).is_none() {
        // Where a registry can be reached, $WELLFORMED_RUST_IMAGE names the official image.
        let mut script = Command::new(root().join("scripts/local-image"));
        let made = script.arg("rust").output().map_err(|error| error.to_string())?;
        if !made.status.success() {
            return Err(format!("{LOCAL_RUST_IMAGE}: {}", String::from_utf8_lossy(&made.stderr)));
        }
    }
    let mut request = BuildRequest::of_commit(&root(), target).unwrap();
    request.root.clone_from(&PROJECT);
    "test".clone_into(&mut request.tag);
    // From here on a failure is a failure.
    let image = builder.build(&request, &mut |_| {}).unwrap();
    Ok(Built { builder, request, image })
}

/// The image of what predicts in AWS Lambda, or `None` and a line that says why there is none here.
pub(crate) fn built() -> Option<&'static Built> {
    BUILT.as_ref().map_or_else(|problem| lacking(problem), Some)
}

/// The forwarder's image, or `None` and a line that says why there is none here.
pub(crate) fn built_forwarder() -> Option<&'static Built> {
    FORWARDER.as_ref().map_or_else(|problem| lacking(problem), Some)
}

/// Says that a test cannot be made here; with `WELLFORMED_IMAGE_TESTS=required` that is a failure.
pub(crate) fn lacking<T>(problem: &str) -> Option<T> {
    assert!(std::env::var("WELLFORMED_IMAGE_TESTS").as_deref() != Ok("required"), "{problem}");
    eprintln!("NOT TESTED: {problem}");
    None
}

/// A copy of what an image is built from, with the small bundle in the place of the trained one.
fn project() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("project");
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    fs::create_dir_all(copy.join("models")).unwrap();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--",
            ".cargo",
            ".dockerignore",
            "Cargo.*",
            "Dockerfile.lambda",
            "crates",
            "examples",
            "xtask",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    for name in String::from_utf8(listed.stdout).unwrap().split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), copy.join(name));
        // Deleted, but not committed yet.
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }
    copy_folder(&bundle(), &copy.join("models/bundle"));
    copy
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}
