//! One file from the web: resumed where it broke, checked, and only then handed on.
//!
//! An unfinished file stays in the download folder together with a note of what it is part of. Whoever comes next, the
//! next attempt or the next run, asks for the rest of it with `Range`, and with `If-Range` so that a file that has
//! changed at its source arrives whole again (RFC 9110, sections 13.1.5 and 14).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use url::Url;
use wellformed_core::files::{read_json, sha256_bytes, write_json};

use crate::digest::Wanted;
use crate::error::FetchError;
use crate::progress;
use crate::web::{Answers, Ask, Token, Trouble, Web, shown};

/// A file to download.
pub(crate) struct Download<'a> {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) url: &'a Url,
    pub(crate) token: Option<&'a Token>,
    /// What it must be. At least one; the first also tells an unfinished file of another version.
    pub(crate) wanted: &'a [Wanted],
    pub(crate) size: Option<u64>,
    /// What to do about a refusal.
    pub(crate) advice: &'a dyn Fn(u16, Option<&str>) -> String,
}

impl Web {
    /// Downloads into `folder` and returns the checked file there, for the caller to move away.
    pub(crate) fn download(&self, file: &Download<'_>, folder: &Path) -> Result<PathBuf, FetchError> {
        let part = Part::open(folder, file)?;
        let bar = progress::bytes(&file.name, file.size);
        let mut resumed = part.length() > 0;
        if resumed {
            let line = format!("{}: going on after {}", file.name, progress::size(part.length()));
            bar.suspend(|| progress::note(&line));
        }
        loop {
            let say = |line: &str| bar.suspend(|| progress::note(line));
            let gained = || part.length();
            self.persist(&shown(file.url), gained, say, || self.rest(file, &part, &bar, &mut resumed))?;
            let checked = file.wanted.iter().try_for_each(|wanted| wanted.check(&file.name, &part.path));
            match checked {
                Ok(()) => break,
                Err(error) => {
                    part.discard();
                    // Two halves of different files, perhaps; one whole file decides.
                    if !std::mem::take(&mut resumed) {
                        return Err(error);
                    }
                    say(&format!("{}: the resumed file is damaged; once more from the start", file.name));
                }
            }
        }
        bar.finish_and_clear();
        part.forget();
        Ok(part.path)
    }

    /// One attempt at what is still missing. `resumed` becomes true when the server goes on where an earlier attempt
    /// ended, and false when it starts from the beginning.
    fn rest(&self, file: &Download<'_>, part: &Part, bar: &ProgressBar, resumed: &mut bool) -> Result<(), Trouble> {
        let note = part.note();
        let have = part.length();
        if have > 0 && note.as_ref().and_then(|note| note.total) == Some(have) {
            return Ok(());
        }
        let mut headers = Vec::new();
        if have > 0 {
            headers.push(("range", format!("bytes={have}-")));
            if let Some(validator) = note.and_then(|note| note.validator) {
                headers.push(("if-range", validator));
            }
        }
        let answers = self.ask(&Ask {
            method: "GET",
            url: file.url,
            headers,
            token: file.token,
            leave_host: true,
            advice: file.advice,
        })?;

        let (start, total) = match answers.status().as_u16() {
            206 => match answers.header("content-range").and_then(content_range) {
                Some((start, total)) if start == have => (start, total),
                _ => {
                    part.discard();
                    return Err(Trouble::passing("the server sent another range than it was asked for"));
                }
            },
            416 => {
                part.discard();
                return Err(Trouble::passing("the server has no such range"));
            }
            _ => (0, answers.header("content-length").and_then(|length| length.parse().ok())),
        };
        *resumed = start > 0;
        part.write_note(&Note { validator: validator(&answers), total, ..Note::of(file) })?;
        if let Some(total) = total {
            progress::set_total(bar, total);
        }
        bar.set_position(start);
        part.append(start, answers.last.into_body().into_reader(), bar)?;
        match total {
            Some(total) if part.length() != total => {
                Err(Trouble::passing(format!("the connection ended after {} of {total} bytes", part.length())))
            }
            _ => Ok(()),
        }
    }
}

/// What can be sent as `If-Range`: a strong entity tag, else a date.
fn validator(answers: &Answers) -> Option<String> {
    let tag = answers.header("etag").filter(|tag| tag.starts_with('"'));
    tag.or_else(|| answers.header("last-modified")).map(str::to_owned)
}

/// `bytes 500-999/1000`: where the range starts, and the length of the whole if the server knows it.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// What an unfinished file is part of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    url: String,
    /// The first digest wanted, so that an unfinished file of another version is not continued.
    digest: Option<String>,
    validator: Option<String>,
    total: Option<u64>,
}

impl Note {
    fn of(file: &Download<'_>) -> Self {
        let digest = file.wanted.first().map(|wanted| wanted.digest.hexadecimal().to_owned());
        Self { url: file.url.to_string(), digest, validator: None, total: None }
    }
}

/// An unfinished file and its note.
struct Part {
    path: PathBuf,
    note: PathBuf,
}

impl Part {
    /// The unfinished file of an earlier run, if it is of the same file; else a place for a new one.
    fn open(folder: &Path, file: &Download<'_>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let name = file.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let key = sha256_bytes(file.url.as_str().as_bytes());
        let stem = format!("{}-{name}", &key[..12]);
        let part = Self { path: folder.join(format!("{stem}.part")), note: folder.join(format!("{stem}.json")) };
        let ours = Note::of(file);
        let same = part.note().is_some_and(|note| note.url == ours.url && note.digest == ours.digest);
        if !same {
            part.discard();
        }
        Ok(part)
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    fn note(&self) -> Option<Note> {
        read_json(&self.note).ok()
    }

    fn write_note(&self, note: &Note) -> Result<(), FetchError> {
        Ok(write_json(&self.note, note)?)
    }

    /// Writes after the first `start` bytes. What has arrived stays, even when the rest does not.
    fn append(&self, start: u64, mut body: impl Read, bar: &ProgressBar) -> Result<(), Trouble> {
        let context = || format!("cannot write {}", self.path.display());
        let local = |error: anyhow::Error| Trouble::Final(error.into());
        let file =
            OpenOptions::new().create(true).append(true).open(&self.path).with_context(context).map_err(local)?;
        file.set_len(start).with_context(context).map_err(local)?;
        let mut file: &File = &file;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = body.read(&mut buffer).map_err(|error| {
                Trouble::passing(format!("the connection broke after {}: {error}", progress::size(self.length())))
            })?;
            if count == 0 {
                return file.sync_all().with_context(context).map_err(local);
            }
            file.write_all(&buffer[..count]).with_context(context).map_err(local)?;
            bar.inc(count as u64);
        }
    }

    fn discard(&self) {
        // Not there is as good as gone.
        let _ = fs::remove_file(&self.path);
        self.forget();
    }

    fn forget(&self) {
        let _ = fs::remove_file(&self.note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_says_where_it_starts_and_how_long_the_whole_is() {
        assert_eq!(content_range("bytes 500-999/1000"), Some((500, Some(1000))));
        assert_eq!(content_range("bytes 500-999/*"), Some((500, None)));
        for broken in ["", "bytes */1000", "items 0-1/2", "bytes 5/10"] {
            assert_eq!(content_range(broken), None, "{broken}");
        }
    }
}
