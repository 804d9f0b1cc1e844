//! A moment: milliseconds of UTC in stores, the text of a JavaScript `Date` on the wire.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, UTC. In JSON a text such as `2026-11-23T02:28:29.123Z`; a number of
/// milliseconds is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// The first and the last moment that have a text.
    const RANGE: (i64, i64) = (-62_135_596_800_000, 253_402_207_200_000);

    /// The moment of this many milliseconds; years 1 to 9999.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        let (first, last) = Moment::RANGE;
        Moment(if ms < first {
            first
        } else if ms > last {
            last
        } else {
            ms
        })
    }

    /// This moment, by the clock of this machine.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment::from_ms(millis(since))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// The moment that much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Moment::from_ms(self.0.saturating_add(millis(time)))
    }

    /// The moment that much earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Moment::from_ms(self.0.saturating_sub(millis(time)))
    }

    /// Time since an earlier moment; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Days since 1970, UTC.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// The moment that a text names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: Timestamp = text.parse().ok()?;
        Some(Moment::from_ms(parsed.as_millisecond()))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{known:.3}")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Reads both forms.
struct Written;

impl Visitor<'_> for Written {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date and time with its zone, or milliseconds since 1970")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
        Moment::parse(text).ok_or_else(|| E::custom("no date and time with its zone"))
    }

    fn visit_i64<E: Error>(self, ms: i64) -> Result<Moment, E> {
        let moment = Moment::from_ms(ms);
        if moment.0 == ms { Ok(moment) } else { Err(E::custom("a moment outside years 1 to 9999")) }
    }

    fn visit_u64<E: Error>(self, ms: u64) -> Result<Moment, E> {
        self.visit_i64(i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_javascript_writes_a_date() {
        let json = |ms| serde_json::to_string(&Moment::from_ms(ms)).unwrap();
        assert_eq!(json(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(json(1_795_400_909_120), "\"2026-11-23T02:28:29.120Z\"");
        assert_eq!(json(i64::MAX), "\"9999-12-30T22:00:00.000Z\"");
    }

    #[test]
    fn texts_of_any_zone_and_numbers_are_read_and_others_refused() {
        let read = |json| serde_json::from_str::<Moment>(json).map(Moment::as_ms).ok();
        assert_eq!(read("\"2026-11-23T09:28:29.12+07:00\""), Some(1_795_400_909_120));
        assert_eq!(read("1795400909120"), Some(1_795_400_909_120));
        for bad in
            ["\"yesterday\"", "\"2026-11-23T02:28:29\"", "null", "1e400", "9223372036854775807"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
