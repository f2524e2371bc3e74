//! Moments and how FHIR writes them, on integers alone.

use super::random::{Draw, Table, table};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    /// The first moment of a day at UTC.
    pub(super) const fn midnight(year: i64, month: i64, day: i64) -> Self {
        // Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self((era * 146_097 + day_of_era - 719_468) * DAY)
    }

    /// This moment and so much more.
    pub(super) const fn plus(self, span: i64) -> Self {
        Self(self.0 + span)
    }

    /// The midnight before, on the zone's clocks.
    pub(super) const fn local_midnight(self, zone: &Zone) -> Self {
        Self(self.0 - self.local(zone).rem_euclid(DAY))
    }

    /// How long ago the other moment was.
    pub(super) const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// A moment from one to the other.
    pub(super) fn between(earliest: Self, latest: Self, draw: &mut Draw) -> Self {
        Self(draw.between(earliest.0, latest.0))
    }

    /// `YYYY`.
    pub(super) fn year(self, zone: &Zone) -> String {
        let (year, _, _) = self.civil(zone);
        format!("{year:04}")
    }

    /// `YYYY-MM`.
    pub(super) fn month(self, zone: &Zone) -> String {
        let (year, month, _) = self.civil(zone);
        format!("{year:04}-{month:02}")
    }

    /// `YYYY-MM-DD`.
    pub(super) fn date(self, zone: &Zone) -> String {
        let (year, month, day) = self.civil(zone);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// A dateTime to the second.
    pub(super) fn date_time(self, zone: &Zone) -> String {
        self.instant(zone, Fraction::None)
    }

    /// An instant.
    pub(super) fn instant(self, zone: &Zone, fraction: Fraction) -> String {
        let of_day = self.local(zone).rem_euclid(DAY);
        let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day / SECOND % 60);
        let micros = of_day % SECOND;
        let fraction = match fraction {
            Fraction::None => String::new(),
            Fraction::Millis => format!(".{:03}", micros / 1000),
            Fraction::Micros => format!(".{micros:06}"),
        };
        format!("{}T{hour:02}:{minute:02}:{second:02}{fraction}{}", self.date(zone), zone.written)
    }

    /// Year, month and day where the zone's clocks hang.
    fn civil(self, zone: &Zone) -> (i64, i64, i64) {
        // Howard Hinnant's civil_from_days, the inverse of the above.
        let days = self.local(zone).div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    const fn local(self, zone: &Zone) -> i64 {
        self.0 + zone.minutes * MINUTE
    }
}

/// How far an instant is written out.
#[derive(Clone, Copy)]
pub(super) enum Fraction {
    None,
    Millis,
    Micros,
}

/// A distance from UTC, and how it is written: zero has two spellings.
pub(super) struct Zone {
    minutes: i64,
    written: &'static str,
}

impl Zone {
    pub(super) const fn new(minutes: i64, written: &'static str) -> Self {
        Self { minutes, written }
    }
}

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// The mean Gregorian year, which is exact in seconds.
pub(super) const YEAR: i64 = 31_556_952 * SECOND;

pub(super) static UTC: Zone = Zone::new(0, "Z");

/// Zones in which servers stamp what they keep.
pub(super) static SERVER_ZONES: Table<Zone> = table![
    Zone::new(0, "Z"),
    Zone::new(0, "+00:00"),
    Zone::new(120, "+02:00"),
    Zone::new(-300, "-05:00"),
    Zone::new(-480, "-08:00"),
    Zone::new(-210, "-03:30"),
    Zone::new(330, "+05:30"),
    Zone::new(345, "+05:45"),
    Zone::new(600, "+10:00"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let days = [(1970, 1, 1), (2000, 2, 29), (1900, 3, 1), (2024, 2, 29), (2026, 12, 31), (1931, 7, 9)];
        for (year, month, day) in days {
            assert_eq!(Moment::midnight(year, month, day).date(&UTC), format!("{year:04}-{month:02}-{day:02}"));
        }
        assert_eq!(Moment::midnight(2024, 1, 1).since(Moment::midnight(2023, 1, 1)), 365 * DAY);
        assert_eq!(Moment::midnight(2025, 1, 1).since(Moment::midnight(2024, 1, 1)), 366 * DAY);
        assert_eq!(Moment::midnight(2001, 1, 1).since(Moment::midnight(1601, 1, 1)), 400 * YEAR);
    }

    #[test]
    fn a_zone_moves_the_clock_and_the_date() {
        let moment = Moment::midnight(2020, 3, 1).plus(HOUR + 2 * MINUTE + 3 * SECOND + 45_678);
        assert_eq!(moment.instant(&UTC, Fraction::Millis), "2020-03-01T01:02:03.045Z");
        assert_eq!(moment.instant(&Zone::new(345, "+05:45"), Fraction::Micros), "2020-03-01T06:47:03.045678+05:45");
        assert_eq!(moment.date_time(&Zone::new(-300, "-05:00")), "2020-02-29T20:02:03-05:00");
        assert_eq!(Moment::midnight(1969, 12, 31).plus(23 * HOUR).date_time(&UTC), "1969-12-31T23:00:00Z");
    }
}
