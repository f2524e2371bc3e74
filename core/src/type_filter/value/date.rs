//! Dates as intervals of time (FHIR R4 search, 3.1.1.4.6 and 3.1.1.4.7).

use super::Prefix;
use crate::{
    Timestamp,
    calendar::{self, Written},
};

/// Half-open, in nanoseconds since 1970-01-01T00:00:00Z. The ends of `i128` stand for no bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) struct Interval {
    pub(in crate::type_filter) lower: i128,
    pub(in crate::type_filter) upper: i128,
}

/// A searched date.
pub(in crate::type_filter) struct DateTest {
    prefix: Prefix,
    /// For `ap` widened already.
    interval: Interval,
}

impl DateTest {
    /// Reads a date that may have a prefix. `now` is what `ap` measures from.
    pub(in crate::type_filter) fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let (prefix, date) = Prefix::split(text);
        let interval = Interval::parse(date)?;
        let interval = if prefix == Prefix::Approximately { interval.widened(now) } else { interval };
        Some(Self { prefix, interval })
    }

    pub(in crate::type_filter) fn matches(&self, found: Interval) -> bool {
        let searched = self.interval;
        let is_contained = searched.lower <= found.lower && found.upper <= searched.upper;
        match self.prefix {
            Prefix::Approximately => found.lower < searched.upper && searched.lower < found.upper,
            Prefix::EndsBefore => found.upper <= searched.lower,
            Prefix::Equal => is_contained,
            Prefix::GreaterOrEqual => found.upper > searched.lower,
            Prefix::GreaterThan => found.upper > searched.upper,
            Prefix::LessOrEqual => found.lower < searched.upper,
            Prefix::LessThan => found.lower < searched.lower,
            Prefix::NotEqual => !is_contained,
            Prefix::StartsAfter => found.lower >= searched.upper,
        }
    }
}

impl Interval {
    /// Reads `YYYY[-MM[-DD[Thh:mm[:ss[.fraction]][zone]]]]`: as wide as it is imprecise. Without a zone it is UTC.
    ///
    /// Digits of a fraction beyond the ninth are dropped.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        Self::read(text.as_bytes())
    }

    /// The same of bytes that need not be text.
    pub(in crate::type_filter) fn read(text: &[u8]) -> Option<Self> {
        match calendar::read_seconds(text) {
            Some((written, rest)) => Self::at(&written, rest),
            None => Self::imprecise(text),
        }
    }

    /// A time with seconds, of which the fraction and the zone are still to be read.
    #[inline]
    fn at(written: &Written, mut rest: &[u8]) -> Option<Self> {
        let ([year, month, day], [hour, minute, second]) = (written.day, written.time);
        // FHIR allows second 60 (leap seconds): the second that follows second 59.
        let is_one = hour < 24 && minute < 60 && second <= 60;
        let day = calendar::day_number(year, month, day).filter(|_| is_one)?;
        let (fraction, width) = fraction(&mut rest)?;
        let since_midnight = ((hour * 60 + minute) * 60 + second) * SECOND + fraction;
        let lower = i128::from(day) * DAY + i128::from(since_midnight - offset(&mut rest)?);
        rest.is_empty().then_some(Self { lower, upper: lower + i128::from(width) })
    }

    /// What has no seconds.
    fn imprecise(text: &[u8]) -> Option<Self> {
        let mut rest = text;
        let year = digits(&mut rest, 4).filter(|year| *year > 0)?;
        if rest.is_empty() {
            return Some(Self::between((year, 1, 1), (year + 1, 1, 1)));
        }
        literal(&mut rest, b'-')?;
        let month = digits(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
        if rest.is_empty() {
            let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            return Some(Self::between((year, month, 1), next));
        }
        literal(&mut rest, b'-')?;
        let day = digits(&mut rest, 2)?;
        let start = i128::from(calendar::day_number(year, month, day)?) * DAY;
        if rest.is_empty() {
            return Some(Self { lower: start, upper: start + DAY });
        }
        literal(&mut rest, b'T')?;
        let hour = digits(&mut rest, 2).filter(|hour| *hour < 24)?;
        literal(&mut rest, b':')?;
        let minute = digits(&mut rest, 2).filter(|minute| *minute < 60)?;
        let lower = start + i128::from((hour * 60 + minute) * 60 * SECOND - offset(&mut rest)?);
        rest.is_empty().then_some(Self { lower, upper: lower + i128::from(60 * SECOND) })
    }

    /// The point where it begins, no wider than time is counted here: an `instant` has no width.
    pub(in crate::type_filter) fn instant(self) -> Self {
        Self { upper: self.lower.saturating_add(1), ..self }
    }

    /// The least interval that holds both.
    pub(in crate::type_filter) fn joined(self, other: Self) -> Self {
        Self { lower: self.lower.min(other.lower), upper: self.upper.max(other.upper) }
    }

    /// From one day to the start of another.
    fn between(from: (i64, i64, i64), to: (i64, i64, i64)) -> Self {
        let start = |(year, month, day)| i128::from(calendar::number(year, month, day)) * DAY;
        Self { lower: start(from), upper: start(to) }
    }

    /// To both sides a tenth of the distance to now.
    fn widened(self, now: Timestamp) -> Self {
        let now = now.as_nanos();
        let distance = (self.lower - now).max(now - self.upper).max(0);
        Self { lower: self.lower - distance / 10, upper: self.upper + distance / 10 }
    }
}

