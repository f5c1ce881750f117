//! Where records are kept: a folder, or a bucket that several machines share.
//!
//! A store does two things besides keeping: it numbers releases without gaps, and it lets only one release run at a
//! time. What the alias does is the cloud's truth; a store is the memory of how it came to that.

pub mod bucket;
pub mod folder;

use std::path::Path;

use anyhow::Result;

use crate::cloud::aws::Aws;
use crate::record::Record;
use bucket::Bucket;
use folder::Folder;

/// Where records are kept.
pub trait Store {
    /// Takes the right to release; only one at a time has it. It is given back by [`Store::release`], or when this
    /// process ends in any way (a bucket finds out after a while).
    ///
    /// # Errors
    ///
    /// When another has it; the message says who, since when, and what to do.
    fn acquire(&self) -> Result<()>;

    /// Gives the right back.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    fn release(&self) -> Result<()>;

    /// All records by number, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached, or holds something that is no record.
    fn list(&self) -> Result<Vec<Record>>;

    /// Writes a record, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another machine has taken over.
    fn write(&self, record: &Record) -> Result<()>;

    /// Where a record lies, for people.
    fn place(&self, number: u32) -> String;
}

/// Opens the store that deploy.yaml names.
///
/// # Errors
///
/// When the name is not one of a folder or a bucket.
pub fn open(root: &Path, name: &str, aws: &Aws) -> Result<Box<dyn Store>> {
    match name.strip_prefix("s3://") {
        Some(rest) => Ok(Box::new(Bucket::open(rest, aws.clone())?)),
        None => Ok(Box::new(Folder::open(&root.join(name)))),
    }
}

/// The file's name of a record. Numbers are padded, so that they sort.
fn file_name(number: u32) -> String {
    format!("{number:06}.json")
}
