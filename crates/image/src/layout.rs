//! An image as a folder: the OCI image layout, read and unpacked without a container engine.
//!
//! The form is that of the OCI image specification, version 1.1: `index.json` names a manifest by digest, the manifest
//! names a configuration and layers, and all of them lie in `blobs/sha256/`. Docker's older manifests (version 2,
//! schema 2) have the same fields and are read as well.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wellformed_core::files::{sha256_bytes, sha256_file};

use crate::error::{At, Error};

/// A reference to a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// An image's manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An image's configuration: what its program is started with.
#[derive(Debug, Clone, Deserialize)]
pub struct Configuration {
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// When it was made, RFC 3339; absent where the builder does not say.
    pub created: Option<String>,
    /// What a container is started with.
    #[serde(default)]
    pub config: Process,
    /// How it was made.
    #[serde(default)]
    pub history: Vec<History>,
}

/// What a container is started with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Process {
    /// User and group, by name or number; empty for root.
    pub user: String,
    /// `NAME=VALUE`.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// The program.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// Arguments, or the program where there is no entry point.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// The folder it is started in; empty for `/`.
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct History {
    /// The instruction.
    pub created_by: String,
}

/// Docker writes `null` for an empty list.
fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A file, folder or link in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From the image's root, without a slash in front.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permissions, with the bits for setuid (0o4000), setgid (0o2000) and sticky (0o1000).
    pub mode: u32,
    /// Owner.
    pub user: u64,
    /// Group.
    pub group: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of a file's content, in lower-case hexadecimal; empty for everything else.
    pub sha256: String,
    /// Modification time, in seconds since 1970.
    pub modified: u64,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary file.
    File,
    /// A folder.
    Folder,
    /// A hard or symbolic link, a device, a pipe.
    Other,
}

/// An OCI image layout with exactly one image in it.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
    /// `sha256:` and 64 hexadecimal digits: the manifest's, which is the image's name everywhere.
    pub digest: String,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's size in bytes.
    pub manifest_bytes: u64,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub configuration: Configuration,
}

