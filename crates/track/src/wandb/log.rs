//! The file `run-ID.wandb`: records in the framing of `LevelDB`'s log, as W&B's client writes it.
//!
//! Seven bytes of header, then blocks of 32 KiB, the header counting as part of the first. A record is one chunk, or a
//! chain of chunks that each end with their block: CRC-32 over type and data, length, type, data. Fewer than seven
//! bytes at the end of a block are zeros.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prost::Message;

use super::proto::Record;

/// `:W&B`, the format's magic number, its version.
const HEADER: [u8; 7] = [0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0x00];
const BLOCK: usize = 32 * 1024;
/// CRC-32, length, type.
const FRAME: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// A log that grows.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    length: usize,
    records: i64,
}

impl Writer {
    /// A new log; there must not be one.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let create = || File::options().write(true).create_new(true).open(path);
        let mut file = create().with_context(|| format!("cannot create {}", path.display()))?;
        file.write_all(&HEADER).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, length: HEADER.len(), records: 0 })
    }

    /// Goes on after the last whole record of a log; what is torn behind it is cut off.
    pub(crate) fn append(path: &Path) -> Result<(Self, Vec<Record>)> {
        let (records, length) = read(path)?;
        let open = || -> std::io::Result<File> {
            let mut file = File::options().write(true).open(path)?;
            file.set_len(length as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        let number = records.last().map_or(0, |record| record.num);
        Ok((Self { file, length, records: number }, records))
    }

    /// Writes a record in one call, so that a process that is killed leaves whole records; gives it its number.
    pub(crate) fn write(&mut self, mut record: Record) -> Result<()> {
        self.records += 1;
        record.num = self.records;
        let framed = frame(&record.encode_to_vec(), self.length);
        self.file.write_all(&framed)?;
        self.length += framed.len();
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync_all()?)
    }
}

/// A record as chunks, for a log of `length` bytes.
fn frame(data: &[u8], length: usize) -> Vec<u8> {
    let mut framed = Vec::with_capacity(data.len() + 2 * FRAME);
    let mut rest = data;
    let mut is_first = true;
    loop {
        let left = BLOCK - (length + framed.len()) % BLOCK;
        if left < FRAME {
            framed.resize(framed.len() + left, 0);
            continue;
        }
        let (part, after) = rest.split_at(rest.len().min(left - FRAME));
        let kind = match (is_first, after.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        framed.extend(checksum(kind, part).to_le_bytes());
        framed.extend((part.len() as u16).to_le_bytes());
        framed.push(kind);
        framed.extend(part);
        if after.is_empty() {
            return framed;
        }
        (rest, is_first) = (after, false);
    }
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(data);
    hasher.finalize()
}

/// The whole records of a log, and where the last of them ends.
pub(crate) fn read(path: &Path) -> Result<(Vec<Record>, usize)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.starts_with(&HEADER), "{} is no log of a W&B run", path.display());
    let (mut at, mut end) = (HEADER.len(), HEADER.len());
    let mut records = Vec::new();
    let mut data = Vec::new();
    loop {
        let left = BLOCK - at % BLOCK;
        if left < FRAME {
            at += left;
            continue;
        }
        let Some((kind, part)) = chunk(&bytes, at, left) else { return Ok((records, end)) };
        at += FRAME + part.len();
        data.extend_from_slice(part);
        if kind == FULL || kind == LAST {
            let Ok(record) = Record::decode(&data[..]) else { return Ok((records, end)) };
            records.push(record);
            data.clear();
            end = at;
        }
    }
}

/// The chunk at a place; `None` when there is none, or it is torn.
fn chunk(bytes: &[u8], at: usize, left: usize) -> Option<(u8, &[u8])> {
    let head = bytes.get(at..at + FRAME)?;
    let crc = u32::from_le_bytes(head[..4].try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(head[4..6].try_into().ok()?));
    let kind = head[6];
    let data = bytes.get(at + FRAME..at + FRAME + length)?;
    ((FULL..=LAST).contains(&kind) && FRAME + length <= left && checksum(kind, data) == crc).then_some((kind, data))
}

#[cfg(test)]
mod tests {
    use super::super::proto::Info;
    use super::*;

    fn record(size: usize) -> Record {
        Record { info: Some(Info { stream_id: "x".repeat(size) }), ..Record::default() }
    }

    fn sizes(records: &[Record]) -> Vec<usize> {
        records.iter().map(|record| record.info.as_ref().unwrap().stream_id.len()).collect()
    }

    #[test]
    fn records_of_every_length_about_the_end_of_a_block_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for gap in 0..40 {
            let path = folder.path().join(format!("{gap}.wandb"));
            let mut writer = Writer::create(&path).unwrap();
            let expected = [BLOCK - 60 + gap, 3, 100_000, 0, 200];
            for size in expected {
                writer.write(record(size)).unwrap();
            }
            let (records, end) = read(&path).unwrap();
            assert_eq!(sizes(&records), expected, "gap {gap}");
            assert_eq!(end as u64, fs::metadata(&path).unwrap().len());
            assert_eq!(records.iter().map(|record| record.num).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_tore_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole.wandb");
        let mut writer = Writer::create(&path).unwrap();
        for size in [50, 70_000] {
            writer.write(record(size)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let torn = folder.path().join("torn.wandb");
        for length in (HEADER.len()..whole.len()).step_by(997).chain([8, 60, 69, 70, whole.len() - 1]) {
            fs::write(&torn, &whole[..length]).unwrap();
            let (mut writer, before) = Writer::append(&torn).unwrap();
            writer.write(record(9)).unwrap();
            let (records, _) = read(&torn).unwrap();
            let expected: Vec<usize> = sizes(&before).into_iter().chain([9]).collect();
            assert_eq!(sizes(&records), expected, "torn at {length}");
            assert!(before.len() < 2, "torn at {length}");
            assert_eq!(records.last().unwrap().num as usize, before.len() + 1);
        }
    }

    #[test]
    fn a_changed_byte_ends_the_log_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.wandb");
        let mut writer = Writer::create(&path).unwrap();
        for size in [10, 20, 30] {
            writer.write(record(size)).unwrap();
        }
        let mut bytes = fs::read(&path).unwrap();
        let second = HEADER.len() + FRAME + record(10).encoded_len() + 2 + FRAME + 5;
        bytes[second] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(sizes(&read(&path).unwrap().0), [10]);
    }
}
