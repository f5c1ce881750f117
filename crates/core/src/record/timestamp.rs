//! Points in time.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, to the millisecond: in JSON as RFC 3339 in UTC, such as `2026-09-22T09:14:22.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String", inline, extend("format" = "date-time")))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last millisecond that RFC 3339 has a name for, of the year 9999.
    const LAST: u64 = 253_402_300_799_999;

    /// This moment.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// So many milliseconds after the start of 1970 in UTC. What is after the year 9999 is its end.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis.min(Self::LAST))
    }

    /// Milliseconds since the start of 1970 in UTC.
    pub fn unix_millis(self) -> u64 {
        self.0
    }

    /// The day in UTC, with a separator between year, month and day: `2026.09.22`.
    pub fn day(self, separator: &str) -> String {
        self.to_string()[..10].replace('-', separator)
    }

    /// Reads RFC 3339 in UTC.
    ///
    /// # Errors
    ///
    /// When the text is something else, or before 1970.
    pub fn parse(text: &str) -> Result<Self, humantime::TimestampError> {
        humantime::parse_rfc3339(text).map(Self::from)
    }
}

/// A time before 1970 becomes the start of 1970: a clock that is so wrong must not end a program.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::from_unix_millis(u64::try_from(since.as_millis()).unwrap_or(Self::LAST))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(Timestamp(millis): Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(formatter)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| {
            let wanted = "expected a time in UTC such as 2026-09-22T09:14:22.123Z";
            serde::de::Error::custom(format_args!("{wanted}, found {text:?}: {error}"))
        })
    }
}