impl Layout {
    /// Opens a folder, and checks that manifest and configuration have their digests.
    ///
    /// # Errors
    ///
    /// When it is no layout, holds another number of images than one, or is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let index_path = folder.join("index.json");
        let index: Index = parse(&index_path, &fs::read(&index_path).at("read", &index_path)?)?;
        let [top] = index.manifests.as_slice() else {
            let problem = format!("it names {} images, but exactly one was expected", index.manifests.len());
            return Err(Error::Form { path: index_path, problem });
        };
        if top.media_type.contains("index") || top.media_type.contains("list") {
            let problem = format!(
                "it names an image index ({}), which AWS Lambda does not take; build for one platform and without \
                 attestations (`--provenance=false`)",
                top.media_type
            );
            return Err(Error::Form { path: index_path, problem });
        }
        let manifest: Manifest = read_blob(folder, top)?;
        let configuration = read_blob(folder, &manifest.config)?;
        Ok(Self {
            folder: folder.to_owned(),
            digest: top.digest.clone(),
            media_type: top.media_type.clone(),
            manifest_bytes: top.size,
            manifest,
            configuration,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a registry stores and a machine downloads: layers as they are packed, configuration and manifest, in bytes.
    pub fn compressed(&self) -> u64 {
        let layers: u64 = self.manifest.layers.iter().map(|layer| layer.size).sum();
        layers + self.manifest.config.size + self.manifest_bytes
    }

    /// Everything that is in the image, upper layers over lower ones, in the order of the paths.
    ///
    /// # Errors
    ///
    /// When a layer is damaged or packed in a way that is not known here.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut found = BTreeMap::new();
        for layer in &self.manifest.layers {
            let (path, mut archive) = self.layer(layer)?;
            for entry in archive.entries().at("read", &path)? {
                let entry = read_entry(entry.at("read", &path)?).at("read", &path)?;
                if let Some(hidden) = whiteout(&entry.path) {
                    found.retain(|name: &String, _| !hides(&hidden, name));
                } else if !entry.path.is_empty() {
                    found.insert(entry.path.clone(), entry);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Unpacks the image's file system into an empty folder. As root, owners are kept.
    ///
    /// # Errors
    ///
    /// When a layer is damaged, or the folder cannot be written to.
    pub fn unpack(&self, into: &Path) -> Result<(), Error> {
        for layer in &self.manifest.layers {
            let (path, mut archive) = self.layer(layer)?;
            archive.set_preserve_permissions(true);
            archive.set_preserve_ownerships(is_root());
            archive.set_preserve_mtime(true);
            for entry in archive.entries().at("read", &path)? {
                let mut entry = entry.at("read", &path)?;
                let name = entry.path().at("read", &path)?.to_string_lossy().into_owned();
                if let Some(hidden) = whiteout(name.trim_start_matches("./")) {
                    remove(into, &hidden).at("unpack", into)?;
                } else {
                    // Refuses paths that lead out of the folder.
                    entry.unpack_in(into).at("unpack", into)?;
                }
            }
        }
        Ok(())
    }

    /// Reads one file of the image.
    ///
    /// # Errors
    ///
    /// When it is not there or a layer is damaged.
    pub fn file(&self, name: &str) -> Result<Vec<u8>, Error> {
        for layer in self.manifest.layers.iter().rev() {
            let (path, mut archive) = self.layer(layer)?;
            for entry in archive.entries().at("read", &path)? {
                let mut entry = entry.at("read", &path)?;
                if entry.path().at("read", &path)?.to_string_lossy().trim_start_matches("./") == name {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes).at("read", &path)?;
                    return Ok(bytes);
                }
            }
        }
        Err(Error::Form { path: self.folder.clone(), problem: format!("there is no /{name} in the image") })
    }

    /// Checks the digest of every layer; [`Layout::open`] has checked the rest.
    ///
    /// # Errors
    ///
    /// When a layer is missing or damaged.
    pub fn check_layers(&self) -> Result<(), Error> {
        for layer in &self.manifest.layers {
            let path = blob(&self.folder, layer)?;
            let found = sha256_file(&path)
                .map_err(|error| Error::Form { path: path.clone(), problem: format!("{error:#}") })?;
            if layer.digest != format!("sha256:{found}") {
                let problem = format!("its digest is sha256:{found}, but the manifest says {}", layer.digest);
                return Err(Error::Form { path, problem });
            }
        }
        Ok(())
    }

    fn layer(&self, layer: &Descriptor) -> Result<(PathBuf, tar::Archive<Box<dyn Read>>), Error> {
        let path = blob(&self.folder, layer)?;
        let file = io::BufReader::new(File::open(&path).at("read", &path)?);
        let reader: Box<dyn Read> = match layer.media_type.as_str() {
            kind if kind.ends_with("gzip") => Box::new(GzDecoder::new(file)),
            kind if kind.ends_with("tar") => Box::new(file),
            other => {
                let problem = format!("a layer is packed as {other}, but only tar and tar+gzip are read here");
                return Err(Error::Form { path, problem });
            }
        };
        Ok((path, tar::Archive::new(reader)))
    }
}

/// Adds labels to the one image of a layout, and so gives it another digest. Builders can do that too, but buildah's cache
/// does not see it when only a label changes.
pub(crate) fn add_labels(folder: &Path, labels: &BTreeMap<String, String>) -> Result<(), Error> {
    let index_path = folder.join("index.json");
    let mut index: Value = parse(&index_path, &fs::read(&index_path).at("read", &index_path)?)?;
    let found = Layout::open(folder)?;
    let manifest_path = folder.join("blobs/sha256").join(hash(&found.digest));
    let mut manifest: Value = parse(&manifest_path, &fs::read(&manifest_path).at("read", &manifest_path)?)?;
    let configuration_path = blob(folder, &found.manifest.config)?;
    let mut configuration: Value =
        parse(&configuration_path, &fs::read(&configuration_path).at("read", &configuration_path)?)?;
    let mut all = found.configuration.config.labels;
    all.extend(labels.clone());
    configuration["config"]["Labels"] = json!(all);
    // The new blobs first, the index that names them last.
    let put = |value: &Value, descriptor: &mut Value| -> Result<(), Error> {
        let bytes = value.to_string().into_bytes();
        let digest = sha256_bytes(&bytes);
        let path = folder.join("blobs/sha256").join(&digest);
        fs::write(&path, &bytes).at("write", &path)?;
        descriptor["digest"] = json!(format!("sha256:{digest}"));
        descriptor["size"] = json!(bytes.len());
        Ok(())
    };
    put(&configuration, &mut manifest["config"])?;
    put(&manifest, &mut index["manifests"][0])?;
    fs::write(&index_path, index.to_string()).at("write", &index_path)?;
    let now = Layout::open(folder)?;
    for (old, new) in [(&found.digest, &now.digest), (&found.manifest.config.digest, &now.manifest.config.digest)] {
        if old != new {
            let path = folder.join("blobs/sha256").join(hash(old));
            fs::remove_file(&path).at("write", &path)?;
        }
    }
    Ok(())
}

fn hash(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn read_entry<R: Read>(mut entry: tar::Entry<'_, R>) -> io::Result<Entry> {
    let header = entry.header();
    let kind = match header.entry_type() {
        tar::EntryType::Regular => Kind::File,
        tar::EntryType::Directory => Kind::Folder,
        _ => Kind::Other,
    };
    // Some builders write the kind of file into the mode as well.
    let (mode, user, group) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
    let modified = header.mtime()?;
    let path = entry.path()?.to_string_lossy().into_owned();
    let path = path.trim_start_matches("./").trim_matches('/').to_owned();
    let mut content = Vec::new();
    if kind == Kind::File {
        entry.read_to_end(&mut content)?;
    }
    let sha256 = if kind == Kind::File { sha256_bytes(&content) } else { String::new() };
    Ok(Entry { path, kind, mode, user, group, bytes: content.len() as u64, sha256, modified })
}

/// What a whiteout file of a layer hides: a path, or with a slash at its end everything below it.
fn whiteout(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hidden = name.strip_prefix(".wh.")?;
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    Some(if hidden == ".wh..opq" { folder } else { folder + hidden })
}

fn hides(hidden: &str, name: &str) -> bool {
    let below = if hidden.ends_with('/') { hidden.to_owned() } else { format!("{hidden}/") };
    name == hidden || name.starts_with(&below)
}

fn remove(root: &Path, hidden: &str) -> io::Result<()> {
    let safe = !Path::new(hidden).components().any(|part| matches!(part, std::path::Component::ParentDir));
    let path = root.join(hidden.trim_matches('/'));
    match fs::symlink_metadata(&path) {
        Ok(it) if it.is_dir() && safe => {
            fs::remove_dir_all(&path)?;
            if hidden.ends_with('/') { fs::create_dir(&path) } else { Ok(()) }
        }
        Ok(_) if safe => fs::remove_file(&path),
        _ => Ok(()),
    }
}

fn blob(folder: &Path, of: &Descriptor) -> Result<PathBuf, Error> {
    let hash = of.digest.strip_prefix("sha256:").filter(|hash| hash.len() == 64 && !hash.contains(['/', '.']));
    hash.map(|hash| folder.join("blobs/sha256").join(hash)).ok_or_else(|| Error::Form {
        path: folder.to_owned(),
        problem: format!("{:?} is no SHA-256 digest", of.digest),
    })
}

fn read_blob<T: DeserializeOwned>(folder: &Path, of: &Descriptor) -> Result<T, Error> {
    let path = blob(folder, of)?;
    let bytes = fs::read(&path).at("read", &path)?;
    let found = format!("sha256:{}", sha256_bytes(&bytes));
    if found != of.digest {
        return Err(Error::Form { path, problem: format!("its digest is {found}, but {} was expected", of.digest) });
    }
    parse(&path, &bytes)
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Form { path: path.to_owned(), problem: format!("not what is expected here: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout with one layer: a folder, a file, and a file that a second layer takes away.
    fn layout(folder: &Path) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let put = |bytes: &[u8], kind: &str| {
            let digest = sha256_bytes(bytes);
            fs::write(blobs.join(&digest), bytes).unwrap();
            json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len() })
        };
        let layer = |files: &[(&str, &str, u32)]| {
            let mut archive = tar::Builder::new(Vec::new());
            for (path, content, mode) in files {
                let mut header = tar::Header::new_ustar();
                header.set_size(content.len() as u64);
                header.set_mode(*mode);
                header.set_uid(0);
                header.set_gid(0);
                header.set_mtime(0);
                if path.ends_with('/') {
                    header.set_entry_type(tar::EntryType::Directory);
                }
                archive.append_data(&mut header, path, content.as_bytes()).unwrap();
            }
            put(&archive.into_inner().unwrap(), "application/vnd.oci.image.layer.v1.tar")
        };
        let layers = [
            layer(&[("app/", "", 0o755), ("app/program", "one", 0o4755), ("app/old", "x", 0o644)]),
            layer(&[("app/.wh.old", "", 0o644), ("app/new", "three", 0o444)]),
        ];
        let configuration = json!({
            "architecture": "amd64", "os": "linux", "config": { "User": "1:1", "Env": null, "Labels": { "a": "1" } }
        });
        let config = put(configuration.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let top = put(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        fs::write(folder.join("index.json"), json!({ "schemaVersion": 2, "manifests": [top] }).to_string()).unwrap();
    }

    #[test]
    fn upper_layers_hide_and_add() {
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path());
        let layout = Layout::open(folder.path()).unwrap();
        let entries = layout.entries().unwrap();
        let paths: Vec<(&str, u32)> = entries.iter().map(|it| (it.path.as_str(), it.mode)).collect();
        assert_eq!(paths, [("app", 0o755), ("app/new", 0o444), ("app/program", 0o4755)]);
        assert_eq!(entries[1].sha256, sha256_bytes(b"three"));
        assert_eq!(layout.file("app/new").unwrap(), b"three");
        let root = tempfile::tempdir().unwrap();
        layout.unpack(root.path()).unwrap();
        assert_eq!(fs::read(root.path().join("app/program")).unwrap(), b"one");
        assert!(!root.path().join("app/old").exists());
    }

    #[test]
    fn labels_are_added_to_those_that_are_there_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path());
        let before = Layout::open(folder.path()).unwrap();
        add_labels(folder.path(), &BTreeMap::from([("b".to_owned(), "2".to_owned())])).unwrap();
        let after = Layout::open(folder.path()).unwrap();
        after.check_layers().unwrap();
        let labels: Vec<&str> = after.configuration.config.labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["1", "2"]);
        assert_eq!(after.entries().unwrap(), before.entries().unwrap());
        assert_eq!(after.configuration.config.user, "1:1");
        assert_ne!(after.digest, before.digest);
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 4, "nothing is left over");
    }

    #[test]
    fn damage_is_found_and_an_index_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path());
        let whole = Layout::open(folder.path()).unwrap();
        let layer = folder.path().join("blobs/sha256").join(hash(&whole.manifest.layers[1].digest));
        fs::write(&layer, b"other").unwrap();
        assert!(whole.check_layers().unwrap_err().to_string().contains("but the manifest says"));
        let index = folder.path().join("index.json");
        let text = fs::read_to_string(&index).unwrap().replace("image.manifest.v1", "image.index.v1");
        fs::write(&index, text).unwrap();
        assert!(Layout::open(folder.path()).unwrap_err().to_string().contains("AWS Lambda does not take"));
    }
}
