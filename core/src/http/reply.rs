//! A response as a client receives it, borrowed from the embedder's buffers.

use super::{
    date::parse_http_date,
    link::{Link, find_link},
};
use crate::time::Timestamp;

/// A response as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'i> {
    pub(crate) status: u16,
    pub(crate) headers: &'i [(&'i str, &'i [u8])],
    pub(crate) body: &'i [u8],
}

impl<'i> Reply<'i> {
    /// The values of a header field that are text, in order.
    pub(crate) fn header(&self, name: &str) -> impl Iterator<Item = &'i str> {
        let fields = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        fields.filter_map(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
    }

    /// The one value of a header field; `None` if it is absent, empty or there are several that differ.
    pub(crate) fn only(&self, name: &str) -> Option<&'i str> {
        let mut values = self.header(name);
        let first = values.next().filter(|value| !value.is_empty())?;
        values.all(|value| value == first).then_some(first)
    }

    /// `Retry-After`, which is seconds or an HTTP date (BD-STAT-03), in seconds; a date in the past is none.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<u64> {
        let value = self.header("retry-after").next()?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number holds are more than any bound.
            return Some(value.parse().unwrap_or(u64::MAX));
        }
        parse_http_date(value).map(|date| date.seconds_since(now))
    }

    /// `Expires`.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.only("expires").and_then(parse_http_date)
    }

    /// The first link with that relation.
    pub(crate) fn link(&self, relation: &str) -> Option<Link<'i>> {
        self.header("link").find_map(|value| find_link(value, relation))
    }

    /// The media type of the body in lower case, without parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.header("content-type").next()?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// Whether the body is as it is stored, not compressed for the transfer.
    pub(crate) fn is_identity(&self) -> bool {
        self.header("content-encoding").all(|value| value.is_empty() || value.eq_ignore_ascii_case("identity"))
    }

    /// `Content-Length`, where it speaks of the bytes that are stored.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.only("content-length").filter(|_| self.is_identity()).and_then(|value| value.parse().ok())
    }

    /// `Content-Range: bytes first-last/total`: the first byte, and the total if it is told.
    pub(crate) fn content_range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = self.only("content-range")?.strip_prefix("bytes")?.trim_start().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        let total = if total == "*" { None } else { Some(total.parse::<u64>().ok()?) };
        (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
    }

    /// The strong validator of the representation, for `If-Range`: a weak tag or a date proves no equal bytes. It goes
    /// into a request as it is, so it must be what RFC 9110 §8.8.3 calls an opaque tag, in ASCII, and not endless.
    pub(crate) fn strong_etag(&self) -> Option<&'i str> {
        self.only("etag").filter(|tag| {
            let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let is_sendable = |opaque: &str| opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
            tag.len() <= ETAG_BYTES_MAX && opaque.is_some_and(is_sendable)
        })
    }
}

/// Longer than any that means something.
const ETAG_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn reply<'i>(headers: &'i [(&'i str, &'i [u8])]) -> Reply<'i> {
        Reply { status: 200, headers, body: b"" }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = Timestamp::from_millis(784_111_777_000);
        let wait = |value: &str| reply(&[("Retry-After", value.as_bytes())]).retry_after(now);
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("99999999999999999999999"), Some(u64::MAX));
        for nonsense in ["", "-1", "1.5", "soon", "NaN"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn ranges_and_validators_are_read_strictly() {
        let range = |value: &str| reply(&[("content-range", value.as_bytes())]).content_range();
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["bytes 9-5/10", "bytes 5-10/10", "bytes */10", "items 5-9/10", "bytes 5-9"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
        assert_eq!(reply(&[("ETag", b"\"a\"")]).strong_etag(), Some("\"a\""));
        let long = format!("\"{}\"", "a".repeat(ETAG_BYTES_MAX));
        let wrong: [&[u8]; 8] = [b"W/\"a\"", b"a", b"\"", b"", b"\"a\"b\"", b"\"a\x02b\"", b"\"a b\"", long.as_bytes()];
        for wrong in wrong {
            assert_eq!(reply(&[("ETag", wrong)]).strong_etag(), None, "{}", String::from_utf8_lossy(wrong));
        }
        assert_eq!(reply(&[("Content-Length", b"7")]).content_length(), Some(7));
        assert_eq!(reply(&[("Content-Length", b"7"), ("Content-Encoding", b"gzip")]).content_length(), None);
        assert_eq!(reply(&[("Content-Length", b"7"), ("Content-Length", b"8")]).content_length(), None);
    }
}
