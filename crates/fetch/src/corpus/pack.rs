//! A corpus as one ZIP file, the same bytes for the same content: fixed order, no time stamps, no compression (whose
//! bytes would change with the compressor's version).

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use wellformed_core::files::{sha256_bytes, write_whole};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The folder inside the archive.
pub const FOLDER: &str = "corpus";
const RECORD: &str = "source.json";

/// A file of the corpus.
pub(crate) struct Member {
    /// Its name, `train.tsv`.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// A packed corpus.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
}

/// Packs `members`, with `record` and every member's SHA-256 as `corpus/source.json`.
pub(crate) fn pack(mut record: Value, members: Vec<Member>) -> Result<Packed> {
    let digests: Map<String, Value> = members
        .iter()
        .map(|member| {
            (member.name.clone(), json!({ "sha256": sha256_bytes(&member.bytes), "bytes": member.bytes.len() }))
        })
        .collect();
    record["files"] = Value::Object(digests);
    let mut text = serde_json::to_vec_pretty(&record)?;
    text.push(b'\n');

    let mut all = members;
    all.push(Member { name: RECORD.to_owned(), bytes: text });
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for member in &all {
        let large = member.bytes.len() as u64 > u64::from(u32::MAX);
        archive.start_file(format!("{FOLDER}/{}", member.name), options.large_file(large))?;
        archive.write_all(&member.bytes)?;
    }
    Ok(Packed { bytes: archive.finish()?.into_inner() })
}

/// Writes the archive, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, |writer| Ok(writer.write_all(bytes)?))
}

/// Whether the archive at `path` says of itself what `asked` says, and its files are those it was packed with.
pub(crate) fn is_intact(path: &Path, asked: &Value) -> bool {
    let check = || -> Result<bool> {
        let mut archive = ZipArchive::new(File::open(path)?)?;
        let record: Value = serde_json::from_slice(&member(&mut archive, &format!("{FOLDER}/{RECORD}"))?)?;
        let asked = asked.as_object().context("not a map")?;
        let files = record["files"].as_object().context("no files")?;
        let mut intact = !files.is_empty() && asked.iter().all(|(key, value)| record.get(key) == Some(value));
        for (name, file) in files {
            let bytes = member(&mut archive, &format!("{FOLDER}/{name}"))?;
            intact = intact && file["sha256"] == json!(sha256_bytes(&bytes));
        }
        Ok(intact)
    };
    check().unwrap_or(false)
}

/// The bytes of one file in an archive.
pub(crate) fn member(archive: &mut ZipArchive<File>, name: &str) -> Result<Vec<u8>> {
    let mut file = archive.by_name(name).with_context(|| format!("the archive holds no {name}"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("{name} in the archive is damaged"))?;
    Ok(bytes)
}
