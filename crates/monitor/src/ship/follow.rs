//! The parts of a log that were not sent yet, through renaming and restarts.

use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::state::{Memory, Place};

/// Endings of files that are named after a log but are no older part of it that can be read.
const OTHERS: [&str; 6] = [".shipped.json", ".shipped.lock", ".refused.jsonl", ".gz", ".zst", ".xz"];
/// How far the clocks of files and programs may differ.
const CLOCK: Duration = Duration::from_secs(2);
/// Bytes of a line; what is longer is no log.
const LONGEST_LINE: u64 = 64 << 20;

/// Whole lines of a log that were not sent yet.
#[derive(Debug)]
pub(super) struct Part {
    text: Vec<u8>,
    file: usize,
}

impl Part {
    pub(super) fn lines(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(String::from_utf8_lossy)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.text.len() as u64
    }
}

/// Reads a log, and remembers how far it was sent.
#[derive(Debug)]
pub(super) struct Follower {
    log: PathBuf,
    memory: Memory,
    /// The files that belong to the places in memory.
    open: Vec<File>,
    /// When the log's name was last known to lead to the newest file; `None` before the first time.
    looked: Option<SystemTime>,
    unfinished: u64,
}

impl Follower {
    /// Takes up a log where it was left. Older files of it, that were renamed before they were sent whole, come first.
    pub(super) fn open(log: &Path, memory: &Path) -> Result<Self> {
        let mut memory = Memory::open(memory)?;
        let mut candidates = files_beside(log, |_| true)?;
        let current = fs::metadata(log).ok();
        let mut open = Vec::new();
        memory.state.files.retain(|place| {
            let mut find = |is: &dyn Fn(&mut File, &Metadata) -> bool| {
                candidates.iter_mut().position(|(file, metadata)| is(file, metadata))
            };
            let same = find(&|file, metadata| place.is_of(file, metadata).unwrap_or(false));
            // The log itself, with another beginning: that is for `notice_a_new_file` to say.
            let renewed = |metadata: &Metadata| {
                place.is_file(metadata) && current.as_ref().is_some_and(|current| place.is_file(current))
            };
            let at = same.or_else(|| find(&|_, metadata| renewed(metadata)));
            // A file that is no longer there has nothing more to send.
            open.extend(at.map(|at| candidates.swap_remove(at).0));
            at.is_some()
        });
        let looked = memory.saved;
        Ok(Self { log: log.to_owned(), memory, open, looked, unfinished: 0 })
    }

    /// The next whole lines, at most about so many bytes; `None` when there are none now.
    pub(super) fn next(&mut self, bytes: usize) -> Result<Option<Part>> {
        self.notice_a_new_file()?;
        self.unfinished = 0;
        for index in 0..self.open.len() {
            if let Some(text) = self.read(index, bytes)? {
                return Ok(Some(Part { text, file: index }));
            }
        }
        self.forget();
        Ok(None)
    }

    /// A part was sent.
    pub(super) fn done(&mut self, part: Part) -> Result<()> {
        let place = &mut self.memory.state.files[part.file];
        place.sent += part.bytes();
        place.learn(&mut self.open[part.file]).with_context(|| format!("cannot read {}", self.log.display()))?;
        self.memory.save()
    }

    /// Bytes at the end of the log that are no whole line yet.
    pub(super) fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// Bytes that are not sent yet.
    pub(super) fn bytes_left(&self) -> u64 {
        let length = |file: &File| file.metadata().map_or(0, |metadata| metadata.len());
        let known: u64 = self.open.iter().map(length).sum();
        let sent: u64 = self.memory.state.files.iter().map(|place| place.sent).sum();
        let new = if self.open.is_empty() { fs::metadata(&self.log).map_or(0, |metadata| metadata.len()) } else { 0 };
        (known + new).saturating_sub(sent)
    }

