//! An image that was built or pulled, and its way to and from a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use wellformed_core::files::sha256_bytes;

use crate::error::{At, Error};
use crate::layout::Layout;
use crate::tool::output;

/// An image on this machine.
#[derive(Debug, Clone)]
pub struct Image {
    /// What it is called here, for messages.
    pub reference: String,
    /// Its files.
    pub layout: Layout,
    /// Bytes of its files, unpacked.
    pub uncompressed: u64,
}

impl Image {
    /// Opens an image that [`crate::Builder::build`] or [`Image::pull`] put into a folder.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged.
    pub fn open(folder: &Path, reference: &str) -> Result<Self, Error> {
        let layout = Layout::open(folder)?;
        layout.check_layers()?;
        let uncompressed = layout.entries()?.iter().map(|entry| entry.bytes).sum();
        Ok(Self { reference: reference.to_owned(), layout, uncompressed })
    }

    /// The manifest's digest, `sha256:…`: the image's name in every registry.
    pub fn digest(&self) -> &str {
        &self.layout.digest
    }

    /// What a machine downloads, in bytes.
    pub fn compressed(&self) -> u64 {
        self.layout.compressed()
    }

    /// `linux/amd64` and the like.
    pub fn platform(&self) -> String {
        format!("{}/{}", self.layout.configuration.os, self.layout.configuration.architecture)
    }

    /// A label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.layout.configuration.config.labels.get(name).map(String::as_str)
    }

    /// Pushes the image without changing a byte of it, reads the digest back from the registry, and compares. A tag that
    /// has this very image already is a success.
    ///
    /// Credentials are those of `skopeo login`, `docker login` or `$REGISTRY_AUTH_FILE`.
    ///
    /// # Errors
    ///
    /// When the registry cannot be reached or refuses, when the tag is of another image ([`Error::TagTaken`]), or when
    /// another digest comes back ([`Error::DigestChanged`]).
    pub fn push(&self, to: &RegistryReference) -> Result<Pushed, Error> {
        let ours = self.digest().to_owned();
        if let Some(found) = to.digest()? {
            if found == ours {
                return Ok(Pushed { reference: to.with_digest(&found), digest: found, was_there: true });
            }
            return Err(Error::TagTaken { reference: to.to_string(), found, ours });
        }
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--preserve-digests"]).args(to.plain_http("--dest-tls-verify"));
        copy.arg(format!("oci:{}", self.layout.folder().display())).arg(format!("docker://{to}"));
        output(&mut copy)?;
        match to.digest()? {
            Some(found) if found == ours => {
                Ok(Pushed { reference: to.with_digest(&found), digest: found, was_there: false })
            }
            found => {
                let found = found.unwrap_or_else(|| "nothing".to_owned());
                Err(Error::DigestChanged { reference: to.to_string(), found, ours })
            }
        }
    }

    /// Pulls an image into a folder, whole or not at all; what the folder held before is gone.
    ///
    /// # Errors
    ///
    /// When the registry cannot be reached or has no such image, or the folder cannot be written to.
    pub fn pull(from: &RegistryReference, folder: &Path) -> Result<Self, Error> {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(above).at("make", above)?;
        let scratch = tempfile::Builder::new().prefix(".image-").tempdir_in(above).at("make", above)?;
        let layout = scratch.path().join("layout");
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--preserve-digests"]).args(from.plain_http("--src-tls-verify"));
        copy.arg(format!("docker://{from}")).arg(format!("oci:{}:pulled", layout.display()));
        output(&mut copy)?;
        if folder.exists() {
            fs::remove_dir_all(folder).at("write", folder)?;
        }
        fs::rename(&layout, folder).at("write", folder)?;
        Self::open(folder, &from.to_string())
    }
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The repository with the digest: what is to be deployed.
    pub reference: String,
    /// The digest that the registry gives back.
    pub digest: String,
    /// Whether the registry had it already.
    pub was_there: bool,
}

/// An image's name in a registry: `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryReference {
    repository: String,
    /// With its `:` or `@`.
    version: String,
}

