//! Digests by which a file is known.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context;
use sha1::{Digest as _, Sha1};
use wellformed_core::files::sha256_file;

use crate::error::{FetchError, WrongDigest};

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Digest {
    /// SHA-256 of the bytes.
    Sha256(String),
    /// SHA-1 of `blob LENGTH\0` and the bytes, as git names file contents.
    GitBlob(String),
}

impl Digest {
    /// The digest that the Hugging Face hub uses as entity tag: SHA-256 of files in large-file storage, git's SHA-1 of
    /// others. `None` for any other tag.
    pub(crate) fn of_etag(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_ascii_lowercase();
        if !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match tag.len() {
            64 => Some(Self::Sha256(tag)),
            40 => Some(Self::GitBlob(tag)),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::GitBlob(_) => "git blob sha1",
        }
    }

    pub(crate) fn hexadecimal(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::GitBlob(text) => text,
        }
    }

    /// The same kind of digest of a file.
    fn found(&self, path: &Path) -> anyhow::Result<String> {
        match self {
            Self::Sha256(_) => sha256_file(path),
            Self::GitBlob(_) => git_blob(path),
        }
    }

    /// Whether the file is there and is the right one.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        path.is_file() && self.found(path).is_ok_and(|found| found.eq_ignore_ascii_case(self.hexadecimal()))
    }
}

/// A digest and who asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) digest: Digest,
    /// For messages: `data.cola.sha256 in params.yaml`.
    pub(crate) by: String,
    /// What to do about another digest.
    pub(crate) advice: String,
}

impl Wanted {
    /// Fails when the file at `path` is another one; `what` names it in the message.
    pub(crate) fn check(&self, what: &str, path: &Path) -> Result<(), FetchError> {
        let found = self.digest.found(path)?;
        if found.eq_ignore_ascii_case(self.digest.hexadecimal()) {
            return Ok(());
        }
        let wrong = WrongDigest {
            what: what.to_owned(),
            kind: self.digest.kind(),
            found,
            wanted: self.digest.hexadecimal().to_ascii_lowercase(),
            by: self.by.clone(),
            advice: self.advice.clone(),
        };
        Err(Box::new(wrong).into())
    }
}

fn git_blob(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", file.metadata().with_context(context)?.len()));
    io::copy(&mut file, &mut hasher).with_context(context)?;
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_blob_has_the_digest_that_git_hash_object_prints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // `printf 'what is up, doc?' | git hash-object --stdin`
        std::fs::write(&path, "what is up, doc?").unwrap();
        assert_eq!(git_blob(&path).unwrap(), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
    }

    #[test]
    fn entity_tags_are_digests_only_when_they_look_like_one() {
        let (sha256, sha1) = ("ab".repeat(32), "cd".repeat(20));
        assert_eq!(Digest::of_etag(&format!("\"{sha256}\"")), Some(Digest::Sha256(sha256)));
        assert_eq!(Digest::of_etag(&format!("W/\"{sha1}\"")), Some(Digest::GitBlob(sha1)));
        for other in ["\"5f3a-1d2\"", "", "\"abcd\"", &"zz".repeat(20)] {
            assert_eq!(Digest::of_etag(other), None, "{other}");
        }
    }
}
