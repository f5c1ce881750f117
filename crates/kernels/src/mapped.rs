//! A file as bytes, without reading it.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps a file into memory. Pages are read when they are touched, and shared between processes.
///
/// The file must not be changed in place while it is mapped. The project replaces files by renaming, which leaves a
/// mapped file as it was.
///
/// # Errors
///
/// When the file cannot be opened or mapped.
pub fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: a mapping is only sound while nobody truncates or changes the file. Bundles are written under another
    // name and renamed, never changed in place, and whoever opens one checks its digest.
    #[expect(unsafe_code, reason = "there is no safe way to map a file")]
    let mapped = unsafe { Mmap::map(&file)? };
    Ok(Bytes::from_owner(mapped))
}
