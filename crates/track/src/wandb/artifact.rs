//! Artifacts: folders of files with a manifest, whose digest is the version's identity.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::proto::{Artifact as ArtifactRecord, Manifest, ManifestEntry, PolicyItem};
use crate::id::characters;
use crate::sink::{Artifact, Cell, Table};

/// Length of the identifiers by which a client names an artifact before the server has.
const CLIENT_ID: usize = 128;

/// The entry of one file that lies at `local`.
fn entry(path: &str, local: &Path) -> Result<ManifestEntry> {
    let bytes = fs::read(local).with_context(|| format!("cannot read {}", local.display()))?;
    Ok(ManifestEntry {
        path: path.to_owned(),
        digest: STANDARD.encode(Md5::digest(&bytes)),
        size: bytes.len() as i64,
        local_path: local.to_str().with_context(|| format!("{} is not Unicode", local.display()))?.to_owned(),
    })
}

/// The identity of a version: MD5 over paths and digests, in the order of the paths.
fn digest(entries: &[ManifestEntry]) -> String {
    let mut text = String::from("wandb-artifact-manifest-v1\n");
    for entry in entries {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}:{}", entry.path, entry.digest);
    }
    hex::encode(Md5::digest(text.as_bytes()))
}

fn record(name: &str, kind: &str, mut entries: Vec<ManifestEntry>) -> ArtifactRecord {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    ArtifactRecord {
        kind: kind.to_owned(),
        name: name.to_owned(),
        digest: digest(&entries),
        user_created: true,
        aliases: vec!["latest".to_owned()],
        manifest: Some(Manifest {
            version: 1,
            storage_policy: "wandb-storage-policy-v1".to_owned(),
            storage_policy_config: vec![PolicyItem {
                key: "storageLayout".to_owned(),
                value_json: "\"V2\"".to_owned(),
            }],
            contents: entries,
        }),
        finalize: true,
        client_id: characters(CLIENT_ID),
        sequence_client_id: characters(CLIENT_ID),
        digest_algorithm: "MANIFEST_MD5".to_owned(),
        ..ArtifactRecord::default()
    }
}

/// A folder as an artifact. Its files are linked into `staging`, or copied where that is not possible, so that a later
/// output in the same place does not change what `wandb sync` uploads.
pub(super) fn of_folder(artifact: &Artifact, staging: &Path) -> Result<ArtifactRecord> {
    let mut entries = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inner) = open.pop() {
        let from = artifact.folder.join(&inner);
        let list = fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))?;
        fs::create_dir_all(staging.join(&inner))?;
        for item in list {
            let item = item?;
            let inner = inner.join(item.file_name());
            // Through symbolic links: DVC may keep its files by them.
            if fs::metadata(item.path())?.is_dir() {
                open.push(inner);
                continue;
            }
            let staged = staging.join(&inner);
            let real = fs::canonicalize(item.path())?;
            if fs::hard_link(&real, &staged).is_err() {
                fs::copy(&real, &staged).with_context(|| format!("cannot copy {}", real.display()))?;
            }
            let path = inner.to_str().with_context(|| format!("{} is not Unicode", inner.display()))?;
            entries.push(entry(&path.replace('\\', "/"), &staged)?);
        }
    }
    ensure!(!entries.is_empty(), "{} has no files", artifact.folder.display());
    let mut record = record(&artifact.name, &artifact.kind, entries);
    record.aliases.clone_from(&artifact.aliases);
    if !artifact.metadata.is_null() {
        record.metadata = artifact.metadata.to_string();
    }
    Ok(record)
}

/// A table as the artifact that W&B's table view reads, and what points to it from history and summary.
pub(super) fn of_table(table: &Table, run: &str, staging: &Path) -> Result<(ArtifactRecord, Map<String, Value>)> {
    let name = format!("{}.table.json", table.key);
    let column = |at: usize| {
        let numbers = table.rows.iter().all(|row| matches!(row.get(at), Some(Cell::Number(_) | Cell::Empty)));
        let kind = if numbers { "number" } else { "string" };
        json!({"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, {"wb_type": kind}]}})
    };
    let types: Map<String, Value> =
        table.columns.iter().enumerate().map(|(at, name)| (name.clone(), column(at))).collect();
    let content = json!({
        "_type": "table",
        "column_types": {"wb_type": "typedDict", "params": {"type_map": types}},
        "columns": table.columns,
        "data": table.rows,
        "log_mode": "IMMUTABLE",
        "ncols": table.columns.len(),
        "nrows": table.rows.len(),
    });
    fs::create_dir_all(staging)?;
    let staged = staging.join(&name);
    fs::write(&staged, content.to_string()).with_context(|| format!("cannot write {}", staged.display()))?;
    let record = record(&format!("run-{run}-{}", table.key), "run_table", vec![entry(&name, &staged)?]);
    let mut pointer = Map::new();
    let address = |id: &str| Value::from(format!("wandb-client-artifact://{id}/{name}"));
    pointer.insert("artifact_path".to_owned(), address(&record.client_id));
    pointer.insert("_latest_artifact_path".to_owned(), address(&format!("{}:latest", record.sequence_client_id)));
    pointer.insert("log_mode".to_owned(), "IMMUTABLE".into());
    Ok((record, pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What W&B's own client makes of the same two files.
    #[test]
    fn a_folder_has_the_digest_that_the_client_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle");
        fs::create_dir_all(bundle.join("onnx")).unwrap();
        fs::write(bundle.join("onnx/m.onnx"), "abc").unwrap();
        fs::write(bundle.join("bundle.json"), "{}").unwrap();
        let artifact = Artifact {
            name: "wellformed".to_owned(),
            kind: "model".to_owned(),
            folder: bundle.clone(),
            metadata: json!({"precision": "int8"}),
            aliases: vec!["latest".to_owned(), "best".to_owned()],
        };
        let record = of_folder(&artifact, &folder.path().join("staging")).unwrap();
        assert_eq!(record.digest, "2df2ff36254e9e8f1f4966a043d9f9b9");
        let manifest = record.manifest.unwrap();
        let digests: Vec<&str> = manifest.contents.iter().map(|entry| entry.digest.as_str()).collect();
        assert_eq!(digests, ["mZFLkyvTelC5g8XnyQrpOw==", "kAFQmDzST7DWlj99KOF/cg=="]);
        // A new output in its place leaves the staged one alone.
        fs::remove_file(bundle.join("bundle.json")).unwrap();
        fs::write(bundle.join("bundle.json"), "{\"new\": 1}").unwrap();
        assert_eq!(fs::read_to_string(&manifest.contents[0].local_path).unwrap(), "{}");
    }
}
