//! Records as objects of an S3 bucket, for releases from more than one machine: a laptop and a workflow.
//!
//! One release at a time by a lease, the object `lease.json`. It is made only if there is none, and replaced only if it
//! is still the one that was read: S3 checks both itself (`If-None-Match`, `If-Match`). Every write of a record renews
//! the lease first, so a machine that was thought dead and taken over from cannot write, and stops.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::folder::Folder;
use super::{Store, file_name};
use crate::cloud::CloudError;
use crate::cloud::aws::{Aws, Call, found};
use crate::record::Record;

/// How long a lease is good after its last renewal. No step of a release takes longer between two writes of its record,
/// except for a first build, which is why it is generous.
const LEASE: Duration = Duration::from_mins(30);

/// A place in a bucket.
#[derive(Debug)]
pub struct Bucket {
    aws: Aws,
    name: String,
    prefix: String,
    owner: String,
    lease: Mutex<Option<String>>,
}

/// Who releases, and until when nobody else may.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    owner: String,
    until: String,
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "ETag")]
    e_tag: String,
}

impl Bucket {
    /// `bucket/prefix`.
    ///
    /// # Errors
    ///
    /// When there is no bucket in the name.
    pub fn open(name: &str, aws: Aws) -> Result<Self> {
        let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
        ensure!(!bucket.is_empty(), "records is `s3://{name}`, but must be s3://bucket/prefix");
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "a machine".to_owned());
        Ok(Self {
            aws,
            name: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            owner: format!("process {} on {host}", std::process::id()),
            lease: Mutex::new(None),
        })
    }

    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// The object's content and its tag; `None` when there is no such object.
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, String)>> {
        let file = NamedTempFile::new()?;
        let path = file.path().to_string_lossy().into_owned();
        let call = Call::new(["s3api", "get-object", "--bucket", &self.name, "--key", key, &path]);
        let Some(tagged) = found(self.aws.ask::<Tagged>(&call))? else { return Ok(None) };
        Ok(Some((std::fs::read(file.path())?, tagged.e_tag)))
    }

    /// Writes the object and gives its new tag, if a condition holds.
    fn put(&self, key: &str, content: &[u8], condition: &[&str]) -> Result<String, CloudError> {
        let call = Call::new(["s3api", "put-object", "--bucket", &self.name, "--key", key]);
        let unwritten = |error: std::io::Error| CloudError::Program {
            program: "aws".to_owned(),
            problem: format!("no temporary file: {error}"),
        };
        let mut file = NamedTempFile::new().map_err(unwritten)?;
        file.write_all(content).and_then(|()| file.flush()).map_err(unwritten)?;
        let path = file.path().to_string_lossy().into_owned();
        let call = call.with(["--content-type", "application/json", "--body", &path]).with(condition);
        self.aws.ask::<Tagged>(&call).map(|tagged| tagged.e_tag)
    }

    fn renewed(&self) -> Result<Vec<u8>> {
        let until = humantime::format_rfc3339_seconds(SystemTime::now() + LEASE).to_string();
        Ok(serde_json::to_vec(&Lease { owner: self.owner.clone(), until })?)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Bucket {
    fn acquire(&self) -> Result<()> {
        let key = self.key("lease.json");
        let place = format!("s3://{}/{key}", self.name);
        let taken = match self.get(&key)? {
            None => self.put(&key, &self.renewed()?, &["--if-none-match", "*"]),
            Some((bytes, tag)) => {
                let lease: Lease =
                    serde_json::from_slice(&bytes).with_context(|| format!("{place} is not in the expected form"))?;
                let until = humantime::parse_rfc3339(&lease.until)
                    .with_context(|| format!("{place}: `until` is `{}`, which is no time", lease.until))?;
                if until > SystemTime::now() && lease.owner != self.owner {
                    bail!(
                        "another release is running, or was interrupted ({place}: {}, until {}); wait for it, or, if \
                         you know that it is dead, `aws s3 rm {place}`, then run the same command again",
                        lease.owner,
                        lease.until
                    );
                }
                self.put(&key, &self.renewed()?, &["--if-match", &tag])
            }
        };
        match taken {
            Ok(tag) => {
                *self.held() = Some(tag);
                Ok(())
            }
            Err(CloudError::Conflict { .. }) => {
                bail!("another release has just begun ({place}); wait for it, then run the same command again")
            }
            Err(error) => Err(error).with_context(|| format!("cannot write {place}")),
        }
    }

    fn release(&self) -> Result<()> {
        if self.held().take().is_some() {
            let key = self.key("lease.json");
            self.aws.run(&Call::new(["s3api", "delete-object", "--bucket", &self.name, "--key", &key]))?;
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<Record>> {
        let folder = tempfile::tempdir()?;
        let from = format!("s3://{}/{}", self.name, self.key(""));
        let mut call = Call::new(["s3", "cp", "--recursive", "--only-show-errors", "--exclude", "lease.json", &from]);
        call = call.with([folder.path()]);
        self.aws.run(&call).with_context(|| format!("cannot read {from}"))?;
        Folder::open(folder.path()).list().with_context(|| format!("copied from {from}"))
    }

    fn write(&self, record: &Record) -> Result<()> {
        let lease = self.held().clone();
        let lease = lease.context("a record is written without the right to release")?;
        let key = self.key("lease.json");
        let renewed = self.put(&key, &self.renewed()?, &["--if-match", &lease]);
        match renewed {
            Ok(tag) => *self.held() = Some(tag),
            Err(CloudError::Conflict { .. } | CloudError::NotFound { .. }) => {
                bail!("another machine has taken this release over (s3://{}/{key}); this one stops here", self.name)
            }
            Err(error) => return Err(error).context("the lease cannot be renewed"),
        }
        let place = self.place(record.number);
        self.put(&self.key(&file_name(record.number)), &serde_json::to_vec_pretty(record)?, &[])
            .with_context(|| format!("cannot write {place}"))?;
        Ok(())
    }

    fn place(&self, number: u32) -> String {
        format!("s3://{}/{}", self.name, self.key(&file_name(number)))
    }
}