impl RegistryReference {
    /// Reads a reference. The host has to be there, and so has a tag or a digest: nothing is filled in.
    ///
    /// # Errors
    ///
    /// When something is missing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |problem: &str| Error::Invalid(format!("{text:?} names no image in a registry: {problem}"));
        let (repository, version) = match text.split_once('@') {
            Some((repository, digest)) if digest.starts_with("sha256:") => (repository, format!("@{digest}")),
            Some(_) => return Err(wrong("what is behind the @ has to be sha256:…")),
            None => {
                let (repository, tag) = text
                    .rsplit_once(':')
                    .filter(|(_, tag)| !tag.contains('/'))
                    .ok_or_else(|| wrong("it has no tag"))?;
                (repository, format!(":{tag}"))
            }
        };
        let host = repository.split_once('/').map_or("", |(host, _)| host);
        if !(host.contains(['.', ':']) || host == "localhost") {
            return Err(wrong("it has to start with a host, as in registry.example.org/wellformed:1"));
        }
        Ok(Self { repository: repository.to_owned(), version })
    }

    /// The part without tag and digest.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The same repository, an image of it by digest.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}@{digest}", self.repository)
    }

    /// The digest that the registry has under this name; `None` if it has none.
    ///
    /// # Errors
    ///
    /// When the registry cannot be reached or refuses.
    pub fn digest(&self) -> Result<Option<String>, Error> {
        let mut inspect = Command::new("skopeo");
        inspect.args(["inspect", "--raw"]).args(self.plain_http("--tls-verify")).arg(format!("docker://{self}"));
        match output(&mut inspect) {
            // The digest is that of the manifest's bytes; nobody's word has to be taken for it.
            Ok(manifest) => Ok(Some(format!("sha256:{}", sha256_bytes(&manifest)))),
            Err(Error::Failed { output, .. }) if is_absent(&output) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registries on this machine speak plain HTTP.
    fn plain_http(&self, flag: &str) -> Option<String> {
        let host = self.repository.split(['/', ':']).next().unwrap_or_default();
        matches!(host, "localhost" | "127.0.0.1").then(|| format!("{flag}=false"))
    }
}

impl std::fmt::Display for RegistryReference {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}{}", self.repository, self.version)
    }
}

/// How registries say that they do not have an image: the error codes of the OCI distribution specification.
fn is_absent(message: &str) -> bool {
    let message = message.to_lowercase();
    ["manifest unknown", "name unknown", "manifest_unknown", "name_unknown"].iter().any(|it| message.contains(it))
}

/// Where this machine keeps images that are worked on: a folder below Cargo's target folder.
pub fn store(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("images")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_host_a_repository_and_a_tag_or_a_digest() {
        let tagged = RegistryReference::parse("127.0.0.1:5000/team/wellformed:abc").unwrap();
        assert_eq!(tagged.repository(), "127.0.0.1:5000/team/wellformed");
        assert_eq!(tagged.to_string(), "127.0.0.1:5000/team/wellformed:abc");
        assert_eq!(tagged.plain_http("--tls-verify").unwrap(), "--tls-verify=false");
        let digest = format!("sha256:{}", "0".repeat(64));
        let fixed = RegistryReference::parse(&format!("registry.example.org/wellformed@{digest}")).unwrap();
        assert_eq!(fixed.with_digest(&digest), fixed.to_string());
        assert_eq!(fixed.plain_http("--tls-verify"), None, "a registry elsewhere is asked over TLS");
        for text in ["wellformed", "wellformed:1", "127.0.0.1:5000/wellformed", "team/wellformed:1", "a.b/c@md5:1"] {
            assert!(RegistryReference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_absent_image_is_told_from_a_registry_that_is_down() {
        assert!(is_absent("reading manifest x in 127.0.0.1:5000/a: manifest unknown: manifest unknown"));
        assert!(is_absent("name unknown: The repository with name 'a' does not exist in the registry"));
        assert!(!is_absent("dial tcp 127.0.0.1:5000: connect: connection refused"));
        assert!(!is_absent("unauthorized: authentication required"));
    }
}
