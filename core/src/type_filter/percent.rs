//! Percent-encoding (RFC 3986, 2.1) of the parts of a URL query. `+` is a character like any other.

use std::borrow::Cow;
use std::fmt;

/// Why percent-encoded text cannot be decoded, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodeError {
    pub(super) fault: DecodeFault,
    /// Byte offset in the text as it was, encoded.
    pub(super) position: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeFault {
    /// A `%` without two hexadecimal digits.
    Digits,
    /// The decoded bytes are not UTF-8.
    Utf8,
}

/// Decodes once.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, DecodeError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|(_, byte)| hexadecimal(byte));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(DecodeError { fault: DecodeFault::Digits, position });
        };
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|error| DecodeError {
        fault: DecodeFault::Utf8,
        position: encoded_position(text, error.utf8_error().valid_up_to()),
    })
}

/// Where the byte at `position` of the decoded text stands in `encoded`, which must decode.
pub(super) fn encoded_position(encoded: &str, position: usize) -> usize {
    let mut at = 0;
    let mut bytes = encoded.bytes();
    for _ in 0..position {
        match bytes.next() {
            Some(b'%') => {
                bytes.by_ref().take(2).for_each(drop);
                at += 3;
            }
            Some(_) => at += 1,
            None => break,
        }
    }
    at
}

/// Writes `text` with every character encoded that `escaped` names.
pub(super) fn encode(out: &mut impl fmt::Write, text: &str, escaped: impl Fn(char) -> bool) -> fmt::Result {
    for character in text.chars() {
        if !escaped(character) {
            out.write_char(character)?;
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            write!(out, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_leaves_plus() {
        for (encoded, decoded) in
            [("", ""), ("a+b", "a+b"), ("%2b%2B", "++"), ("%252C", "%2C"), ("%C3%A9", "é"), ("é%20", "é ")]
        {
            assert_eq!(decode(encoded).unwrap(), decoded, "{encoded}");
        }
    }

    #[test]
    fn names_the_place_of_the_fault_in_the_encoded_text() {
        for (encoded, fault, position) in [
            ("%", DecodeFault::Digits, 0),
            ("a%2", DecodeFault::Digits, 1),
            ("%41%4g", DecodeFault::Digits, 3),
            ("%é", DecodeFault::Digits, 0),
            ("%41b%FF", DecodeFault::Utf8, 4),
            ("%41%C3,%A9", DecodeFault::Utf8, 3),
        ] {
            assert_eq!(decode(encoded), Err(DecodeError { fault, position }), "{encoded}");
        }
    }

    #[test]
    fn maps_positions_back() {
        let encoded = "a%2Cb%C3%A9c";
        for (position, at) in [(0, 0), (1, 1), (2, 4), (3, 5), (5, 11), (6, 12), (99, 12)] {
            assert_eq!(encoded_position(encoded, position), at, "{position}");
        }
    }
}
