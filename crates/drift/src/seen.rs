//! Which sentences were there before.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use datasketches::hll::{HllSketch, HllType};

/// Hashes that are remembered one by one: about 20 MB.
const CAPACITY: usize = 1 << 20;

/// The sketch has 2^14 registers: 16 kB and a standard error of 0.8 % (Heule et al. 2013, `HyperLogLog` in Practice).
const REGISTERS: u8 = 14;

/// Text hashes are uniform already; hashing them again would be for nothing.
#[derive(Debug, Clone, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Counts different sentences in bounded memory: exactly up to a million, estimated beyond.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    exact: HashSet<u64, BuildHasherDefault<AsIs>>,
    sketch: HllSketch,
    full: bool,
}

impl Seen {
    pub(crate) fn new() -> Result<Self, datasketches::error::Error> {
        Ok(Self { exact: HashSet::default(), sketch: HllSketch::new(REGISTERS, HllType::Hll8)?, full: false })
    }

    /// Whether the sentence is certainly not the first of its kind.
    pub(crate) fn again(&mut self, hash: u64) -> bool {
        self.sketch.update(hash);
        if self.exact.contains(&hash) {
            return true;
        }
        if self.exact.len() < CAPACITY {
            self.exact.insert(hash);
        } else {
            self.full = true;
        }
        false
    }

    /// Different sentences.
    pub(crate) fn distinct(&self) -> u64 {
        if self.full { self.sketch.estimate().round() as u64 } else { self.exact.len() as u64 }
    }
}
