//! Days of the Gregorian calendar, and the form in which FHIR writes days and times. On every line of an export stands at
//! least one, so this is read without a detour.

/// The number of a day, 0 for 1970-01-01; `None` if the calendar has no such day. Years 1 to 9999.
#[inline]
pub(crate) fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_one =
        (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    is_one.then(|| number(year, month, day))
}

/// Where a day, a month or a year begins that is known to be there, or the one after it.
#[inline]
pub(crate) fn number(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - DAY_NUMBER_1970
}

/// Year, month, day, hour, minute and second as they are written.
pub(crate) struct Written {
    pub(crate) day: [i64; 3],
    pub(crate) time: [i64; 3],
}

/// Reads `YYYY-MM-DDThh:mm:ss`, the form that nearly every time has, and what follows; `None` for any other form.
#[inline]
pub(crate) fn read_seconds(text: &[u8]) -> Option<(Written, &[u8])> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = head else {
        return None;
    };
    // All at once, and asked once whether all are digits.
    let digits = [y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1].map(|byte| byte.wrapping_sub(b'0'));
    if digits.into_iter().fold(0, u8::max) > 9 {
        return None;
    }
    let [y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1] = digits.map(i64::from);
    let day = [((y0 * 10 + y1) * 10 + y2) * 10 + y3, m0 * 10 + m1, d0 * 10 + d1];
    Some((Written { day, time: [h0 * 10 + h1, n0 * 10 + n1, s0 * 10 + s1] }, rest))
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number of 1970-01-01, counted from the 1st of March of the year 0 as 1.
const DAY_NUMBER_1970: i64 = 719_469;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_the_number_that_follows_the_last() {
        let mut expected = day_number(1, 1, 1).unwrap();
        assert_eq!(day_number(1970, 1, 1), Some(0));
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let is_one = jiff::civil::Date::new(year, month, day).is_ok();
                    let found = day_number(year.into(), month.into(), day.into());
                    assert_eq!(found, is_one.then_some(expected), "{year}-{month}-{day}");
                    expected += i64::from(is_one);
                }
            }
        }
        for (year, month, day) in [(0, 1, 1), (10_000, 1, 1), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0)] {
            assert_eq!(day_number(year, month, day), None);
        }
    }
}
