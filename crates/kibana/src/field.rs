//! The fields that panels and rules name, with their types. The index templates define them; a test compares.

/// What kind of values a field holds, as far as a chart cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A point in time.
    Date,
    /// A word to compare and to group by.
    Keyword,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// Prose: to be read, neither compared nor grouped.
    Text,
}

impl Kind {
    /// The kind of an Elasticsearch field type; `None` for types that no panel can use.
    pub fn of_mapping_type(name: &str) -> Option<Self> {
        Some(match name {
            "date" | "date_nanos" => Self::Date,
            "keyword" | "constant_keyword" => Self::Keyword,
            "boolean" => Self::Boolean,
            "byte" | "short" | "integer" | "long" | "unsigned_long" | "half_float" | "float" | "double"
            | "scaled_float" => Self::Number,
            "text" => Self::Text,
            _ => return None,
        })
    }

    /// Kibana's name for it.
    pub fn kibana(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Keyword | Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Number => "number",
        }
    }
}

/// A field of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name; dots lead into objects.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: Field = Field { name: $name, kind: Kind::$kind };)*
        /// All fields of this module.
        pub const ALL: &[Field] = &[$($constant),*];
    };
}

/// Fields of the prediction records; what each means is said where records are defined.
pub mod record {
    use super::{Field, Kind};

    fields! {
        /// When.
        TIMESTAMP = Date "timestamp";
        /// `prediction`, `problem` or `start`.
        TYPE = Keyword "type";
        /// `INFO`, `WARN` or `ERROR`.
        LEVEL = Keyword "level";
        /// `lambda` or `serve`.
        SERVICE = Keyword "service";
        /// The version of the function or of the crate.
        VERSION = Keyword "version";
        /// The request that the record belongs to.
        REQUEST_ID = Keyword "request_id";
        /// The place of the sentence in its request, from 0.
        INDEX = Number "index";
        /// The digest of the bundle.
        BUNDLE = Keyword "bundle";
        /// How the request came.
        CHANNEL = Keyword "channel";
        /// The decision.
        LABEL = Keyword "label";
        /// The calibrated probability of *acceptable*.
        P_ACCEPTABLE = Number "p_acceptable";
        /// The entropy of the decision, in bits.
        ENTROPY = Number "entropy";
        /// Tokens that the model saw.
        TOKENS = Number "tokens";
        /// Whether the sentence was cut.
        TRUNCATED = Boolean "truncated";
        /// Tokens that the vocabulary does not have.
        UNKNOWN_TOKENS = Number "unknown_tokens";
        /// Length of the sentence in Unicode scalar values.
        CHARACTERS = Number "characters";
        /// The share of characters that are not ASCII.
        NON_ASCII_SHARE = Number "non_ascii_share";
        /// The keyed hash of the sentence.
        TEXT_HASH = Keyword "text_hash";
        /// The sentence, redacted; only where that was switched on.
        TEXT = Text "text";
        /// From text to token ids, in milliseconds.
        TOKENIZATION_MS = Number "tokenization_ms";
        /// From token ids to logits, in milliseconds.
        INFERENCE_MS = Number "inference_ms";
        /// The whole request up to the record, in milliseconds.
        TOTAL_MS = Number "total_ms";
        /// Whether this was the first event of its process.
        COLD_START = Boolean "cold_start";
        /// Of a problem, the HTTP status.
        STATUS = Number "status";
        /// Of a problem, the kind of error.
        CODE = Keyword "code";
        /// Of a start, from the start of `main` until ready, in milliseconds.
        INIT_MS = Number "init_ms";
    }
}

/// Fields of the drift verdicts, as [`crate::verdict::Verdict`] defines them.
pub mod verdict {
    use super::{Field, Kind};

    fields! {
        /// When the verdict was reached.
        TIMESTAMP = Date "timestamp";
        /// `ok`, `warn`, `alert` or `insufficient_data`.
        VERDICT = Keyword "verdict";
        /// The first moment of the window.
        WINDOW_START = Date "window_start";
        /// The first moment after the window.
        WINDOW_END = Date "window_end";
        /// How many predictions the window holds.
        RECORDS = Number "records";
        /// The digest of the bundle.
        BUNDLE = Keyword "bundle";
        /// MCC as estimated without labels.
        ESTIMATED_MCC = Number "estimated_mcc";
        /// The lower end of its interval.
        ESTIMATED_MCC_LOW = Number "estimated_mcc_low";
        /// The upper end of its interval.
        ESTIMATED_MCC_HIGH = Number "estimated_mcc_high";
        /// The signal that a finding is about.
        FINDING_SIGNAL = Keyword "findings.signal";
        /// The reason in words.
        FINDING_REASON = Text "findings.reason";
        /// How bad it is: `warn` or `alert`.
        FINDING_VERDICT = Keyword "findings.verdict";
    }
}