/// `[.fraction]` of a second, and how precise that is. Digits beyond the ninth are dropped.
#[inline]
fn fraction(rest: &mut &[u8]) -> Option<(i64, i64)> {
    if literal(rest, b'.').is_none() {
        return Some((0, SECOND));
    }
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut fraction = digits(rest, length.min(9)).filter(|_| length > 0)?;
    *rest = rest.get(length.saturating_sub(9)..).unwrap_or_default();
    let mut width = 1;
    for _ in length..9 {
        fraction *= 10;
        width *= 10;
    }
    Some((fraction, width))
}

/// `Z`, `+hh:mm`, `-hh:mm`, or nothing, which is UTC.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    if rest.is_empty() || literal(rest, b'Z').is_some() {
        return Some(0);
    }
    let sign = if literal(rest, b'+').is_some() { 1 } else { literal(rest, b'-').map(|()| -1)? };
    let hours = digits(rest, 2)?;
    literal(rest, b':')?;
    let minutes = digits(rest, 2)?;
    let in_range = minutes < 60 && hours * 60 + minutes <= 14 * 60;
    in_range.then_some(sign * (hours * 60 + minutes) * 60 * SECOND)
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

const SECOND: i64 = 1_000_000_000;
const DAY: i128 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "13",
            "0000",
            "20131",
            "2013-",
            "2013-13",
            "2013-00",
            "2013-02-29",
            "1900-02-29",
            "2013-01-14T",
            "2013-01-14T10",
            "2013-01-14T24:00",
            "2013-01-14T10:60",
            "2013-01-14T10:00:61",
            "2013-01-14T10:00:00.",
            "2013-01-14T10:00:00+14:01",
            "2013-01-14T10:00:00 01:00",
            "2013-01-14Z",
            "2013-01-14T10:00Zz",
            "２013",
        ] {
            assert!(Interval::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_interval_is_as_wide_as_the_text_is_imprecise() {
        for (text, width) in [
            ("2024", 366 * DAY),
            ("1900", 365 * DAY),
            ("2023-02", 28 * DAY),
            ("9999-12", 31 * DAY),
            ("0001-01-01", DAY),
            ("2013-01-14T10:00", 60 * i128::from(SECOND)),
            ("2013-01-14T10:00:30-05:00", i128::from(SECOND)),
            ("2013-01-14T10:00:30.5Z", i128::from(SECOND / 10)),
            ("2013-01-14T10:00:30.1234567899", 1),
        ] {
            let interval = Interval::parse(text).unwrap();
            assert_eq!(interval.upper - interval.lower, width, "{text}");
        }
    }

    #[test]
    fn instants_are_where_the_rest_of_the_crate_puts_them() {
        for text in [
            "1970-01-01T00:00:00Z",
            "0001-03-01T00:00:00Z",
            "2024-02-29T23:59:60+02:30",
            "1969-12-31T23:59:59.25-13:00",
        ] {
            let timestamp = Timestamp::parse_instant(text).unwrap();
            assert_eq!(Interval::parse(text).unwrap().lower, timestamp.as_nanos(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_date_equals_itself_and_never_differs_from_itself(text in date()) {
            let itself = Interval::parse(&text).unwrap();
            for (prefix, expected) in [
                ("", true), ("eq", true), ("ap", true), ("ge", true), ("le", true),
                ("ne", false), ("gt", false), ("lt", false), ("sa", false), ("eb", false),
            ] {
                let test = DateTest::parse(&format!("{prefix}{text}"), Timestamp::from_millis(0)).unwrap();
                prop_assert_eq!(test.matches(itself), expected, "{}", prefix);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9T:.Z+]{0,30}|\\PC*") {
            let _ = DateTest::parse(&text, Timestamp::from_millis(0));
        }
    }

    fn date() -> impl Strategy<Value = String> {
        "[0-9]{3}[1-9](-(0[1-9]|1[0-2])(-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,12})?)?(Z|[-+]0[0-9]:[0-5][0-9])?)?)?)?"
    }
}
