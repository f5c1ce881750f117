//! A software bill of materials, and what is known against what is on it.
//!
//! The form is `CycloneDX` 1.6 as JSON (<https://cyclonedx.org/docs/1.6/json/>). Listed is what the image's program is
//! really built from: the packages of Cargo.lock that Cargo chooses for that program, target and features, with
//! their digests in Cargo.lock; and the files of the bundle, if there is one. What is only there to build with, such as macros, has the
//! scope `excluded`: it is not in the image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wellformed_core::bundle::Manifest;

use crate::builder::{Platform, Target};
use crate::error::{At, Error};
use crate::image::Image;
use crate::tool::{is_there, output, text};
use crate::verify::BUNDLE;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// A package's name and version.
type Name = (String, String);

/// The bill of materials of an image, made from the Cargo.lock in `root` and from the image's own bundle. The same image
/// and Cargo.lock give the same bytes.
///
/// # Errors
///
/// When Cargo cannot resolve the workspace (it needs the packages' manifests, which a build has downloaded), when
/// Cargo.lock is out of date, or when the image has no bundle although its program needs one.
pub fn sbom(root: &Path, image: &Image, target: Target) -> Result<Value, Error> {
    let triple = platform(image).triple();
    let cargo = || {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(root);
        command
    };
    let metadata =
        output(cargo().args(["metadata", "--locked", "--format-version", "1", "--filter-platform", triple]))?;
    let metadata: Metadata = serde_json::from_slice(&metadata)
        .map_err(|error| Error::Invalid(format!("`cargo metadata` gives another form than expected: {error}")))?;
    let tree = |edges: &str| -> Result<BTreeSet<Name>, Error> {
        let mut command = cargo();
        command.args(["tree", "--locked", "--package", target.package(), "--target", triple, "--edges", edges]);
        Ok(names(&text(command.args(["--prefix", "none", "--format", "{p}"]))?))
    };
    let (linked, all) = (tree("normal,no-proc-macro")?, tree("normal,build")?);
    let lock_path = root.join("Cargo.lock");
    let lock: Lock = toml::from_str(&fs::read_to_string(&lock_path).at("read", &lock_path)?)
        .map_err(|error| Error::Form { path: lock_path, problem: error.to_string() })?;
    let checksums: BTreeMap<(&str, &str), &str> = lock
        .package
        .iter()
        .filter_map(|it| Some(((it.name.as_str(), it.version.as_str()), it.checksum.as_deref()?)))
        .collect();

    let listed = |package: &&Package| all.contains(&(package.name.clone(), package.version.clone()));
    let mut packages: Vec<&Package> = metadata.packages.iter().filter(listed).collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    let references: BTreeMap<&str, String> =
        packages.iter().map(|package| (package.id.as_str(), purl(&package.name, &package.version))).collect();
    let mut components: Vec<Value> = packages
        .iter()
        .map(|package| {
            let in_image = linked.contains(&(package.name.clone(), package.version.clone()));
            component(package, in_image, checksums.get(&(package.name.as_str(), package.version.as_str())).copied())
        })
        .collect();
    let (models, model_references) = if target.has_bundle() { bundle(image)? } else { Default::default() };
    components.extend(models);

    let top = format!("pkg:oci/wellformed-{}@{}", target.name(), image.digest().replace(':', "%3A"));
    let program = packages.iter().find(|package| package.name == target.package());
    let program = program.map(|package| purl(&package.name, &package.version));
    let mut dependencies =
        vec![json!({ "ref": top, "dependsOn": program.into_iter().chain(model_references).collect::<Vec<_>>() })];
    for node in &metadata.resolve.nodes {
        let Some(reference) = references.get(node.id.as_str()) else { continue };
        let on = node.deps.iter().filter(|edge| edge.dep_kinds.iter().any(|it| it.kind.as_deref() != Some("dev")));
        let on: BTreeSet<&String> = on.filter_map(|edge| references.get(edge.pkg.as_str())).collect();
        dependencies.push(json!({ "ref": reference, "dependsOn": on }));
    }
    let version = image.label("org.opencontainers.image.revision").filter(|it| !it.is_empty());
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(image.digest()),
        "version": 1,
        "metadata": {
            "timestamp": image.label("org.opencontainers.image.created"),
            "tools": { "components": [
                { "type": "application", "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }
            ] },
            "component": {
                "type": "container", "bom-ref": top, "purl": top,
                "name": format!("wellformed-{}", target.name()),
                "version": version.unwrap_or(env!("CARGO_PKG_VERSION")),
                "hashes": [{ "alg": "SHA-256", "content": image.digest().trim_start_matches("sha256:") }]
            }
        },
        "components": components,
        "dependencies": dependencies
    }))
}

fn platform(image: &Image) -> Platform {
    if image.layout.configuration.architecture == "arm64" { Platform::Arm64 } else { Platform::Amd64 }
}

/// What `cargo tree` prints with `{p}`: `NAME vVERSION`, and what it says behind that.
fn names(tree: &str) -> BTreeSet<Name> {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(name).collect()
}

