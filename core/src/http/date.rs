//! HTTP dates (RFC 9110 §5.6.7), as a recipient must read them: the form of today and the two obsolete ones.

use crate::time::Timestamp;

/// Reads an HTTP date; `None` for any other text.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let words: Vec<_> = text.split([' ', '-', ',']).filter(|word| !word.is_empty()).collect();
    let [_, rest @ ..] = words.as_slice() else { return None };
    let (day, month, year, time) = match rest {
        // Sun, 06 Nov 1994 08:49:37 GMT, and Sunday, 06-Nov-94 08:49:37 GMT
        [day, month, year, time, zone] if matches!(*zone, "GMT" | "UTC") => (day, month, year, time),
        // Sun Nov  6 08:49:37 1994
        [month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let year = match year.len() {
        2 => century(year)?,
        4 => (*year).to_owned(),
        _ => return None,
    };
    Timestamp::parse_instant(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

/// Two digits are of this century up to 69. The RFC asks to look at the clock; nothing here is 50 years away.
fn century(year: &str) -> Option<String> {
    let number = year.parse::<u8>().ok()?;
    Some(format!("{}{year}", if number < 70 { 20 } else { 19 }))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(text), Some(Timestamp::from_millis(784_111_777_000)), "{text}");
        }
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(parse_http_date(&now.to_http_date()), Some(now));
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in ["", "120", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0100"]
        {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
