//! Points in time. Core has no clock: every `now` is an argument.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::calendar::{self, Written};

/// A point in time with nanosecond precision, years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z, clamped to the years that FHIR can write.
    pub fn from_millis(millis: i64) -> Self {
        let clamped = millis.clamp(MILLIS_MIN, MILLIS_MAX);
        Self(jiff::Timestamp::from_millisecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub fn as_nanos(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// Reads a FHIR `instant`: `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, nothing less and nothing more.
    ///
    /// Digits of the fraction beyond the ninth are dropped, so two instants closer than a nanosecond are equal.
    pub fn parse_instant(text: &str) -> Result<Self, InstantError> {
        Self::read_instant(text.as_bytes())
    }

    /// The same of bytes that need not be text.
    pub(crate) fn read_instant(text: &[u8]) -> Result<Self, InstantError> {
        Self::read(text).ok_or(InstantError)
    }

    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        let (Written { day: [year, month, day], time: [hour, minute, second] }, mut rest) =
            calendar::read_seconds(text)?;
        let nanosecond = if literal(&mut rest, b'.').is_some() { fraction(&mut rest)? } else { 0 };
        let offset = zone(&mut rest)?;
        // FHIR allows second 60 (leap seconds): the instant that follows second 59.
        let is_one = rest.is_empty() && hour < 24 && minute < 60 && second <= 60;
        let day = calendar::day_number(year, month, day).filter(|_| is_one)?;
        let seconds = ((day * 24 + hour) * 60 + minute) * 60 + second - offset;
        jiff::Timestamp::new(seconds, nanosecond).ok().map(Self)
    }

    /// That many seconds later, at most the end of year 9999.
    #[must_use]
    pub fn plus_seconds(self, seconds: u64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// That many milliseconds later, at most the end of year 9999.
    #[must_use]
    pub fn plus_millis(self, millis: u64) -> Self {
        let delta = jiff::SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        self.0.checked_add(delta).map_or(Self::from_millis(MILLIS_MAX), Self)
    }

    /// Whole seconds from `earlier` to this, rounded up; zero if this is not later.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        let millis = self.as_millis().saturating_sub(earlier.as_millis());
        u64::try_from(millis).unwrap_or(0).div_ceil(1000)
    }

    /// As an HTTP date (RFC 9110 §5.6.7), for `Expires` and `Last-Modified`.
    pub fn to_http_date(self) -> String {
        // Cannot fail for years 1 to 9999; an empty header would still be no lie.
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.0).unwrap_or_default()
    }
}

/// The text is not a FHIR instant. Carries nothing of the text: it may be a birth date gone astray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstantError;

impl fmt::Display for InstantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a FHIR instant: expected `YYYY-MM-DDThh:mm:ss[.fraction]` followed by `Z` or a zone such as `+01:00`",
        )
    }
}

impl std::error::Error for InstantError {}

/// As a FHIR instant in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_instant(&text).map_err(D::Error::custom)
    }
}

#[inline(always)]
fn literal(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

#[inline(always)]
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn fraction(rest: &mut &[u8]) -> Option<i32> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    let nanos = head.iter().chain(std::iter::repeat(&b'0')).take(9).fold(0, |n, byte| n * 10 + i32::from(byte - b'0'));
    (length > 0).then_some(nanos)
}

#[inline]
fn zone(rest: &mut &[u8]) -> Option<i64> {
    if literal(rest, b'Z').is_some() {
        return Some(0);
    }
    let sign = if literal(rest, b'+').is_some() { 1 } else { literal(rest, b'-').map(|()| -1)? };
    let hours = digits(rest, 2)?;
    literal(rest, b':')?;
    let minutes = digits(rest, 2)?;
    // FHIR: hours 0 to 13 with any minutes, or exactly 14:00.
    let in_range = minutes < 60 && (hours < 14 || (hours == 14 && minutes == 0));
    in_range.then_some(sign * (hours * 3600 + minutes * 60))
}

/// 0001-01-02T00:00:00Z and 9999-12-30T00:00:00Z: a day inside the calendar's ends, so that every zone can write them.
const MILLIS_MIN: i64 = -62_135_510_400_000;
const MILLIS_MAX: i64 = 253_402_128_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_compare_across_zones_and_fractions() {
        let at = |text| Timestamp::parse_instant(text).unwrap();
        assert_eq!(at("2024-01-01T00:00:00Z"), at("2024-01-01T01:30:00+01:30"));
        assert_eq!(at("2024-01-01T00:00:00.100Z"), at("2024-01-01T00:00:00.1Z"));
        assert!(at("2024-01-01T00:00:00.0000001Z") > at("2024-01-01T00:00:00Z"));
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
        assert_eq!(at("2024-02-29T12:00:00-05:00").to_string(), "2024-02-29T17:00:00Z");
        assert_eq!(at("2024-02-29T12:00:00.250Z").as_millis(), 1_709_208_000_250);
    }

    #[test]
    fn instants_are_those_of_another_reader() {
        for (day, seconds) in [(-700_000, 1), (-1, 86_399), (0, 0), (11_016, 43_200), (19_782, 3_601), (2_932_000, 5)] {
            for zone in [-12 * 3600, -3 * 3600 - 1800, 0, 14 * 3600] {
                let instant = jiff::Timestamp::new(day * 86_400 + seconds, 120_000_000).unwrap();
                let written = jiff::tz::Offset::from_seconds(zone).unwrap().to_datetime(instant);
                let (sign, zone) = if zone < 0 { ('-', -zone) } else { ('+', zone) };
                let text = format!("{written}{sign}{:02}:{:02}", zone / 3600, zone / 60 % 60);
                assert_eq!(Timestamp::parse_instant(&text), Ok(Timestamp(instant)), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_an_instant_is_refused() {
        for text in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00+15:00",
            "2024-01-01T00:00:00z",
            "0000-01-01T00:00:00Z",
            "2024-01-01T00:00:00Z ",
            "+2024-01-01T00:00:00Z",
            "２０24-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_instant(text), Err(InstantError), "{text}");
        }
    }

    #[test]
    fn http_dates_and_arithmetic() {
        let at = Timestamp::from_millis(784_111_777_000);
        assert_eq!(at.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at.plus_seconds(60).seconds_since(at), 60);
        assert_eq!(at.seconds_since(at.plus_seconds(1)), 0);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus_seconds(u64::MAX).to_string().get(..4), Some("9999"));
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string().get(..4), Some("0001"));
    }
}
