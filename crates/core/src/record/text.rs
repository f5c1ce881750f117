//! What a record may say of a sentence's text.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::characters::Characters;

/// The secret key of the sentences' hashes.
pub const HASH_KEY: &str = "WELLFORMED_HASH_KEY";
/// `1` lets the sentences themselves into the records, redacted.
pub const LOG_TEXT: &str = "WELLFORMED_LOG_TEXT";

/// Bytes that a key has at least: what cannot be guessed (NIST SP 800-107, section 5.3.2: 112 bits or more).
const SHORTEST_KEY: usize = 16;
/// Digits from which on a number is taken for one that may name a person: of a telephone, a card, an account, a date.
const LONG_NUMBER: usize = 5;

/// What is kept of a sentence's text: by default counts only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TextPolicy {
    key: Option<Vec<u8>>,
    log_text: bool,
}

/// What a record says of a sentence's text. White space at its ends does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct TextFacts {
    /// Unicode scalar values.
    pub characters: u32,
    /// The share of them that is not ASCII, 0 to 1.
    pub non_ascii_share: f64,
    /// The sentence under the secret key, if there is one.
    pub text_hash: Option<String>,
    /// The sentence, redacted, if it is asked for.
    pub text: Option<String>,
}

/// A variable of the environment has an impossible value. The value of the key is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextPolicyError {
    /// The key can be guessed.
    #[error(
        "{HASH_KEY} has {0} bytes, but must have at least {SHORTEST_KEY}: make one with `openssl rand -hex 32`, or \
         leave it away for records without hashes"
    )]
    ShortKey(usize),
    /// Neither yes nor no.
    #[error("{LOG_TEXT} is {0:?}, but must be 1 (sentences are recorded, redacted), 0, or not set (they are not)")]
    LogText(String),
}

impl TextPolicy {
    /// Reads [`HASH_KEY`] and [`LOG_TEXT`] with `variable`, which returns a variable's value. An empty variable counts as
    /// one that is not set.
    ///
    /// # Errors
    ///
    /// When a variable has an impossible value.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TextPolicyError> {
        let variable = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let key = match variable(HASH_KEY) {
            Some(key) if key.len() < SHORTEST_KEY => return Err(TextPolicyError::ShortKey(key.len())),
            key => key.map(String::into_bytes),
        };
        let log_text = match variable(LOG_TEXT).as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => return Err(TextPolicyError::LogText(other.to_owned())),
        };
        Ok(Self { key, log_text })
    }

    /// Whether sentences are recorded.
    pub fn logs_text(&self) -> bool {
        self.log_text
    }

    /// What may be said of a sentence.
    pub fn describe(&self, sentence: &str) -> TextFacts {
        let sentence = sentence.trim();
        let characters = Characters::of(sentence);
        TextFacts {
            characters: characters.count,
            non_ascii_share: characters.non_ascii_share,
            text_hash: self.key.as_deref().map(|key| hash(key, sentence)),
            text: self.log_text.then(|| redact(sentence)),
        }
    }
}

/// Says that there is a key, not which.
impl fmt::Debug for TextPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_some() { "secret" } else { "none" };
        formatter.debug_struct("TextPolicy").field("key", &key).field("log_text", &self.log_text).finish()
    }
}

/// The first 16 hexadecimal digits of HMAC-SHA-256 (RFC 2104): 64 bits, with which two of ten million sentences have the
/// same hash with a probability of 3 in a million.
fn hash(key: &[u8], text: &str) -> String {
    // HMAC takes keys of any length; without one there would be nothing to tell.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(text.as_bytes());
    let start = mac.finalize().into_bytes().into_iter().take(8).fold(0, |number, byte| number << 8 | u64::from(byte));
    format!("{start:016x}")
}

/// A sentence with `[email]` for e-mail addresses and `[number]` for numbers of five digits or more, whatever single
/// separators they are written with (`+44 20 7946 0958`, `4111-1111`, `12/05/1998`). Shorter numbers stay.
///
/// This takes away the commonest ways to name a person by accident. It does not make a text anonymous: names stay.
pub fn redact(text: &str) -> String {
    redact_numbers(&redact_addresses(text))
}

fn redact_addresses(text: &str) -> String {
    let local = |c: char| c.is_alphanumeric() || "._%+-'".contains(c);
    let domain = |c: char| c.is_alphanumeric() || ".-".contains(c);
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let name = rest[..at].trim_end_matches(local).len();
        let after = &rest[at + 1..];
        let host = after.len() - after.trim_start_matches(domain).len();
        if name < at && host > 0 {
            redacted += &rest[..name];
            redacted += "[email]";
            // A full stop behind an address ends the sentence.
            let stops = after[..host].len() - after[..host].trim_end_matches(['.', '-']).len();
            rest = &after[host - stops..];
        } else {
            redacted += &rest[..=at];
            rest = after;
        }
    }
    redacted + rest
}

fn redact_numbers(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_numeric) {
        let (end, digits) = number(&rest[start..]);
        redacted += &rest[..start];
        redacted += if digits >= LONG_NUMBER { "[number]" } else { &rest[start..start + end] };
        rest = &rest[start + end..];
    }
    redacted + rest
}

/// Where the number that a text starts with ends, in bytes, and how many digits it has. One separator may stand between
/// two digits, or a bracket and one more.
fn number(text: &str) -> (usize, usize) {
    let (mut end, mut digits) = (0, 0);
    let mut before = '0';
    for (at, c) in text.char_indices() {
        let separates = " -./,:()\u{a0}\u{2013}".contains(c) && (before.is_numeric() || "()".contains(before));
        if c.is_numeric() {
            digits += 1;
            end = at + c.len_utf8();
        } else if !separates {
            break;
        }
        before = c;
    }
    (end, digits)
}