    /// Looks whether the log's name leads to a file that is not known yet: there is none at first, and after a rotation
    /// there is another.
    fn notice_a_new_file(&mut self) -> Result<()> {
        let now = SystemTime::now();
        let cannot = || format!("cannot read {}", self.log.display());
        let mut file = match File::open(&self.log) {
            Ok(file) => file,
            // Between renaming and the writer's next line there is none.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(cannot),
        };
        let metadata = file.metadata().with_context(cannot)?;
        for (place, open) in self.memory.state.files.iter_mut().zip(&mut self.open) {
            if !place.is_file(&metadata) {
                continue;
            }
            let same = place.is_of(&mut file, &metadata).with_context(cannot)?;
            if !same || metadata.len() < place.sent {
                eprintln!(
                    "warning: {} begins otherwise than when it was last sent, so it is read from its start. If it was \
                     emptied, what had not been sent before is lost: rotate by renaming (logrotate: no copytruncate)",
                    self.log.display()
                );
                (*place, *open) = (Place::new(&metadata), file);
            }
            self.looked = Some(now);
            return Ok(());
        }
        self.adopt_rotated_files()?;
        self.memory.state.files.push(Place::new(&metadata));
        self.open.push(file);
        self.looked = Some(now);
        Ok(())
    }

    /// Takes up files that came and were renamed while nobody looked: they are named after the log, and were written to
    /// since it was looked at.
    fn adopt_rotated_files(&mut self) -> Result<()> {
        let Some(looked) = self.looked else { return Ok(()) };
        let log = self.log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rotated = |name: &str| {
            name.strip_prefix(&log)
                .is_some_and(|rest| !rest.is_empty() && !OTHERS.iter().any(|other| rest.ends_with(other)))
        };
        let mut found = Vec::new();
        for (file, metadata) in files_beside(&self.log, rotated)? {
            let known = self.memory.state.files.iter().any(|place| place.is_file(&metadata));
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if !known && modified + CLOCK >= looked {
                found.push((modified, file, metadata));
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        for (_, file, metadata) in found {
            self.memory.state.files.push(Place::new(&metadata));
            self.open.push(file);
        }
        Ok(())
    }

    /// Whole lines from the place of a file on.
    fn read(&mut self, index: usize, bytes: usize) -> Result<Option<Vec<u8>>> {
        let cannot = || format!("cannot read {}", self.log.display());
        let place = &self.memory.state.files[index];
        let file = &mut self.open[index];
        let mut text = Vec::new();
        let mut limit = bytes as u64;
        loop {
            file.seek(SeekFrom::Start(place.sent)).with_context(cannot)?;
            text.clear();
            (&mut *file).take(limit).read_to_end(&mut text).with_context(cannot)?;
            match text.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => {
                    self.unfinished = text.len() as u64 - end as u64 - 1;
                    text.truncate(end + 1);
                    return Ok(Some(text));
                }
                // A line that is longer than what was asked for.
                None if text.len() as u64 == limit => {
                    ensure!(
                        limit < LONGEST_LINE,
                        "{} has a line of more than {limit} bytes: this is no log",
                        self.log.display()
                    );
                    limit *= 2;
                }
                None => {
                    self.unfinished = text.len() as u64;
                    return Ok(None);
                }
            }
        }
    }

    /// Lets go of files that were renamed, sent whole, and then deleted: nobody writes to them any more.
    fn forget(&mut self) {
        use std::os::unix::fs::MetadataExt;
        let deleted = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        for index in (0..self.open.len()).rev() {
            if deleted(&self.open[index]) {
                self.open.remove(index);
                self.memory.state.files.remove(index);
            }
        }
    }
}

/// The files in the log's folder whose names are wanted, open.
fn files_beside(log: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<(File, Metadata)>> {
    let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("cannot list {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if !wanted(&entry.file_name().to_string_lossy()) || !entry.file_type().with_context(cannot)?.is_file() {
            continue;
        }
        // What cannot be opened, such as another user's file, is none of this log's.
        if let Ok(file) = File::open(entry.path())
            && let Ok(metadata) = file.metadata()
        {
            files.push((file, metadata));
        }
    }
    Ok(files)
}