/// A package's address as the package URL specification has it; a `+` has to be encoded.
fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn component(package: &Package, in_image: bool, checksum: Option<&str>) -> Value {
    let reference = purl(&package.name, &package.version);
    let mut component = json!({
        "type": "library", "bom-ref": reference, "purl": reference,
        "name": package.name, "version": package.version,
        "scope": if in_image { "required" } else { "excluded" }
    });
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(license) = &package.license {
        // Cargo's older way of writing OR.
        component["licenses"] = json!([{ "expression": one_line(&license.replace('/', " OR ")) }]);
    }
    if let Some(description) = &package.description {
        component["description"] = json!(one_line(description));
    }
    if let Some(repository) = package.repository.as_ref().filter(|_| package.source.is_some()) {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The bundle's files that are in the image, and their references.
fn bundle(image: &Image) -> Result<(Vec<Value>, Vec<String>), Error> {
    let bytes = image.layout.file(&format!("{BUNDLE}/bundle.json"))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| Error::Form {
        path: image.layout.folder().to_owned(),
        problem: format!("its /{BUNDLE}/bundle.json: {error}"),
    })?;
    let (mut components, mut references) = (Vec::new(), Vec::new());
    for entry in image.layout.entries()? {
        let Some((BUNDLE, name)) = entry.path.rsplit_once('/') else { continue };
        let kind =
            if Path::new(name).extension().is_some_and(|it| it == "onnx") { "machine-learning-model" } else { "data" };
        let reference = format!("bundle/{name}");
        components.push(json!({
            "type": kind, "bom-ref": reference, "name": name, "version": manifest.digest, "scope": "required",
            "hashes": [{ "alg": "SHA-256", "content": entry.sha256 }]
        }));
        references.push(reference);
    }
    Ok((components, references))
}

/// A UUID of version 8 (RFC 9562) that follows from the image's digest.
fn serial_number(digest: &str) -> String {
    let hash = digest.trim_start_matches("sha256:");
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or("0");
    let node = part(20, 32);
    format!("urn:uuid:{}-{}-8{}-8{}-{node}", part(0, 8), part(8, 12), part(13, 16), part(17, 20))
}

/// What is known against the packages that a program is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Advisories {
    /// The database was read.
    Checked {
        /// Advisories that apply, `RUSTSEC-…: title`; empty if all is well.
        found: Vec<String>,
    },
    /// It was not.
    NotChecked {
        /// Why.
        why: String,
        /// How it can be.
        how: String,
    },
}

/// Asks `RustSec`'s database through cargo-deny, with the project's deny.toml. That needs cargo-deny and the database,
/// which it fetches from the web; where either is missing the answer is [`Advisories::NotChecked`], never silence.
pub fn advisories(root: &Path, target: Target) -> Advisories {
    let how =
        "`cargo install cargo-deny --locked`, then `cargo deny check advisories` where github.com can be reached; \
               CI does it"
            .to_owned();
    let not = |why: String| Advisories::NotChecked { why, how: how.clone() };
    if !is_there("cargo-deny") {
        return not("cargo-deny is not installed".to_owned());
    }
    let package = target.package().trim_start_matches("wellformed-");
    let mut deny = Command::new("cargo-deny");
    deny.current_dir(root).arg("--manifest-path").arg(format!("crates/{package}/Cargo.toml"));
    deny.args(["--format", "json", "check", "--config", "deny.toml", "advisories"]);
    let Ok(output) = deny.output() else { return not("cargo-deny cannot be started".to_owned()) };
    read_advisories(&String::from_utf8_lossy(&output.stderr), output.status.success()).unwrap_or_else(not)
}

/// Reads cargo-deny's JSON lines: a diagnostic for each advisory, a summary at the end if the check was made.
fn read_advisories(lines: &str, success: bool) -> Result<Advisories, String> {
    let lines: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let summary = lines.iter().any(|line| line["type"] == "summary");
    let found: Vec<String> = lines
        .iter()
        .filter(|line| line["type"] == "diagnostic" && line["fields"]["severity"] == "error")
        .map(|line| {
            let advisory = &line["fields"]["advisory"];
            let id = advisory["id"].as_str().or_else(|| line["fields"]["code"].as_str()).unwrap_or("advisory");
            format!("{id}: {}", line["fields"]["message"].as_str().unwrap_or_default())
        })
        .collect();
    if summary && (success || !found.is_empty()) {
        return Ok(Advisories::Checked { found });
    }
    let said = lines.iter().rev().find_map(|line| line["fields"]["message"].as_str());
    Err(format!("cargo-deny could not check: {}", said.unwrap_or("it gives no reason")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_are_read_from_cargos_tree() {
        let tree = "wellformed-lambda v0.1.0 (/src/crates/lambda)\nserde v1.0.228\nserde_derive v1.0.228 (proc-macro)\n\nserde v1.0.228 (*)";
        let name = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let expected = [name("wellformed-lambda", "0.1.0"), name("serde", "1.0.228"), name("serde_derive", "1.0.228")];
        assert_eq!(names(tree), BTreeSet::from(expected));
    }

    #[test]
    fn a_serial_number_is_a_uuid_of_version_8() {
        let number = serial_number(&format!("sha256:{}", "0123456789abcdef".repeat(4)));
        assert_eq!(number, "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    }

    #[test]
    fn advisories_that_were_not_checked_are_not_taken_for_none() {
        let failed = r#"{"type":"log","fields":{"level":"ERROR","message":"failed to fetch advisory database"}}"#;
        assert!(read_advisories(failed, false).unwrap_err().contains("failed to fetch"));
        assert!(read_advisories("", true).is_err());
        let summary = r#"{"type":"summary","fields":{"advisories":{"errors":0}}}"#;
        assert_eq!(read_advisories(summary, true).unwrap(), Advisories::Checked { found: vec![] });
        let bad = r#"{"type":"diagnostic","fields":{"severity":"error","code":"vulnerability","message":"a hole","advisory":{"id":"RUSTSEC-2026-0001"}}}"#;
        let found = vec!["RUSTSEC-2026-0001: a hole".to_owned()];
        assert_eq!(read_advisories(&format!("{bad}\n{summary}"), false).unwrap(), Advisories::Checked { found });
    }
}
