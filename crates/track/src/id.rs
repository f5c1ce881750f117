//! Identifiers that nobody else has.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A new run's id: eight letters and digits, as W&B makes them.
pub fn new_id() -> String {
    characters(8)
}

/// Random lower-case letters and digits: distinct, not secret. The randomness is what the standard library takes from
/// the operating system for its hash maps.
pub(crate) fn characters(count: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bits = RandomState::new().build_hasher().finish();
        // 36^8 is below 2^42, so eight characters of 64 bits are as good as even.
        for _ in 0..8.min(count - text.len()) {
            text.push(char::from(ALPHABET[(bits % 36) as usize]));
            bits /= 36;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_eight_letters_or_digits_and_do_not_come_twice() {
        let ids: std::collections::BTreeSet<String> = (0..10_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        assert_eq!(characters(128).len(), 128);
    }
}
