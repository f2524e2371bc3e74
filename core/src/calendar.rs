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
    let ([day, time], &[colon, s0, s1]) = head.as_chunks::<8>() else { return None };
    let (day, time) = (digits(day, b"0000-00-")?, digits(time, b"00T00:00")?);
    let (s0, s1) = (s0.wrapping_sub(b'0'), s1.wrapping_sub(b'0'));
    if colon != b':' || s0 > 9 || s1 > 9 {
        return None;
    }
    // Of each pair of neighbours the number that they are, at the place of the first.
    let pairs = |digits: u64| digits * 10 + (digits >> 8);
    let at = |pairs: u64, place: u32| (pairs >> (8 * place) & 0xFF).cast_signed();
    let (day, time) = (pairs(day), pairs(time));
    Some((
        Written {
            day: [at(day, 0) * 100 + at(day, 2), at(day, 5), at(time, 0)],
            time: [at(time, 3), at(time, 6), i64::from(s0) * 10 + i64::from(s1)],
        },
        rest,
    ))
}

/// What the digits are worth in a text that is of that form: `0` stands for a digit, anything else for itself, which is
/// worth nothing.
#[inline]
fn digits(text: &[u8; 8], form: &[u8; 8]) -> Option<u64> {
    let worth = u64::from_le_bytes(*text) ^ u64::from_le_bytes(*form);
    let is_other = form.map(|byte| if byte == b'0' { 0 } else { 0xFF });
    let beyond_nine = (worth | worth.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
    (beyond_nine | worth & u64::from_le_bytes(is_other) == 0).then_some(worth)
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

    /// Byte by byte: whatever stands in place of one is refused, or is the digit that it is.
    #[test]
    fn only_the_one_form_is_read() {
        let read = |text: &[u8]| read_seconds(text).map(|(Written { day, time }, rest)| (day, time, rest.to_vec()));
        let text = b"2019-12-30T23:58:07Z";
        assert_eq!(read(text), Some(([2019, 12, 30], [23, 58, 7], b"Z".to_vec())));
        assert_eq!(read(&text[..19]).map(|(.., rest)| rest), Some(Vec::new()));
        (0..19).for_each(|length| assert_eq!(read(&text[..length]), None));
        for at in 0..19 {
            for byte in 0..=u8::MAX {
                let mut other = *text;
                other[at] = byte;
                let digit = i64::from(byte) - i64::from(b'0');
                let expected = if text[at].is_ascii_digit() { (0..10).contains(&digit) } else { byte == text[at] };
                let found = read(&other);
                assert_eq!(found.is_some(), expected, "{byte} at {at}");
                let Some(([year, month, day], [hour, minute, second], _)) = found else { continue };
                let written = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
                assert_eq!(written.as_bytes(), other);
            }
        }
    }

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
